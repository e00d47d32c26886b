/**
 * Whoever is killed, at whatever step: what becomes of the target.
 * The target (targets/death.c) looks at its registers in every turn, counts
 * signals, and would tell if code of it ran in any other process.
 */
import test, { type ExecutionContext } from 'ava';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ProcsnapError, steps, Tracer } from '../../native/index.ts';
import { aMark, isFree, marked } from '../processes.ts';
import { children, sleep, start, state, status, tracerFor, until, type Target } from './help.ts';

// In all that is started here, and in duplicates of it.
const mark = aMark();
process.env[mark.split('=')[0]!] = mark.split('=')[1];

const [TURNS, BAD, SIGNALS, OTHER_PID, FAILED_SLEEPS, CUT_SLEEPS] = [1, 2, 3, 5, 6, 8];
const MODES = ['busy', 'asleep'];

/** Of a take and of an end, in order. */
const TAKE = [
	'checked', 'stopped', 'registers', 'masked', 'injected', 'entered', 'cloned', 'restored', 'unmasked', 'released',
	'held',
];
const END = ['killed', 'masked', 'injected', 'entered', 'restored', 'unmasked', 'buried'];

test('every step is among those tried', (t) => {
	t.deepEqual(steps().filter((step) => step !== 'none' && !TAKE.includes(step) && !END.includes(step)), []);
});

interface Requester { process: ChildProcess; said: unknown[]; ended: Promise<string> }

/** Start mortal.ts, which can be killed. */
function request(t: ExecutionContext, ...args: Array<string | number>): Requester {
	const script = fileURLToPath(new URL('mortal.ts', import.meta.url));
	const child = spawn(process.execPath, [script, ...args.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] });
	t.teardown(() => child.kill('SIGKILL'));
	const said: unknown[] = [];
	createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line)));
	const ended = new Promise<string>((resolve) =>
		child.on('close', (code, signal) => resolve(signal ?? `code ${String(code)}`)));
	return { process: child, said, ended };
}

/** Send signals until told to stop, each once the last one has been counted. Returns how many. */
function signals(target: Target): () => Promise<number> {
	let sent = 0, enough = false;
	const sender = (async () => {
		while (!enough) {
			target.process.kill('SIGUSR1');
			await target.atLeast(SIGNALS, ++sent);
			await sleep(1);
		}
	})();
	return async () => {
		enough = true;
		await sender;
		return sent;
	};
}

/** The target goes on as if nothing had been. */
async function assertUnharmed(t: ExecutionContext, target: Target, sent: number): Promise<void> {
	await until('nobody holds the target', () => isFree(target.pid));
	await target.runs(TURNS);
	await target.runs(TURNS);
	t.is(target.number(BAD), 0, 'a register has changed');
	t.is(target.number(SIGNALS), sent, 'signals');
	t.is(target.number(FAILED_SLEEPS), 0, 'a sleep failed');
	t.true(target.number(CUT_SLEEPS) <= sent, 'a sleep was cut off, and by no signal');
	t.is(target.number(OTHER_PID), 0, 'code of the target ran in another process');
	t.is(BigInt(`0x${status(target.pid, 'SigBlk')}`), 0n, 'the signal mask');
}

/** Of all that has the mark only the target is left. */
async function assertAlone(t: ExecutionContext, target: Target): Promise<void> {
	await until('only the target is left', () => marked(mark).every((pid) => pid === target.pid));
	t.is(target.number(OTHER_PID), 0, 'code of the target ran in another process');
}

for (const mode of MODES) {
	test(`the requester is killed at each step; target ${mode}`, async (t) => {
		const target = await start(t, 'death', mode), enough = signals(target);
		for (const [verb, steps] of [['at', TAKE], ['at-end', END]] as const)
			for (const step of steps) {
				t.is(await request(t, verb, step, target.pid).ended, 'SIGKILL', `the requester dies at ${step}`);
				await assertAlone(t, target);
				t.deepEqual(children(target.pid), [], `${verb} ${step}: a child is left, zombie or not`);
			}
		await assertUnharmed(t, target, await enough());
	});

	test(`the requester is killed while it has something; target ${mode}`, async (t) => {
		const target = await start(t, 'death', mode, 48);
		for (const verb of ['duplicate', 'hold']) {
			const requester = request(t, verb, target.pid);
			await until('it has it', () => requester.said.length === 2);
			t.is(isFree(target.pid), verb !== 'hold');
			t.is(children(target.pid).length, verb === 'hold' ? 0 : 1);
			requester.process.kill('SIGKILL');
			await requester.ended;
			await assertAlone(t, target);
			t.deepEqual(children(target.pid), []);
			await assertUnharmed(t, target, 0);
		}
		let amid = 0;
		for (let round = 0; round < 3; round++) {
			const requester = request(t, 'copies', target.pid);
			await until('the first copy', () => requester.said.length > 1);
			await sleep(round * 5);
			await until('the target is stopped', () => !isFree(target.pid));
			requester.process.kill('SIGKILL');
			if (!isFree(target.pid)) amid++;
			await requester.ended;
			await assertAlone(t, target);
			await assertUnharmed(t, target, 0);
		}
		t.true(amid > 0, 'killed while the target was stopped');
	});
}

/**
 * The tracer's own death. What it was about to put back stays as it is:
 * deaf	the target runs on with its own registers, and all signals blocked;
 * lost	it runs on with registers that are not its own, and dies of SIGSEGV.
 * This is the window, windowNs; at all other steps the target is unharmed.
 */
const WINDOW: Record<string, 'deaf' | 'lost'> = {
	masked: 'deaf', injected: 'lost', entered: 'lost', cloned: 'lost', restored: 'deaf',
};

/**
 * A duplicate was there, and the tracer that would have had it reaped is gone: it is a zombie until the target ends.
 */
const ZOMBIE = ['take restored', 'take unmasked', 'take released', 'take held', 'end killed', 'end masked'];

/** SIGKILL and SIGSTOP cannot be blocked. */
const ALL_BLOCKED = 0xffff_ffff_fffb_feffn;

async function afterTracer(
	t: ExecutionContext, target: Target, where: string, fate: 'unharmed' | 'deaf' | 'lost'
): Promise<void> {
	if (fate === 'lost') {
		await target.ended();
		t.is(target.process.signalCode, 'SIGSEGV', where);
	} else if (fate === 'deaf') {
		await until('nobody holds the target', () => isFree(target.pid));
		await target.runs(TURNS);
		t.is(target.number(BAD), 0);
		t.is(BigInt(`0x${status(target.pid, 'SigBlk')}`), ALL_BLOCKED, where);
		target.process.kill('SIGUSR1');
		await target.atLeast(TURNS, target.number(TURNS) + 100);
		t.is(target.number(SIGNALS), 0);
	} else {
		target.process.kill('SIGUSR1');
		await target.atLeast(SIGNALS, 1);
		await assertUnharmed(t, target, 1);
	}
	if (fate !== 'lost') {
		const left = children(target.pid);
		t.is(
			left.length, ZOMBIE.includes(where) ? 1 : 0,
			`${where}: children ${left.map((pid) => `${pid} ${state(pid)}`).join(', ')}`
		);
		for (const child of left) {
			await until('the duplicate is dead', () => state(child) === 'Z');
			const code = Number(readFileSync(`/proc/${child}/stat`, 'utf8').trim().split(' ').at(-1));
			t.true([9, 11].includes(code & 127), `it ended by SIGKILL, or at its first access to memory: ${code}`);
		}
	}
	// Whatever was cloned, it must not go on with the target's code.
	await assertAlone(t, target);
}

for (const mode of MODES)
	test(`the tracer is killed at each step; target ${mode}`, async (t) => {
		for (const [phase, steps] of [['take', TAKE], ['end', END]] as const)
			for (const step of steps) {
				const target = await start(t, 'death', mode), tracer = Tracer.start();
				await target.runs(TURNS);
				let error: unknown;
				try {
					if (phase === 'take') tracer.killAt(step, 'tracer');
					tracer.inject(target.pid);
					tracer.killAt(step, 'tracer');
					tracer.end();
				} catch (caught) {
					error = caught;
				}
				t.true(error instanceof ProcsnapError && error.code === 'EPIPE', `${phase} ${step}: ${String(error)}`);
				tracer.close();
				await afterTracer(t, target, `${phase} ${step}`, WINDOW[step] ?? 'unharmed');
				target.process.kill('SIGKILL');
				await target.ended();
			}
	});

for (const kind of ['epoll_wait', 'recv-rcvtimeo'])
	for (const step of ['stopped', 'released'])
		test(`the tracer is killed at "${step}": a call that is blocked, ${kind}, goes on`, async (t) => {
			const target = await start(t, 'blocked', kind), tracer = Tracer.start();
			await target.asleep();
			tracer.killAt(step, 'tracer');
			t.throws(() => tracer.inject(target.pid), { instanceOf: ProcsnapError });
			tracer.close();
			await target.asleep();
			target.tell('x');
			const [result, expected] = (await target.line()).split(' ');
			t.is(result, expected);
		});

test('the tracer is killed while it holds a duplicate, a target, a copy', async (t) => {
	const target = await start(t, 'death', 'busy', 16);
	for (const action of ['inject', 'hold', 'stopCopy'] as const) {
		const tracer = Tracer.start();
		tracer[action](target.pid);
		process.kill(tracer.pid, 'SIGKILL');
		await assertUnharmed(t, target, 0);
		tracer.close();
		await until('the duplicate is dead', () => children(target.pid).every((pid) => state(pid) === 'Z'));
		await assertAlone(t, target);
	}
	t.is(children(target.pid).length, 1);
});

test('the window is a part of the pause', async (t) => {
	const target = await start(t, 'death', 'busy'), tracer = tracerFor(t), windows: number[] = [];
	for (let i = 0; i < 101; i++) {
		const { windowNs, pauseNs } = tracer.inject(target.pid);
		t.true(windowNs > 0 && windowNs <= pauseNs);
		windows.push(windowNs);
		tracer.end();
	}
	t.log(`windowNs: median ${windows.sort((a, b) => a - b)[50]!}, largest ${windows[100]!}`);
});
