/** Whatever the size of the target, a collector and a receiver need the same memory, and less than 200 MB. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { mechanism as precopy } from '../../mechanisms/precopy.ts';
import { mechanismFor } from '../../mechanisms/shared/all.ts';
import { NODE } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { startTarget, temporaryFolder } from './help.ts';
import { Authority, HOST, linkTest } from './transfer/help.ts';

const MOST_KB = 200_000;
const SMALL_MIB = 16, LARGE_MIB = 1024;
/** V8 collects blocks that came from a link when there are 64 MiB of them: a small target never sends as many. */
const GARBAGE_KIB = 80 * 1024;

/** A process's own and its children's, of the tracer: the one that was started, and that one's child. */
function withTracers(pid: number): number[] {
	const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((text) => text !== '');
	const tracers = children.map(Number)
		.filter((child) => readFileSync(`/proc/${child}/comm`, 'utf8') === 'procsnap-tracer\n');
	return [pid, ...tracers.flatMap((tracer) => withTracers(tracer))];
}

/** The largest that a process and its tracer have been, in kB of 1,024 bytes: VmHWM, proc_pid_status(5). */
function peakKiB(pid: number): number {
	try {
		return withTracers(pid).reduce(
			(sum, each) => sum + Number(
				/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0
			),
			0
		);
	} catch {
		return 0;	// it has ended
	}
}

/** `npx procsnap`, which is this script; in a guest Node needs some flags. */
function procsnap(t: ExecutionContext, ...args: string[]) {
	const child = spawn(
		fileURLToPath(new URL('../../scripts/procsnap', import.meta.url)), args,
		{
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {
				...process.env, NODE_OPTIONS: NODE.slice(1).filter((flag) => flag !== '--enable-source-maps').join(' '),
			},
		}
	);
	t.teardown(() => child.kill('SIGKILL'));
	let peak = 0, said = '';
	const timer = setInterval(() => { peak = Math.max(peak, peakKiB(child.pid as number)); }, 10);
	child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
	const ended = once(child, 'exit').then(([code]) => {
		clearInterval(timer);
		return { code: code as number | null, said, peakKiB: peak };
	});
	return { child, ended };
}

linkTest(`a target of ${LARGE_MIB} MiB takes no more memory to take, to send and to receive than one of ` +
	`${SMALL_MIB}`, async (t) => {
	const authority = new Authority(t, HOST, 'collector');
	const base = temporaryFolder(t);
	const measured: Record<string, number> = {};
	for (const mib of [SMALL_MIB, LARGE_MIB]) {
		const target = await startTarget(t, 'reserve', mib + 4, mib, 1);
		const receiver = procsnap(
			t, 'receive', '--listen', `${HOST}:0`, '--out', join(base, 'received'), '--once', '--json', '--key',
			join(base, 'receiver.key'),
			...authority.options(HOST)
		);
		const [first] = await once(createInterface({ input: receiver.child.stdout }), 'line') as [string];
		const { listening } = JSON.parse(first) as { listening: number };
		const common = ['take', String(target.pid), '--key', join(base, 'key'), '--mechanism', mechanismFor().name];
		for (const [name, args] of [
			['out', ['--out', join(base, `evidence-${mib}`)]],
			['to', ['--to', `${HOST}:${listening}`, ...authority.options('collector')]],
		] as const) {
			const { code, said, peakKiB: peak } = await procsnap(t, ...common, ...args).ended;
			t.is(code, 0, said);
			measured[`${name} ${mib}`] = peak;
		}
		const { code, said, peakKiB: peak } = await receiver.ended;
		t.is(code, 0, said);
		measured[`receive ${mib}`] = peak;
		target.process.kill('SIGKILL');
	}
	t.log(measured);
	for (const name of ['out', 'to', 'receive']) {
		const [small = 0, large = 0] = [SMALL_MIB, LARGE_MIB].map((mib) => measured[`${name} ${mib}`] ?? 0);
		t.true(small > 30_000 && large > 30_000, 'a look was had at it');
		t.true(large * 1024 < MOST_KB * 1000, `${name}: ${large} KiB`);
		t.true(large < small + GARBAGE_KIB, `${name}: ${small} and ${large} KiB`);
	}
});

testUnless(precopy.unavailable())('a copy that is no process, to a disk: 200 MB and a hundredth of the target, at ' +
	'most', async (t) => {
	const base = temporaryFolder(t), measured: number[] = [], sizesMiB = [64, 512];
	for (const mib of sizesMiB) {
		const target = await startTarget(t, 'reserve', mib + 4, mib, 1);
		const { code, said, peakKiB: peak } = await procsnap(
			t, 'take', String(target.pid), '--key', join(base, 'key'), '--out', join(base, `evidence-${mib}`), '--mechanism',
			precopy.name
		).ended;
		t.is(code, 0, said);
		measured.push(peak);
		target.process.kill('SIGKILL');
	}
	t.log(measured);
	for (const [i, mib] of sizesMiB.entries()) {
		t.true(measured[i]! > 30_000, 'a look was had at it');
		t.true(measured[i]! * 1024 < MOST_KB * 1000 + mib * (1 << 20) / 100, `${mib} MiB: ${measured[i]} KiB`);
	}
});
