/**
 * A requester with a tracer, which takes one target after the other until it is
 * told to stop, or killed: taker.ts JSON. Each take's end is reported as it ends.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Random } from '../../bench/stats/random.ts';
import { codeOf, Failure } from '../../common/errors.ts';
import { hasEnded } from '../../common/proc/process.ts';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import type { Mechanism, Still } from '../../mechanisms/shared/types.ts';
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
	/** The probability that requester or tracer is killed in a take. */
	deaths: number;
}

/** What is no mechanism for evidence: the classical copy, and a target that is only held. */
const OTHERS = ['stop', 'hold'] as const;
/** Of each of them. */
const OTHERS_PROBABILITY = 0.08;
/** Each in its turn. */
const EVIDENCE = forEvidence().filter(({ unavailable }) => unavailable() === null);

type Way = Mechanism | typeof OTHERS[number];
const nameOf = (way: Way): string => (typeof way === 'string' ? way : way.name);

export type Report =
	/** What follows may be lost: whoever is killed between the two has reported no counts. */
	| { kind: 'begun'; target: number }
	/**
	 * `counted`: effects that docs/inject.md names (kinds.ts, `documented`); null: the tracer was killed, and with it
	 * its counts. `untold`: the tracer may stop the target again, and has not told by now what that does.
	 */
	| {
		kind: 'take'; target: number; mechanism: string; outcome: Outcome; reason?: string; counted: number | null;
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
	#turn: number;

	constructor(options: TakerOptions) {
		this.#options = options;
		this.#random = createRandom(options.seed);
		this.#turn = options.seed % EVIDENCE.length;
		this.#pages = options.targets.map(({ page }) => new Page(page));
	}

	#between = (from: number, to: number): number => from + this.#random() * (to - from);

	#way(): Way {
		const point = Math.floor(this.#random() / OTHERS_PROBABILITY);
		return OTHERS[point] ?? EVIDENCE[this.#turn++ % EVIDENCE.length]!;
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
			const way = this.#way(), dies = this.#random() < this.#options.deaths && typeof way !== 'string';
			const pauseMs = this.#random() < (this.#options.targets[target]!.longer ? 0.3 : 0.01)
				? this.#between(200, 3500)
				: this.#between(0, 30);
			const [whom, at] = [this.#random() < 0.7 ? 'requester' as const : 'tracer' as const, this.#random()];
			if (pid === 0) continue;
			// One that dies takes the calls with it that it follows: those of this target alone.
			if (dies && whom === 'tracer') this.#leave();
			const tracer = this.#start();
			if (dies) {
				this.#plan(tracer, whom, at, target);
				// The soak excuses what the tracer's death does to calls that it follows: from before that on.
				for (let i = 0; whom === 'tracer' && i < 500 && !this.#pages[target]!.isExcused(); i++) await sleep(2);
			}
			await this.#take(tracer, target, pid, way, pauseMs);
			// A take that was refused has not come to that step: another target's is not to die there, which nobody
			// excuses.
			if (dies) this.#leave();
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

	async #take(tracer: Tracer, target: number, pid: number, way: Way, pauseMs: number): Promise<void> {
		let outcome: Outcome = 'refused', reason: string | undefined, untold = false, leaves = false;
		const counts = new TakeCounts(() => tracer.lastCalls.calls, this.#options.targets[target]!.documented);
		this.#taken.push(target);
		say({ kind: 'begun', target });
		try {
			const still = counts.during(() => begin(tracer, pid, way));
			outcome = 'taken';
			if (still !== null && !looksRight(still, pid))
				[outcome, reason] = ['wrong', `the copy by ${nameOf(way)} does not begin with an ELF header`];
			await sleep(pauseMs);
			const ended = outcome;
			outcome = 'unclean';
			if (way === 'hold') tracer.letGo();
			else untold = counts.during(() => still === null ? tracer.end() : still.end()).unburied !== null;
			outcome = ended;
		} catch (error) {
			// It has ended meanwhile: nothing is held by then.
			if (error instanceof Failure) {
				say({
					kind: 'take', target, mechanism: nameOf(way), outcome: 'refused', reason: reasonOf(error.message),
					counted: counts.counted, untold: false,
				});
				return;
			}
			if (!(error instanceof ProcsnapError)) throw error;
			reason = `${error.code}: ${reasonOf(error.message)}`;
			untold = true;
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
		say({
			kind: 'take', target, mechanism: nameOf(way), outcome, ...(reason === undefined ? {} : { reason }), counted,
			untold,
		});
		if (leaves) this.#leave();
	}
}

/** null: there is nothing to read. */
function begin(tracer: Tracer, pid: number, way: Way): Still | null {
	if (way === 'hold') tracer.hold(pid);
	else if (way === 'stop') tracer.stopCopy(pid);
	else return way.open(tracer, { pid });
	return null;
}

/** Some of its memory is read: the first page of its program. */
function looksRight(still: Still, target: number): boolean {
	const start = still.pid === 0 ? firstRegion(still) : firstMapping(still.pid);
	if (start === null) return true;		// ended by somebody else meanwhile: its end tells
	try {
		const bytes = still.read(start, 4096);
		return bytes.length === 4096 && Buffer.from(bytes.subarray(0, 4)).equals(Buffer.from('\x7fELF', 'latin1'));
	} catch (error) {
		if (error instanceof ProcsnapError && error.code === 'ESRCH') return true;
		// Of a copy that is no process, its program is read from its file, which a target that has ended has no way to.
		if (codeOf(error) === 'EIO' && hasEnded(target)) return true;
		throw error;
	}
}

function firstRegion(still: Still): bigint | null {
	const regions = still.image?.().regions();
	// A copy that is no process has them at once.
	const region = Array.isArray(regions) ? regions[0] : undefined;
	return region === undefined ? null : BigInt(region.start);
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
