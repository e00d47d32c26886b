/**
 * A requester with a tracer, which takes one target after the other until it is
 * told to stop, or killed: taker.ts JSON. Each take's end is reported as it ends.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Random } from '../../bench/stats/random.ts';
import { ProcsnapError, steps, Tracer } from '../../native/index.ts';
import { creditUntold, TakeCounts } from './counts.ts';
import type { Documented } from './kinds.ts';
import { Page } from './page.ts';
import { reasonOf, type Outcome } from './tally.ts';

export interface TakerOptions {
	seed: number;
	/** Takes a second. */
	rate: number;
	targets: Array<{ page: string; longer: boolean; documented: Documented | null }>;
	/** Does this kernel have create_proc_snap()? */
	snap: boolean;
	/** The probability that requester or tracer is killed in a take. */
	deaths: number;
}

export type Mechanism = 'inject' | 'stop' | 'hold' | 'syscall';

export type Report =
	/** What follows may be lost: whoever is killed between the two has reported no counts. */
	| { kind: 'begun'; target: number }
	/**
	 * `counted`: effects that docs/inject.md names (kinds.ts, `documented`); null: the tracer was killed, and with it
	 * its counts. `untold`: the tracer may stop the target again, and has not told by now what that does.
	 */
	| {
		kind: 'take'; target: number; mechanism: Mechanism; outcome: Outcome; reason?: string; counted: number | null;
		untold: boolean;
	}
	/** Counted after its end, by a tracer that is about to be closed. */
	| { kind: 'counted'; target: number; counted: number }
	/** That tracer has told all. */
	| { kind: 'left' }
	/** Its tracer: to be known where it is left over. */
	| { kind: 'tracer'; pid: number }
	/** What is about to be done by itself. */
	| { kind: 'death'; whom: 'tracer' | 'requester'; step: string; target: number }
	| { kind: 'wrong'; what: string };

/**
 * Whoever is killed here, docs/inject.md says that the target goes on as if nothing had been. At the other steps the
 * tracer's death is known to do harm.
 */
const SAFE_FOR_TRACER = ['checked', 'buried'];
const KINDS: Array<[Mechanism, number]> = [['inject', 0.8], ['stop', 0.08], ['hold', 0.08], ['syscall', 0.4]];

const say = (report: Report): void => void process.send?.(report);

class Taker {
	readonly #options: TakerOptions;
	readonly #random: Random;
	readonly #pages: Page[];
	#tracer: Tracer | undefined;
	/** What that one was asked for, the last one last. */
	#taken: number[] = [];
	/** The tracer is to die, by us. */
	#doomed = false;

	constructor(options: TakerOptions) {
		this.#options = options;
		this.#random = createRandom(options.seed);
		this.#pages = options.targets.map(({ page }) => new Page(page));
	}

	#between = (from: number, to: number): number => from + this.#random() * (to - from);

	#mechanism(): Mechanism {
		const possible = KINDS.filter(([name]) => name !== 'syscall' || this.#options.snap);
		let point = this.#random() * possible.reduce((total, [, weight]) => total + weight, 0);
		return possible.find(([, weight]) => (point -= weight) < 0)?.[0] ?? 'inject';
	}

	#start(): Tracer {
		if (this.#tracer === undefined) {
			this.#tracer = Tracer.start({ dataBytes: 1 << 20, priority: 1 });
			this.#doomed = false;
			this.#taken = [];
			say({ kind: 'tracer', pid: this.#tracer.pid });
		}
		return this.#tracer;
	}

	#leave(): void {
		if (this.#tracer === undefined) return;
		try {
			const { calls } = this.#tracer.untold();
			const documented = this.#options.targets.map((target) => target.documented);
			for (const credit of creditUntold(calls, this.#taken, documented)) say({ kind: 'counted', ...credit });
			say({ kind: 'left' });
		} catch (error) {
			if (!(error instanceof ProcsnapError)) throw error;	// the tracer was killed
		}
		this.#tracer.close();
		this.#tracer = undefined;
	}

	async run(stopped: () => boolean): Promise<void> {
		const gapMs = 1000 / this.#options.rate;
		for (let next = performance.now(); !stopped(); next = Math.max(
			next + this.#between(0.2, 1.8) * gapMs, performance.now() - 1000
		)) {
			await sleep(Math.max(0, next - performance.now()));
			const target = Math.floor(this.#random() * this.#pages.length), pid = this.#pages[target]!.pid();
			// The same numbers are drawn whether there is a process or not: a seed gives the same sequence.
			const mechanism = this.#mechanism(), dies = this.#random() < this.#options.deaths;
			const pauseMs = this.#random() < (this.#options.targets[target]!.longer ? 0.3 : 0.01)
				? this.#between(200, 3500)
				: this.#between(0, 30);
			const [whom, at] = [this.#random() < 0.7 ? 'requester' as const : 'tracer' as const, this.#random()];
			if (pid === 0) continue;
			// One that dies takes the calls with it that it follows: those of this target alone.
			if (dies && mechanism === 'inject' && whom === 'tracer') this.#leave();
			const tracer = this.#start();
			if (dies && mechanism === 'inject') {
				this.#plan(tracer, whom, at, target);
				// The soak excuses what the tracer's death does to calls that it follows: from before that on.
				for (let i = 0; whom === 'tracer' && i < 500 && !this.#pages[target]!.isExcused(); i++) await sleep(2);
			}
			await this.#take(tracer, target, pid, mechanism, pauseMs);
			// A take that was refused has not come to that step: another target's is not to die there, which nobody
			// excuses.
			if (dies && mechanism === 'inject') this.#leave();
		}
		this.#leave();
	}

	/** At a step of this take or of its end, one of the two will die. */
	#plan(tracer: Tracer, whom: 'tracer' | 'requester', at: number, target: number): void {
		const among = whom === 'tracer' ? SAFE_FOR_TRACER : steps().filter((name) => name !== 'none');
		const step = among[Math.floor(at * among.length)]!;
		say({ kind: 'death', whom, step, target });
		this.#doomed = whom === 'tracer';
		tracer.killAt(step, whom);
	}

	async #take(tracer: Tracer, target: number, pid: number, mechanism: Mechanism, pauseMs: number): Promise<void> {
		let outcome: Outcome = 'refused', reason: string | undefined, untold = false, leaves = false;
		const counts = new TakeCounts(() => tracer.lastCalls.calls, this.#options.targets[target]!.documented);
		this.#taken.push(target);
		say({ kind: 'begun', target });
		try {
			if (mechanism === 'inject' || mechanism === 'syscall') {
				const { pid: duplicate } = mechanism === 'inject'
					? counts.during(() => tracer.inject(pid))
					: tracer.snap(pid);
				outcome = 'taken';
				if (!looksRight(tracer, duplicate))
					[outcome, reason] = ['wrong', 'the duplicate does not begin with an ELF header'];
			} else if (mechanism === 'stop') {
				counts.during(() => tracer.stopCopy(pid));
				outcome = 'taken';
			} else {
				counts.during(() => tracer.hold(pid));
				outcome = 'taken';
			}
			await sleep(pauseMs);
			const ended = outcome;
			outcome = 'unclean';
			if (mechanism === 'hold') tracer.letGo();
			else untold = counts.during(() => tracer.end()).unburied !== null;
			outcome = ended;
		} catch (error) {
			if (!(error instanceof ProcsnapError)) throw error;
			reason = `${error.code}: ${reasonOf(error.message)}`;
			untold = mechanism !== 'syscall' || outcome !== 'refused';
			if (error.code === 'EPIPE') {
				counts.lose();
				if (this.#doomed) reason = 'the tracer was killed by the soak';
				else say({ kind: 'wrong', what: 'a tracer died that nobody killed' });
				this.#tracer?.close();
				this.#tracer = undefined;
			}
			// It stays for that thread by itself, whether its requester is there or not: for others there is another
			// tracer.
			if (error.message.startsWith('this tracer still waits')) {
				leaves = true;
				untold = false;
			}
		}
		const { counted } = counts;
		say({ kind: 'take', target, mechanism, outcome, ...(reason === undefined ? {} : { reason }), counted, untold });
		if (leaves) this.#leave();
	}
}

/** Some of its memory is read: the first page of its program. */
function looksRight(tracer: Tracer, duplicate: number): boolean {
	const start = firstMapping(duplicate);
	if (start === null) return true;		// ended by somebody else meanwhile: its end tells
	try {
		const { bytes } = tracer.read('proc-mem', duplicate, start, 4096);
		return bytes === 4096 && Buffer.from(tracer.data.subarray(0, 4)).equals(Buffer.from('\x7fELF', 'latin1'));
	} catch (error) {
		if (error instanceof ProcsnapError && error.code === 'ESRCH') return true;
		throw error;
	}
}

function firstMapping(pid: number): bigint | null {
	let fd: number | undefined;
	try {
		fd = openSync(`/proc/${pid}/maps`, 'r');
		const line = Buffer.alloc(64);
		return readSync(fd, line) > 0 ? BigInt(`0x${line.toString('latin1').split('-', 1)[0]!}`) : null;
	} catch {
		return null;
	} finally {
		if (fd !== undefined) closeSync(fd);
	}
}

let stopped = false;
process.on('message', () => stopped = true);
process.on('disconnect', () => stopped = true);
// Ctrl-C reaches the whole group: the soak tells us what to do.
process.on('SIGINT', () => {});
await new Taker(JSON.parse(process.argv[2] ?? '{}') as TakerOptions).run(() => stopped);
process.disconnect();
