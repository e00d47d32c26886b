/** kill -9 at every step of a take and an end: to the requester it does no harm; to the tracer only in a short window. */
import test from 'ava';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { STEPS } from '../../native/index.ts';
import { children, program, start, state, status, until, type Target } from './help.ts';

const steps = STEPS.filter((step) => step !== 'none');
/** Where the target has registers or a mask that are not its own: what the tracer's death then does to it. */
const WINDOW: Record<string, 'masked' | 'SIGSEGV'> = {
	masked: 'masked', injected: 'SIGSEGV', entered: 'SIGSEGV', cloned: 'SIGSEGV', restored: 'masked',
};
const [TURNS, DUPLICATE_RAN, CHANGED] = [1, 3, 2];

async function request(pid: number, step: string, whom: string): Promise<{ tracer: number; result: string; killed: boolean }> {
	const script = fileURLToPath(new URL('requester.ts', import.meta.url));
	const child = spawn(process.execPath, [script, String(pid), step, whom], { stdio: ['ignore', 'pipe', 'inherit'] });
	let output = '';
	child.stdout.on('data', (data: Buffer) => { output += data.toString(); });
	await once(child, 'close');
	const [tracer, result] = output.split('\n');
	await until('the tracer has gone', () => state(Number(tracer)) === '');
	return { tracer: Number(tracer), result: result ?? '', killed: child.signalCode === 'SIGKILL' };
}

/** All that run this target's program. */
const running = (name: string): number[] => readdirSync('/proc').map(Number).filter((pid) => {
	try {
		return pid > 0 && readlinkSync(`/proc/${pid}/exe`) === program(name);
	} catch {
		return false;
	}
});

async function unharmed(target: Target): Promise<void> {
	await target.runs(TURNS);
	await until('nobody traces it', () => status(target.pid, 'TracerPid') === '0');
}

for (const step of steps)
	test(`the requester is killed at "${step}"`, async (t) => {
		const target = await start(t, 'registers', 1), blocked = BigInt(`0x${status(target.pid, 'SigBlk')}`);
		await target.runs(TURNS);
		t.true((await request(target.pid, step, 'requester')).killed);
		await unharmed(target);
		t.is(BigInt(`0x${status(target.pid, 'SigBlk')}`), blocked);
		t.deepEqual(children(target.pid), [], 'no duplicate, no zombie');
		t.is(target.number(CHANGED), 0);
	});

test('the steps of the window are known', (t) => {
	t.deepEqual(steps.filter((step) => step in WINDOW), Object.keys(WINDOW));
});

for (const step of steps)
	test(`the tracer is killed at "${step}"${step in WINDOW ? ` (in the window: ${String(WINDOW[step])})` : ''}`, async (t) => {
		const target = await start(t, 'states', 'framed');
		await target.runs(TURNS);
		const { result } = await request(target.pid, step, 'tracer');
		t.is(result, 'EPIPE', 'the requester is told');
		if (WINDOW[step] === 'SIGSEGV') {
			await target.ended();
			t.is(target.process.signalCode, 'SIGSEGV');
			await until('nothing of it is left', () => running('states').length === 0);
		} else {
			await unharmed(target);
			const signals = BigInt(`0x${status(target.pid, 'SigBlk')}`);
			t.is(signals !== 0n, WINDOW[step] === 'masked', `blocked signals: ${signals.toString(16)}`);
			// What is left of a duplicate is dead: it waits for the target's end, or for its wait(__WALL).
			await until('no duplicate lives', () => children(target.pid).every((pid) => state(pid) === 'Z'));
			for (const pid of children(target.pid)) {
				const code = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').trim().split(' ').at(-1));
				t.true([9, 11].includes(code & 127), `it ended by SIGKILL, or at its first access to memory: ${code}`);
			}
		}
		t.is(target.number(DUPLICATE_RAN), 0, 'a duplicate ran the target\'s code');
	});

for (const kind of ['epoll_wait', 'recv-rcvtimeo'])
	for (const step of ['stopped', 'released'])
		test(`the tracer is killed at "${step}": a call that is blocked, ${kind}, goes on`, async (t) => {
			const target = await start(t, 'blocked', kind);
			await target.asleep();
			await request(target.pid, step, 'tracer');
			await target.asleep();
			target.tell('x');
			const [result, expected] = (await target.line()).split(' ');
			t.is(result, expected);
		});
