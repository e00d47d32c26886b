/**
 * Intervals that respect blocks. Rounds of one block share a target, and a moment of the machine: they are more alike
 * than those of two blocks (a third of the variance lies between blocks in our runs). An interval that takes them for
 * independent holds the true median in 6 of 10 trials where it says 95 %.
 *
 * So a resample draws blocks with replacement, and of each one drawn, rounds with replacement. Of few blocks that is
 * still too narrow, as a normal interval is where Student's t is due: it is widened by the same factor, which depends
 * on the number of blocks alone. test/bench/stats/bootstrap.test.ts counts how often the outcome holds the truth.
 */
import { quantileSorted } from 'simple-statistics';
import { createRandom } from './random.ts';
import { studentT975 } from './student-t.ts';

const RESAMPLES = 1000;
/** Fixed: the same samples have the same interval, in every process. */
const SEED = 0x70726f63;
/** Of fewer no interval is given: of two, it would be 13 times as wide as their difference. */
export const LEAST_BLOCKS = 3;
/** The 97.5th percentile of the standard normal distribution. */
const NORMAL_975 = 1.959964;

/** The rounds of one metric, block by block, in the order of measuring. */
export type Blocks = ReadonlyArray<readonly number[]>;

export type Statistic = 'median' | 'mean';

export interface Interval {
	low: number;
	high: number;
}

/** The statistic of all rounds of all blocks. */
export function estimateOf(blocks: Blocks, statistic: Statistic): number {
	const all = blocks.flat();
	if (all.length === 0) {
		throw new RangeError('a statistic of no samples: leave the quantity out instead');
	}
	return statistic === 'mean'
		? all.reduce((sum, value) => sum + value, 0) / all.length
		: quantileSorted(all.sort((a, b) => a - b), 0.5);
}

/** The 95 % interval of a statistic; null where there are fewer than `LEAST_BLOCKS` blocks with rounds. */
export function intervalOf(blocks: Blocks, statistic: Statistic): Interval | null {
	const filled = withRounds(blocks);
	if (filled.length < LEAST_BLOCKS) {
		return null;
	}
	return widened(estimateOf(filled, statistic), resampled(filled, statistic), filled.length);
}

/**
 * The 95 % interval of a statistic of one quantity combined with that of another: their ratio, say. Where both have as
 * many blocks, the n-th of one is drawn with the n-th of the other, since they were measured one after the other, or
 * in the same round: what slows the machine for both cancels out. Null as for `intervalOf`.
 */
export function combinedInterval(
	a: Blocks, b: Blocks, statistic: Statistic, combine: (ofA: number, ofB: number) => number
): (Interval & { estimate: number }) | null {
	const left = withRounds(a), right = withRounds(b), blocks = Math.min(left.length, right.length);
	if (blocks < LEAST_BLOCKS) {
		return null;
	}
	const ofB = resampled(right, statistic);
	const estimate = combine(estimateOf(left, statistic), estimateOf(right, statistic));
	const replicates = resampled(left, statistic).map((value, i) => combine(value, ofB[i] as number));
	return { estimate, ...widened(estimate, replicates, blocks) };
}

const withRounds = (blocks: Blocks): Blocks => blocks.filter((rounds) => rounds.length > 0);

/** The percentile interval of `replicates`, each bound as much farther from the estimate as few blocks demand. */
function widened(estimate: number, replicates: Float64Array, blocks: number): Interval {
	const sorted = replicates.sort();
	const factor = studentT975(blocks - 1) / NORMAL_975 * Math.sqrt(blocks / (blocks - 1));
	const bound = (share: number): number => estimate + factor * (quantileSorted(sorted as never, share) - estimate);
	// What no resample has below nothing, as a time, is not said to be perhaps.
	const least = (sorted[0] as number) >= 0 ? 0 : -Infinity;
	return { low: Math.max(least, bound(0.025)), high: bound(0.975) };
}

/** The statistic of each of `RESAMPLES` resamples, in the order in which they were drawn. */
function resampled(blocks: Blocks, statistic: Statistic): Float64Array {
	// Of their own: quantities of as many blocks draw the same blocks, however many rounds each has.
	const drawBlock = createRandom(SEED), drawRound = createRandom(SEED + 1);
	const evaluate = statistic === 'mean' ? meanOfDrawn(blocks) : medianOfDrawn(blocks);
	return Float64Array.from({ length: RESAMPLES }, () => evaluate((take) => {
		for (let drawn = 0; drawn < blocks.length; drawn++) {
			const block = Math.floor(drawBlock() * blocks.length), { length } = blocks[block] as readonly number[];
			for (let round = 0; round < length; round++) take(block, Math.floor(drawRound() * length));
		}
	}));
}

/** Calls `take` for each round drawn. */
type Draw = (take: (block: number, round: number) => void) => void;

function meanOfDrawn(blocks: Blocks): (draw: Draw) => number {
	return (draw) => {
		let sum = 0, count = 0;
		draw((block, round) => {
			sum += blocks[block]?.[round] as number;
			count += 1;
		});
		return sum / count;
	};
}

/** Sorts once, and counts how often each place was drawn: no resample is sorted. */
function medianOfDrawn(blocks: Blocks): (draw: Draw) => number {
	const places = blocks.flatMap((rounds, block) => rounds.map((value, round) => ({ value, block, round })))
		.sort((a, b) => a.value - b.value);
	const rank = blocks.map((rounds) => new Uint32Array(rounds.length));
	places.forEach(({ block, round }, place) => {
		(rank[block] as Uint32Array)[round] = place;
	});
	const times = new Uint32Array(places.length);
	return (draw) => {
		times.fill(0);
		let count = 0;
		draw((block, round) => {
			const place = rank[block]?.[round] as number;
			times[place] = (times[place] as number) + 1;
			count += 1;
		});
		const at = (index: number): number => {
			let place = -1;
			for (let passed = 0; passed <= index; passed += times[place] as number) place += 1;
			return places[place]?.value as number;
		};
		return (at(Math.floor((count - 1) / 2)) + at(Math.floor(count / 2))) / 2;
	};
}
