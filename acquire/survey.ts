/**
 * What take and hidden have in common: look at the target, copy it, and say of each region how it can be captured.
 * The target is touched by the copy alone.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Failure, isGone } from '../common/errors.ts';
import { countersOf, regionsOf, startTicksOf, type Counters, type Identity } from '../common/proc/process.ts';
import { uncovered, type Region } from '../common/proc/regions.ts';
import type { CopyProgress, CopyRoom, Image, Mechanism, Still } from '../mechanisms/shared/types.ts';
import { nowNs, ProcsnapError, Tracer, type StoppedInVain } from '../native/index.ts';
import { LiveTarget } from './evidence/live.ts';
import type { Instant } from './evidence/manifest.ts';
import { classify, missingRegions, type Classified } from './evidence/provenance.ts';

/**
 * The tracer of a take. FIFO priority 1: ahead of ordinary processes, because the target is stopped meanwhile; where
 * that is not allowed, the tracer does without.
 */
export const startTracer = (stopLimitMs: number | undefined): Tracer =>
	Tracer.start({ priority: 1, ...(stopLimitMs === undefined ? {} : { stopLimitMs }) });

export const instantNow = (): Instant => ({ wallClock: new Date().toISOString(), monotonicNs: Number(nowNs()) });

const NOTHING_STOPPED: StoppedInVain = {
	pauseNs: 0, calls: { restartedCalls: 0, lengthenedTimeouts: 0, cutCalls: 0, calls: [] },
};

export interface HowToCopy {
	/** Where a copy is kept that is no process. */
	room?: CopyRoom;
	copying?: ((progress: CopyProgress) => void) | undefined;
	signal?: AbortSignal | undefined;
	/** Told when a mechanism has given up, and another one is tried. */
	gaveUp?: ((told: { mechanism: Mechanism; reason: string; next: Mechanism }) => void) | undefined;
}

/** Between the steps signals are heard. */
async function inSteps(steps: Generator<CopyProgress, Still>, { copying, signal }: HowToCopy): Promise<Still> {
	try {
		for (;;) {
			const { done, value } = steps.next();
			if (done === true) return value;
			copying?.(value);
			await nextTurn();
			signal?.throwIfAborted();
		}
	} finally {
		steps.return(undefined as never);
	}
}

/** A target, and its copy as soon as there is one. */
export class Survey {
	/** Of the target, before the copy. */
	readonly counters: Counters;
	readonly #target: Pick<Identity, 'pid' | 'startTicks'>;
	readonly #mapped: Region[];
	/** Or why the target's own memory may not be opened. */
	readonly #live: LiveTarget | { refusal: unknown };
	#mechanism: Mechanism | undefined;
	#still: Still | undefined;
	#image: Image | undefined;

	/**
	 * Looks at the target. Throws Failure where it is gone; `startTicks` tells it from a later process with its pid.
	 */
	constructor(target: Pick<Identity, 'pid' | 'startTicks'>) {
		const { pid, startTicks } = target;
		this.#target = target;
		this.counters = countersOf(pid);
		this.#mapped = regionsOf(pid, 'maps');
		this.#live = openLive(pid);
		try {
			// After all that is opened by its pid.
			if (startTicksOf(pid) !== startTicks)
				throw new Failure(`process ${pid} ended, and another one has its pid now: nothing was taken`);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	/**
	 * Copies the target; `how` is for a copy that takes its time. Throws Failure where the mechanism is not for
	 * evidence, what open(2) gives where the target's own memory may not be opened, ProcsnapError where the copy is
	 * refused (ENOTSUP: this machine has not what it needs), and what `signal` was aborted with.
	 */
	async copy(tracer: Tracer, mechanism: Mechanism, how: HowToCopy = {}): Promise<Still> {
		if (mechanism.notForEvidence !== null) throw new Failure(mechanism.notForEvidence);
		const unavailable = mechanism.unavailable();
		if (unavailable !== null) throw new ProcsnapError('ENOTSUP', unavailable, NOTHING_STOPPED);
		if (!(this.#live instanceof LiveTarget)) {
			// Where the target may not be traced either, this says so, and better.
			mechanism.estimate?.(tracer, this.#target.pid);
			throw this.#live.refusal;
		}
		this.#mechanism = mechanism;
		this.#still = mechanism.copying === undefined
			? mechanism.open(tracer, this.#target)
			: await inSteps(mechanism.copying(tracer, this.#target, how.room), how);
		return this.#still;
	}

	get still(): Still | undefined {
		return this.#still;
	}

	/** The target's regions before the copy, without flags. */
	get mapped(): readonly Region[] {
		return this.#mapped;
	}

	/** May its own memory be opened? Where not, a copy says why. */
	get hasLive(): boolean {
		return this.#live instanceof LiveTarget;
	}

	/** The target's own memory. */
	get live(): LiveTarget {
		if (!(this.#live instanceof LiveTarget)) throw this.#live.refusal;
		return this.#live;
	}

	/** After `copy`. Throws Failure where the copy is gone already. */
	get image(): Image {
		this.#image ??= this.#still?.image?.();
		if (this.#image === undefined) throw new Error('there is no copy yet, or it has no image');
		return this.#image;
	}

	/**
	 * After `copy`: how each region can be captured. The target may have changed, or ended, since then. Throws what
	 * `signal` was aborted with.
	 */
	async classified(signal?: AbortSignal): Promise<Classified[]> {
		const regions = await this.image.regions();
		const after = regionsIfThere(this.#target.pid);
		// Where nothing is missing its page tables are not walked for them.
		const flagged = uncovered(this.#mapped, regions).length > 0 ? await this.live.regions(signal) : null;
		const { absent, lost } = missingRegions(this.#mapped, after, regions, () => flagged);
		return classify(regions, absent, this.#mechanism?.forked ?? false, lost, this.#mechanism?.keepsShared);
	}

	/** Closes files; the copy stays until `still.end()`. Once or more. */
	close(): void {
		this.#image?.close();
		if (this.#live instanceof LiveTarget) this.#live.close();
	}
}

/** Throws Failure where the process has ended. */
function openLive(pid: number): LiveTarget | { refusal: unknown } {
	try {
		return new LiveTarget(pid);
	} catch (refusal) {
		if (isGone(refusal)) throw new Failure(`process ${pid} ended just when it was looked at: nothing was taken`);
		return { refusal };
	}
}

/** null: the process has ended. */
function regionsIfThere(pid: number): Region[] | null {
	try {
		return regionsOf(pid, 'maps');
	} catch (error) {
		if (error instanceof Failure) return null;
		throw error;
	}
}
