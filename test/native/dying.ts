/**
 * Somebody is killed while a copy is made of targets/death.c, which looks at its registers in every turn, counts
 * signals, and would tell if code of it ran in any other process.
 */
import type { ExecutionContext } from 'ava';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { aMark, isFree, marked } from '../processes.ts';
import { children, sleep, state, status, until, type Target } from './help.ts';

// In all that is started here, and in duplicates of it.
const mark = aMark();
process.env[mark.split('=')[0]!] = mark.split('=')[1];

export const [TURNS, BAD, SIGNALS, OTHER_PID, FAILED_SLEEPS, CUT_SLEEPS] = [1, 2, 3, 5, 6, 8];
export const MODES = ['busy', 'asleep'];

/** Of a copy by precopy, in order. */
export const PRECOPY = [
	'checked', 'stopped', 'masked', 'injected', 'entered', 'restored', 'unmasked', 'released', 'protecting', 'moment',
	'checking', 'unprotecting', 'unregistering',
];

export interface Requester { process: ChildProcess; said: unknown[]; ended: Promise<string> }

/** Start mortal.ts, which can be killed. */
export function request(t: ExecutionContext, ...args: Array<string | number>): Requester {
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
export function signals(target: Target): () => Promise<number> {
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
export async function assertUnharmed(t: ExecutionContext, target: Target, sent: number): Promise<void> {
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
export async function assertAlone(t: ExecutionContext, target: Target): Promise<void> {
	await until('only the target is left', () => marked(mark).every((pid) => pid === target.pid));
	t.is(target.number(OTHER_PID), 0, 'code of the target ran in another process');
}

/**
 * The tracer's own death. What it was about to put back stays as it is:
 * deaf	the target runs on with its own registers, and all signals blocked;
 * lost	it runs on with registers that are not its own, and dies of SIGSEGV.
 * This is the window, windowNs; at all other steps the target is unharmed.
 */
export const WINDOW: Record<string, 'deaf' | 'lost'> = {
	masked: 'deaf', injected: 'lost', entered: 'lost', cloned: 'lost', restored: 'deaf',
};

/** SIGKILL and SIGSTOP cannot be blocked. */
const ALL_BLOCKED = 0xffff_ffff_fffb_feffn;

/** What is left of the target when its tracer has been killed. */
export async function afterTracer(
	t: ExecutionContext, target: Target, where: string, fate: 'unharmed' | 'deaf' | 'lost', zombies: number
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
			left.length, zombies,
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
