/** A file server that does not answer any more: a take goes on without what it has, and ends when it is told to. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { FileReader } from '../../acquire/evidence/file-reader.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { asItRuns, forEvidence } from '../../mechanisms/shared/all.ts';
import { children } from '../native/target.ts';
import { eventually, isFree } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { noMount } from './disk.ts';
import { acquireProgram, temporaryFolder } from './help.ts';
import { CLI } from './real/taking.ts';

const noFuse = (): string | null => (existsSync('/dev/fuse') ? noMount() : 'this kernel has no FUSE');

async function started(t: ExecutionContext, name: string, ...args: string[]): Promise<ChildProcess> {
	const program = spawn(acquireProgram(name), args, { stdio: ['pipe', 'pipe', 'inherit'] });
	t.teardown(() => program.kill('SIGKILL'));
	await once(program.stdout, 'data');
	return program;
}

/** A process that has mapped a file whose server has fallen silent. */
async function aTarget(t: ExecutionContext): Promise<ChildProcess> {
	const folder = temporaryFolder(t);
	t.teardown(() => spawnSync('umount', ['--lazy', folder]));
	const server = await started(t, 'silent', folder);
	const target = await started(t, 'mapping', join(folder, 'f'), 'exec');
	server.stdin?.write('x\n');
	await sleep(50);
	return target;
}

const taking = (target: ChildProcess, folder: string, mechanism: string): ChildProcess => spawn(
	CLI[0], [
		...CLI.slice(1), 'take', String(target.pid), '--out', join(folder, 'evidence'), '--key',
		join(folder, 'key'), '--mechanism', mechanism,
	], { stdio: ['ignore', 'ignore', 'pipe'] }
);

for (const mechanism of asItRuns()) {
	testUnless(noFuse() ?? mechanism.unavailable())(`${mechanism.name}: the server is asked for nothing`, async (t) => {
		const target = await aTarget(t), folder = temporaryFolder(t), take = taking(target, folder, mechanism.name);
		t.deepEqual(await once(take, 'close'), [0, null]);
		const { regions } = JSON.parse(readFileSync(join(folder, 'evidence/manifest.json'), 'utf8')) as Manifest;
		t.deepEqual(regions.filter(({ name }) => name.endsWith('/f')).map(({ bytes }) => bytes), [0]);
		t.true(regions.some(({ name, bytes }) => name.endsWith('/mapping') && bytes > 0), 'its code is there');
	});
}

for (const mechanism of forEvidence()) {
	const silent = testUnless(noFuse() ?? mechanism.unavailable());

	silent(`${mechanism.name}: what the server has is unreadable, and the rest is evidence`, async (t) => {
		const target = await aTarget(t), folder = temporaryFolder(t), take = taking(target, folder, mechanism.name);
		let said = '';
		take.stderr?.setEncoding('utf8').on('data', (text: string) => { said += text; });
		const [code] = await once(take, 'close') as [number | null];
		t.is(code, 5, said);
		const { regions } = JSON.parse(readFileSync(join(folder, 'evidence/manifest.json'), 'utf8')) as Manifest;
		const mapped = regions.filter(({ name }) => name.endsWith('/f'));
		t.is(mapped.length, 1);
		t.deepEqual(
			mapped.flatMap(({ unreadable }) => unreadable.map(({ bytes, errno }) => ({ bytes, errno }))),
			[{ bytes: 64 * 4096, errno: 'ETIMEDOUT' }]
		);
		t.true(regions.some(({ name, bytes }) => name.endsWith('/mapping') && bytes > 0), 'its code is there');
		t.true(isFree(target.pid!));
		await eventually(() => (children(target.pid!).length === 0 ? true : undefined), 'the duplicate is gone');
	});

	silent(`${mechanism.name}: Ctrl-C ends it while it waits for the server`, async (t) => {
		const target = await aTarget(t), folder = temporaryFolder(t), take = taking(target, folder, mechanism.name);
		await sleep(2500);	// it waits by now: for what it waits has no end
		t.is(take.exitCode, null);
		const began = performance.now();
		take.kill('SIGINT');
		const [code] = await once(take, 'close') as [number | null];
		t.is(code, 130);
		t.true(performance.now() - began < 5000, `ended ${performance.now() - began} ms after the signal`);
		t.deepEqual(readdirSync(folder).filter((name) => !name.startsWith('key')), []);
		t.true(isFree(target.pid!));
		await eventually(() => (children(target.pid!).length === 0 ? true : undefined), 'the duplicate is gone');
	});
}

test('a reader that does not answer is let go, and the next question is another one\'s', async (t) => {
	const reader = new FileReader(), room = Buffer.alloc(64), began = children(process.pid);
	t.teardown(() => reader.close());
	t.is(await reader.read('/proc/self/comm', 0, room, 10_000), 16);
	t.is(room.toString('latin1', 0, 16), 'procsnap-reader\n');
	const [first = 0] = children(process.pid).filter((pid) => !began.includes(pid));
	process.kill(first, 'SIGSTOP');
	await t.throwsAsync(reader.read('/proc/self/comm', 0, room, 50), { code: 'ETIMEDOUT' });
	await eventually(() => (children(process.pid).includes(first) ? undefined : true), 'it is gone');
	t.is(await reader.read('/proc/self/comm', 0, room, 10_000), 16);
	await t.throwsAsync(reader.read('/nonexistent', 0, room, 10_000), { code: 'ENOENT' });
	await t.throwsAsync(reader.read('/', 0, room, 10_000), { code: 'EISDIR' });
});

test('a signal ends a question at once; another one answers for one that was killed, none when closed', async (t) => {
	const reader = new FileReader(), room = Buffer.alloc(64), began = children(process.pid);
	await reader.read('/proc/self/comm', 0, room, 10_000);
	const [child = 0] = children(process.pid).filter((pid) => !began.includes(pid));
	process.kill(child, 'SIGSTOP');
	const interrupted = new AbortController();
	const asked = reader.read('/proc/self/comm', 0, room, 60_000, interrupted.signal);
	interrupted.abort(new Error('over'));
	await t.throwsAsync(asked, { message: 'over' });
	const again = reader.read('/dev/zero', 0, Buffer.alloc(1 << 28), 60_000);
	const [next = 0] = children(process.pid).filter((pid) => !began.includes(pid) && pid !== child);
	process.kill(next, 'SIGKILL');
	t.is(await again, 1 << 28, 'by another one');
	reader.close();
	await t.throwsAsync(reader.read('/proc/self/comm', 0, room, 60_000), { message: /closed/ });
	await eventually(
		() => (children(process.pid).every((pid) => began.includes(pid)) ? true : undefined), 'none is left'
	);
});
