/** Starting the workloads of workloads/ and giving them commands, over the page of workloads/control.h. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hasEnded } from '../../common/proc/process.ts';
import { Shared } from '../../native/index.ts';
import type { Lab, Target } from '../types.ts';

/** Words of struct control. */
const WORD = {
	ready: 0, commandSeq: 1, command: 2, argument: 3, doneSeq: 4, result: 5,
	regionAddress: 13, regionBytes: 14, spinStop: 15, spinning: 16, largestGapNs: 17, counter: 19, passes: 32,
} as const;
const COMMAND = { exit: 1, fork: 2, reap: 3, spin: 4, update: 5, dirty: 6 } as const;
const RESULTS = 8;
const PASSES = 4096;
const BYTES = (WORD.passes + 2 * PASSES) * 8;
/** ticker: its log, from the next whole page on. */
const TICKS = 128 << 10;
const TICKS_WORD = Math.ceil(BYTES / 4096) * 4096 / 8;
const TICK_WORDS = 4;
const BYTES_WITH_TICKS = (TICKS_WORD + TICK_WORDS * TICKS) * 8;

/** Long enough for a machine that is busy elsewhere; a workload that takes longer hangs. */
const COMMAND_TIMEOUT_MS = 30_000;
const LOOK_MS = 500;

export const programPath = (name: string): string =>
	fileURLToPath(new URL(`../../workloads/build/${name}`, import.meta.url));

/** `detached`: Ctrl-C on the terminal is not the workload's; it ends with us (PR_SET_PDEATHSIG). */
export function startProgram(
	name: string, args: string[], stdio: Array<'pipe' | 'ignore' | 'inherit' | number>, env = process.env
): ChildProcess {
	return spawn(programPath(name), args, { stdio, detached: true, cwd: '/', env });
}

/** `--cpu` and `--fifo` as the lab has them for targets. */
export const placement = ({ targetCpu, targetPriority }: Lab): string[] =>
	['--cpu', String(targetCpu), ...(targetPriority > 0 ? ['--fifo', String(targetPriority)] : [])];

export async function ended(child: ChildProcess): Promise<void> {
	if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** One period of a ticker; CLOCK_MONOTONIC_RAW, nanoseconds. */
export interface Tick {
	/** When it should have begun. */
	dueNs: number;
	beganNs: number;
	endedNs: number;
	/** Minor faults of the ticker in all, by its end. */
	faults: number;
}

/** A running workload. */
export class Workload implements Target {
	readonly pid: number;
	readonly #child: ChildProcess;
	readonly #shared: Shared;

	private constructor(child: ChildProcess, shared: Shared) {
		this.pid = child.pid as number;
		this.#child = child;
		this.#shared = shared;
	}

	/** Resolves when the workload is set up. Rejects with its own message if it cannot be. */
	static async start(name: string, args: string[]): Promise<Workload> {
		const shared = new Shared(BYTES_WITH_TICKS);
		const child = startProgram(name, args, ['pipe', 'ignore', 'pipe', shared.fd]);
		let said = '';
		child.stderr?.setEncoding('utf8').on('data', (text: string) => { said += text; });
		await once(child, 'spawn');
		shared.closeFd();
		while (!shared.waitFor(WORD.ready, 1, 5)) {
			await setImmediate();
			if (child.exitCode !== null || child.signalCode !== null) {
				const why = said.trim() || (child.signalCode ?? `exit ${child.exitCode}`);
				throw new Error(`the workload ${name} ${args.join(' ')} did not start: ${why}`);
			}
		}
		return new Workload(child, shared);
	}

	get regionAddress(): bigint {
		return this.#word(WORD.regionAddress);
	}

	get regionBytes(): number {
		return Number(this.#word(WORD.regionBytes));
	}

	/** The workload's own progress: passes, rounds of writing. */
	get counter(): number {
		return Number(this.#word(WORD.counter));
	}

	/** Sleep until the counter is at least `value`. */
	awaitCounter(value: number): void {
		if (!this.#waitFor(WORD.counter, value)) {
			throw new Error(
				`workload ${this.pid} stands still: its counter has not reached ${value} within ` +
					`${COMMAND_TIMEOUT_MS / 1000} s`
			);
		}
	}

	/** The last result that the workload left at `index` of result[]. */
	result(index: number): number {
		return Number(this.#word(WORD.result + index));
	}

	#word(index: number): bigint {
		return Atomics.load(this.#shared.words, index);
	}

	/** false: it took too long. Throws where the workload has ended: this process hears of nothing as it waits. */
	#waitFor(word: number, value: number | bigint): boolean {
		for (let waitedMs = 0; waitedMs < COMMAND_TIMEOUT_MS; waitedMs += LOOK_MS) {
			if (this.#shared.waitFor(word, value, LOOK_MS)) return true;
			if (hasEnded(this.pid)) throw new Error(`workload ${this.pid} has ended, though nobody asked it to`);
		}
		return false;
	}

	#command(code: number, argument = 0): number[] {
		const { words } = this.#shared;
		words[WORD.command] = BigInt(code);
		words[WORD.argument] = BigInt(argument);
		const seq = Atomics.add(words, WORD.commandSeq, 1n) + 1n;
		this.#shared.wake(WORD.commandSeq);
		if (!this.#waitFor(WORD.doneSeq, seq)) {
			throw new Error(
				`workload ${this.pid} did not answer command ${code} within ${COMMAND_TIMEOUT_MS / 1000} s`
			);
		}
		return Array.from({ length: RESULTS }, (_, i) => this.result(i));
	}

	/** The workload forks itself; its child is still and can be read. `forkNs` is the fork() call, timed inside. */
	fork(): { pid: number; forkNs: number } {
		const [forkNs, pid] = this.#command(COMMAND.fork) as [number, number];
		if (pid <= 0) throw new Error(`workload ${this.pid} could not fork: errno ${-pid}`);
		return { pid, forkNs };
	}

	reap(pid: number): void {
		this.#command(COMMAND.reap, pid);
	}

	/** Run `action` while the workload reads the clock in a loop: the longest time for which it could not, in ns. */
	longestGap<T>(action: () => T): { gapNs: number; value: T } {
		const { words } = this.#shared;
		this.#command(COMMAND.spin);
		try {
			const value = action();
			return { value, gapNs: this.#stopSpinning() };
		} finally {
			Atomics.store(words, WORD.spinStop, 1n);
		}
	}

	#stopSpinning(): number {
		const { words } = this.#shared;
		Atomics.store(words, WORD.spinStop, 1n);
		for (const until = performance.now() + COMMAND_TIMEOUT_MS; Atomics.load(words, WORD.spinning) !== 0n;) {
			if (performance.now() > until) throw new Error(`workload ${this.pid} does not leave its loop`);
		}
		return Number(this.#word(WORD.largestGapNs));
	}

	/** It writes to each page of its region: none is write-protected any more by an earlier duplicate. */
	dirty(): void {
		this.#command(COMMAND.dirty);
	}

	/** updater: one pass now, outside of its period. */
	update(): { durationNs: number; minorFaults: number } {
		const [durationNs, minorFaults] = this.#command(COMMAND.update) as [number, number];
		return { durationNs, minorFaults };
	}

	/**
	 * updater: sleep until pass number `pass` (from 0) is done; when it began (CLOCK_MONOTONIC_RAW) and how long it
	 * took.
	 */
	pass(pass: number): { startNs: number; durationNs: number } {
		this.awaitCounter(pass + 1);
		const at = WORD.passes + 2 * (pass % PASSES);
		return { startNs: Number(this.#shared.words[at]), durationNs: Number(this.#shared.words[at + 1]) };
	}

	/** ticker: its periods from number `from` (from 0) on, in order. Throws where there is no room for so many. */
	ticks(from: number): Tick[] {
		const { words } = this.#shared, count = this.counter - from;
		if (count > TICKS) throw new Error(`workload ${this.pid} has made ${count} periods, and notes the last ${TICKS}`);
		return Array.from({ length: count }, (_, i): Tick => {
			const at = TICKS_WORD + TICK_WORDS * ((from + i) % TICKS);
			const [dueNs = 0, beganNs = 0, endedNs = 0, faults = 0] = words.subarray(at, at + TICK_WORDS);
			return {
				dueNs: Number(dueNs), beganNs: Number(beganNs), endedNs: Number(endedNs), faults: Number(faults),
			};
		});
	}

	async close(): Promise<void> {
		this.#child.kill('SIGKILL');
		await ended(this.#child);
	}
}
