/**
 * What take and hidden have in common: look at the target, copy it, and say of each region how it can be captured.
 * The target is touched by the copy alone.
 */
import { Failure, isGone } from '../common/errors.ts';
import {
	coredumpFilterOf, countersOf, livingThread, regionsOf, startTicksOf, type Counters, type Identity,
} from '../common/proc/process.ts';
import { withFiles } from '../common/proc/mapped-files.ts';
import { bytesOf, parseRegions, uncovered, type Region } from '../common/proc/regions.ts';
import { aTurn } from '../common/turns.ts';
import type { CopyProgress, CopyRoom, Image, Mechanism, Still } from '../mechanisms/shared/types.ts';
import { nowNs, ProcsnapError, secretDevice, Tracer, type StoppedInVain } from '../native/index.ts';
import type { Instant } from './evidence/manifest.ts';
import {
	classify, classifyRunning, inOrder, missingRegions, wipedAndGone, type Classified,
} from './evidence/provenance.ts';
import { TargetMemory } from './evidence/target-memory.ts';

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
			await aTurn(signal);
		}
	} finally {
		steps.return(undefined as never);
	}
}

/** A target, and its copy as soon as there is one. */
export class Survey {
	/** Of the target, before the copy. */
	readonly counters: Counters;
	/** Of the target, before the copy: core(5). null: not known. */
	readonly coredumpFilter: number | null;
	readonly #target: Pick<Identity, 'pid' | 'startTicks'>;
	readonly #mapped: Region[];
	/** Or why the target's own memory may not be opened. */
	readonly #live: TargetMemory | { refusal: unknown };
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
		this.coredumpFilter = coredumpFilterOf(pid);
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
		if (!(this.#live instanceof TargetMemory)) {
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
		return this.#live instanceof TargetMemory;
	}

	/** The target's own memory. */
	get live(): TargetMemory {
		if (!(this.#live instanceof TargetMemory)) throw this.#live.refusal;
		return this.#live;
	}

	/** After `copy`. Throws Failure where the copy is gone already. */
	get image(): Image {
		this.#image ??= this.#still?.image?.();
		if (this.#image === undefined) throw new Error('there is no copy yet, or it has no image');
		return this.#image;
	}

	/**
	 * After `copy`: how each region can be captured. The target may have changed, or ended, since then; what was copied
	 * of it in its stop is `live` for those who read. Throws what `signal` was aborted with.
	 */
	async classified(signal?: AbortSignal): Promise<Classified[]> {
		const { pid } = this.#target, secret = secretDevice();
		const { forked = false, keepsShared, ofOneMoment = true } = this.#mechanism ?? {};
		const files = (of: number, regions: readonly Region[]): Region[] =>
			withFiles(livingThread(of), regions, secret);
		if (!ofOneMoment) return classifyRunning(files(pid, await this.image.regions()));
		const left = (this.#still?.leftOut?.regions ?? [])
			.map(({ maps, pages }) => ({ region: hiddenRegion(maps), pages }));
		const kept = left.flatMap(({ region, pages }) => (pages === null ? [] : [{ region, pages }]));
		const keptRegions = kept.map(({ region }) => region);
		this.live.keep(kept);

		const ofCopy = files(this.#still?.pid || pid, await this.image.regions(signal));
		await aTurn(signal);
		const after = regionsIfThere(pid);
		await aTurn(signal);
		const gone = forked ? wipedAndGone(ofCopy, after) : [];
		const there = inOrder([...ofCopy, ...keptRegions]);
		const leftBehind = inOrder(left.flatMap(({ region, pages }) => (pages === null ? [region] : [])));
		// Where nothing is missing its page tables are not walked for them.
		const isMissing = leftBehind.length > 0 || uncovered(this.#mapped, there).length > 0;
		const flagged = isMissing ? await this.live.regions(signal) : null;
		const { absent, lost } = missingRegions(this.#mapped, after, there, () => flagged, leftBehind);
		const classified = classify(
			uncovered(ofCopy, gone), files(pid, [...absent, ...keptRegions]), forked, [
				...lost.map(({ region, errno }) => ({ region: files(pid, [region])[0] ?? region, errno })),
				...gone.map((region) => ({ region, errno: 'ENODATA' as const })),
			], keepsShared
		);
		return classified.map((each) => (this.live.isKept(each.region) ? { ...each, kept: true } : each));
	}

	/**
	 * Bytes of addresses that a fork has left out, and of which nobody knows where they were: they were not found in
	 * the time that a stop may last.
	 */
	unlocatedBytes(classified: readonly Classified[]): number {
		const { bytes = 0, regions = [] } = this.#still?.leftOut ?? {};
		const sum = (found: readonly Region[]): number => found.reduce((total, region) => total + bytesOf(region), 0);
		if (sum(regions.map(({ maps }) => hiddenRegion(maps))) >= bytes) return 0;
		return Math.max(0, bytes - sum(classified.flatMap(({ region, from }) =>
			(from !== 'duplicate' && region.flags.has('dc') ? [region] : []))));
	}

	/** Closes files; the copy stays until `still.end()`. Once or more. */
	close(): void {
		this.#image?.close();
		if (this.#live instanceof TargetMemory) this.#live.close();
	}
}

/** Of its line of maps: that it was left out shows what flag it has. */
function hiddenRegion(maps: string): Region {
	const [region] = parseRegions(maps);
	if (region === undefined) throw new Error(`not a line of /proc/PID/maps: ${JSON.stringify(maps)}`);
	return { ...region, flags: new Set(['dc']) };
}

/** Throws Failure where the process has ended. */
function openLive(pid: number): TargetMemory | { refusal: unknown } {
	try {
		return new TargetMemory(pid);
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
