/** The tracer's two processes, and the way to them: each end is seen by the others, and none waits for ever. */
import test from 'ava';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Tracer } from '../../native/index.ts';
import { isFree } from '../processes.ts';
import { children, failure, program, start, state, status, tracerFor, until } from './help.ts';

const TURNS = 1;

/** The process that was started; the tracer is its child. */
const parentOf = (tracer: Tracer): number => Number(status(tracer.pid, 'PPid'));
const groupOf = (pid: number): number =>
	Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[2]);
const isGone = (pid: number): boolean => ['', 'Z'].includes(state(pid));

for (const has of ['inject', 'hold'] as const)
	test(`the process that was started is killed, and the tracer leaves in order: ${has}`, async (t) => {
		const target = await start(t, 'states', 'idle'), tracer = tracerFor(t);
		tracer[has](target.pid);
		process.kill(parentOf(tracer), 'SIGKILL');
		await until('the tracer leaves', () => isGone(tracer.pid));
		await until('the target is free', () => isFree(target.pid));
		t.deepEqual(children(target.pid), []);
		await target.runs(TURNS);
	});

/** Node closes those up to 15 at an exec(), and not one like that of `exec 200>lock`. */
test('what the requester has inherited is open in neither of them', async (t) => {
	const lock = join(mkdtempSync(join(tmpdir(), 'procsnap-test-')), 'lock'), script = fileURLToPath(new URL(
		'mortal.ts', import.meta.url
	));
	t.teardown(() => rmSync(dirname(lock), { recursive: true }));
	const target = await start(t, 'states', 'idle');
	const opening = ['-c', 'exec 200>"$1" && shift && exec "$@"', 'bash', lock, process.execPath];
	const requester = spawn(
		'bash', [...opening, script, 'duplicate', String(target.pid)], { stdio: ['ignore', 'pipe', 'inherit'] }
	);
	t.teardown(() => requester.kill('SIGKILL'));
	const said: number[] = [];
	createInterface({ input: requester.stdout }).on('line', (line) => said.push(Number(line)));
	await until('it has a duplicate', () => said.length === 2);
	const tracer = said[0] ?? 0;
	const open = (pid: number): string[] =>
		readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
	t.true(open(requester.pid ?? 0).includes(lock), 'the requester has it');
	t.false(open(tracer).includes(lock), 'the tracer');
	t.false(open(Number(status(tracer, 'PPid'))).includes(lock), 'the process that was started');
	requester.kill('SIGKILL');
	await until('the target is free', () => isFree(target.pid));
});

test('nothing that can be blocked ends either of them', async (t) => {
	const target = await start(t, 'states', 'idle'), tracer = tracerFor(t), both = [tracer.pid, parentOf(tracer)];
	for (const pid of both) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGTSTP'] as const)
		process.kill(pid, signal);
	tracer.inject(target.pid);
	tracer.end();
	t.deepEqual(both.map((pid) => 'RSD'.includes(state(pid))), [true, true]);
	tracer.close();
	t.deepEqual(both.map(state), ['', ''], 'both have gone when close() returns');
	await target.runs(TURNS);
});

test('Ctrl-C reaches the requester\'s group, and not the tracer', async (t) => {
	const target = await start(t, 'states', 'idle'), script = fileURLToPath(new URL('mortal.ts', import.meta.url));
	const requester = spawn(
		process.execPath, [script, 'duplicate', String(target.pid)],
		{ stdio: ['ignore', 'pipe', 'inherit'], detached: true }
	);
	t.teardown(() => requester.kill('SIGKILL'));
	const { pid: group = 0 } = requester;
	const said: number[] = [];
	createInterface({ input: requester.stdout }).on('line', (line) => said.push(Number(line)));
	await until('it has a duplicate', () => said.length === 2);
	const tracer = said[0] ?? 0, both = [tracer, Number(status(tracer, 'PPid'))];
	t.is(groupOf(group), group);
	t.true(both.every((pid) => groupOf(pid) !== group));
	process.kill(-group, 'SIGINT');
	await once(requester, 'exit');
	t.is(requester.signalCode, 'SIGINT');
	await until('both leave', () => both.every(isGone));
	t.deepEqual(children(target.pid), [], 'the duplicate was ended, and waited for');
	await target.runs(TURNS);
});

test('close() does not wait for ever for a tracer that somebody has stopped', async (t) => {
	const target = await start(t, 'states', 'idle'), tracer = Tracer.start();
	tracer.inject(target.pid);
	process.kill(tracer.pid, 'SIGSTOP');
	await until('it is stopped', () => state(tracer.pid) === 'T');
	tracer.close();
	t.is(state(tracer.pid), 'T');
	process.kill(tracer.pid, 'SIGCONT');
	await until('it leaves', () => isGone(tracer.pid));
	t.deepEqual(children(target.pid), []);
	await target.runs(TURNS);
});

interface Addon {
	startTracer: (
		path: string, cpu: number, priority: number, dataBytes: number
	) => { process: number; socket: number };
	request: (socket: number, op: number, pid: number, timeoutNs: number, limitNs: number, bytes: number) => {
		code: number; results: number[];
	};
	stopTracer: (socket: number, pid: number) => boolean;
}

test('an answer that comes late is not taken for the next one', (t) => {
	const addon = createRequire(import.meta.url)('../../native/build/procsnap.node') as Addon;
	const { process: pid, socket } = addon.startTracer(program('late'), -1, 0, 4096);
	for (let i = 1; i <= 20; i++) {
		const { code, results } = addon.request(socket, 0, i, 1e9, 0, 0);
		t.deepEqual([code, results[0]], [0, i]);
	}
	t.true(addon.stopTracer(socket, pid));
});

for (const [what, uid] of [
	['of another user', 65534], ['with a FIFO where that has its last will', process.getuid?.() ?? 0],
] as const)
	test(`a process that only has the tracer's name (${what}) is not asked for anything, nor waited for`, async (t) => {
		const CHILD = 1, SIGNALS = 2;
		if (process.getuid?.() !== 0 && uid === 65534) {
			t.log('not here: it takes root to be another user');
			return t.pass();
		}
		const folder = mkdtempSync(join(tmpdir(), 'procsnap-impostor-')), fifo = join(folder, 'fifo');
		t.teardown(() => rmSync(folder, { recursive: true }));
		execFileSync('mkfifo', [fifo]);
		const target = await start(t, 'impostor', uid, ...uid === 65534 ? [] : [fifo]), tracer = tracerFor(t), began =
			Date.now();
		t.is(failure(t, () => tracer.inject(target.number(CHILD))).code, 'EBUSY');
		t.true(Date.now() - began < 10_000);
		t.is(target.number(SIGNALS), 0, 'it is sent no signal');
		return undefined;
	});
