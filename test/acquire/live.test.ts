/** What nothing can stop is read as it runs; and that this is of no moment is said wherever it is shown. */
import test, { type ExecutionContext } from 'ava';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolder } from '../../acquire/evidence/folder.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { parseManifest } from '../../acquire/evidence/manifest-schema.ts';
import { take } from '../../acquire/take.ts';
import { asItRuns, forEvidence, mechanismFor } from '../../mechanisms/shared/all.ts';
import { waitingIn } from '../../mechanisms/shared/live-image.ts';
import { until, type Target, status } from '../native/help.ts';
import { NODE } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { acquireProgram, noTools, regionAt, run, startTarget, takeEvidence, temporaryFolder, verb } from './help.ts';
import { aKey } from './transfer/help.ts';

const PID = 1, MEMORY = 2, HIDDEN = 3, GIVEN_UP = 4, NEW = 5, CHANGE = 6, BYTES = 16 << 20;
const live = mechanismFor(asItRuns()[0]?.name);
const LABEL = /NOT OF ONE MOMENT/;

async function unstoppable(t: ExecutionContext): Promise<Target & { traced: number }> {
	const target = await startTarget(t, 'unstoppable');
	return Object.assign(target, { traced: target.number(PID) });
}

function procsnap(...args: string[]): { status: number | null; stdout: string; stderr: string } {
	const [node, ...flags] = NODE;
	return spawnSync(node, [...flags, 'acquire/cli.ts', ...args], { encoding: 'utf8' });
}

/** In a core, at an address of the target. */
function wordAt(core: Buffer, manifest: Manifest, address: number): Buffer {
	const segment = regionAt(manifest, address)!.segments
		.find(({ start, bytes }) => Number(start) <= address && address < Number(start) + bytes)!;
	return core.subarray(segment.offset + address - Number(segment.start));
}

test('what all mechanisms refuse: the refusal says what there is, and the evidence what it is', async (t) => {
	const target = await unstoppable(t), { traced } = target, key = join(temporaryFolder(t), 'key');
	const refused = procsnap('take', String(traced), '--key', key, '--out', `${key}-out`);
	t.is(refused.status, 1);
	t.regex(refused.stderr, /is traced by process .*--mechanism live would read it as it runs, NOT of one moment/);
	t.regex(procsnap('check', String(traced)).stdout, /refused: traced[^]*--mechanism live would read it as it runs/);
	const asked = procsnap('check', String(traced), '--mechanism', live.name);
	t.is(asked.status, 0);
	t.regex(asked.stdout, /NOT of one moment: each region/);
	t.like(JSON.parse(procsnap('check', String(traced), '--json').stdout), { taken: false, ofOneMoment: true });

	const { dir, core, manifest } = await takeEvidence(t, traced, '--mechanism', live.name);
	t.is(status(traced, 'TracerPid'), String(target.pid), 'nobody else has traced it');
	const content = readFileSync(core);
	t.is(wordAt(content, manifest, target.number(HIDDEN)).toString('latin1', 0, 4), 'HHHH');
	t.is(wordAt(content, manifest, target.number(MEMORY) + 4096).toString('latin1', 0, 4), 'MMMM');
	t.true(manifest.notOfOneMoment!.endedNs > manifest.momentNs);
	t.true(manifest.regions.every(({ readFrom, capture }) => readFrom !== 'duplicate' && capture !== 'frozen'));
	t.true(manifest.regions.every(({ bytes, readBetweenNs }) => bytes === 0 || readBetweenNs !== null));
	t.deepEqual(manifest.threads.map(({ tid, partial }) => [tid, partial]), [[traced, false]]);
	t.not(manifest.threads[0]!.waiting, undefined, 'its registers were not read');
	t.like(manifest.ledger, { pauseNs: 0, endPauseNs: 0, calls: null });
	const verified = verb('verify', dir, '--key', `${dir}/../key.pub`);
	t.regex(verified, /: whole: [^]*read as it ran, NOT of one moment, from .* to /);
	t.regex(verified, LABEL);
	t.like(JSON.parse(verb('verify', dir, '--key', `${dir}/../key.pub`, '--json')), { whole: true, ofOneMoment: false });
	const shown = verb('info', dir, '--registers');
	t.regex(shown, LABEL);
	t.regex(shown, new RegExp(`^thread ${traced}: its registers were not read, since it was not stopped`, 'm'));
	t.notRegex(shown, /^ {2}rip/m);
	t.notRegex(shown, / as of /);
	const taken = procsnap(
		'take', String(traced), '--mechanism', live.name, '--key', key, '--out', `${key}-out`
	).stdout.trimEnd().split('\n');
	t.regex(taken.slice(-2).join('\n'), LABEL, 'its last lines');
});

testUnless(noTools('gdb'))('gdb has its memory, and no registers that nobody has read', async (t) => {
	const target = await unstoppable(t), address = `0x${target.number(HIDDEN).toString(16)}`;
	const { core } = await takeEvidence(t, target.traced, '--mechanism', live.name);
	const { status: code, stdout } = run('gdb', [
		'-nx', '-batch', '-ex', 'info registers rip rsp rax', '-ex', `x/4c ${address}`, acquireProgram('unstoppable'), core,
	]);
	t.is(code, 0);
	t.regex(stdout, /^rip +<unavailable>\nrsp +<unavailable>\nrax +<unavailable>$/m);
	t.regex(stdout, /^Core was generated by .*unstoppable/m, 'notes of the process are there, without a thread');
	t.regex(stdout, /72 'H'\t72 'H'\t72 'H'\t72 'H'/);
});

test('the label is true: what is read first is older than what is read last', async (t) => {
	const target = await unstoppable(t), apart: number[] = [];
	for (let i = 0; i < 3; i++) {
		const { core, manifest } = await takeEvidence(t, target.traced, '--mechanism', live.name);
		const content = readFileSync(core), at = target.number(MEMORY);
		const [first, last] = [at, at + BYTES - 4096].map((address) =>
			Number(wordAt(content, manifest, address).readBigInt64LE(0)));
		apart.push(last! - first!);
	}
	t.true(apart.some((words) => words > 1), `in the target they are at most 1 apart, and here ${apart.join(', ')}`);
});

async function taken(t: ExecutionContext, target: Target & { traced: number }, first: () => Promise<unknown>) {
	const key = aKey(), out = join(temporaryFolder(t), 'evidence');
	return (await take({
		pid: target.traced, key: () => key, mechanisms: [live],
		destination: async () => {
			const inner = await createFolder(out);
			let begun = false;
			return {
				...inner, write: async (bytes, offset) => {
					await inner.write(bytes, offset);
					if (begun) return;
					begun = true;
					await first();
				},
			};
		},
	})).manifest;
}

test('what comes and goes while it is read is listed', async (t) => {
	const target = await unstoppable(t);
	const { notOfOneMoment, lackingBytes } = await taken(t, target, async () => {
		target.word[CHANGE] = 1n;
		await until('it has changed its mappings', () => target.number(NEW) !== 0);
	});
	const at = (word: number): string => `0x${target.number(word).toString(16)}`;
	t.true(notOfOneMoment!.appeared!.some(({ start, permissions }) => start === at(NEW) && permissions === 'r--p'));
	t.true(notOfOneMoment!.gone!.some(({ start }) => start === at(GIVEN_UP)));
	t.true([0, 4096].includes(lackingBytes!), 'it was read before or after');
});

test('it ends while it is read: what was not read yet is unreadable, with a reason', async (t) => {
	const target = await unstoppable(t);
	const { notOfOneMoment, lackingBytes, regions } = await taken(t, target, async () => {
		process.kill(target.traced, 'SIGKILL');
		await until('it has ended', () => ['', 'Z'].includes(status(target.traced, 'State').slice(0, 1)));
	});
	t.like(notOfOneMoment, { appeared: null, gone: null });
	t.true(lackingBytes! > 0);
	t.true(regions.some(({ unreadable }) => unreadable.some(({ errno }) => errno === 'ESRCH' || errno === 'ENODATA')));
});

test('it is never chosen, and only taken by name', (t) => {
	t.deepEqual(asItRuns().map(({ name, ofOneMoment }) => [name, ofOneMoment]), [['live', false]]);
	t.true(forEvidence().every(({ ofOneMoment }) => ofOneMoment));
	t.true(mechanismFor().ofOneMoment);
	t.is(mechanismFor('live'), live);
	t.regex(procsnap('hidden', '1', '--mechanism', 'live').stderr, /live makes no copy/);
	const { candidates } = JSON.parse(procsnap('check', String(process.pid), '--json').stdout) as {
		candidates: Array<{ mechanism: string }>;
	};
	t.false(candidates.some(({ mechanism }) => mechanism === 'live'));
});

test('a manifest that contradicts itself is refused', async (t) => {
	const target = await unstoppable(t);
	const { manifest } = await takeEvidence(t, target.traced, '--mechanism', live.name);
	const parsed = (changed: object) => parseManifest(Buffer.from(JSON.stringify({ ...manifest, ...changed })));
	t.notThrows(() => parsed({}));
	t.throws(() => parsed({ notOfOneMoment: undefined }), { message: /registers were not read, and says that it is of one/ });
	const [first, ...others] = manifest.regions;
	t.throws(
		() => parsed({ regions: [{ ...first!, capture: 'frozen', readFrom: 'duplicate' }, ...others] }),
		{ message: /memory of a copy, or registers, and says that it is not of one moment/ }
	);
	t.throws(
		() => parsed({ notOfOneMoment: { ...manifest.notOfOneMoment!, endedNs: manifest.momentNs - 1 } }),
		{ message: /its times run backwards/ }
	);
});

test('where a thread waits', (t) => {
	t.deepEqual(waitingIn('0 0x3 0x7f00 0x1 0x0 0x0 0x0 0x7ffe10 0x7f20\n'), {
		call: 'read', arguments: ['0x3', '0x7f00', '0x1', '0x0', '0x0', '0x0'], stackPointer: '0x7ffe10',
		programCounter: '0x7f20',
	});
	t.deepEqual(waitingIn('-1 0x7ffe10 0x7f20\n'), {
		call: null, arguments: [], stackPointer: '0x7ffe10', programCounter: '0x7f20',
	});
	for (const line of ['running\n', '', '0 x', '5 0x1']) t.is(waitingIn(line), null, line);
});
