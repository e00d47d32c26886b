import { quantileSorted } from 'simple-statistics';
import { createRandom, gamma, type Random } from './random.ts';

const RESAMPLES = 1000;
/** Fixed: the same samples have the same interval, in every process. */
const SEED = 0x70726f63;

/**
 * Bootstrap percentile interval (95 %) of the median of sorted samples.
 *
 * A resample draws n of the n samples with replacement; its median depends on
 * nothing but the middle order statistic of the n positions drawn. Positions are
 * floor(n * U) of n uniform U, and floor keeps order, so that order statistic is
 * floor(n * U(k)) with U(k) the k-th smallest of n uniforms: Beta(k, n + 1 - k).
 * Drawing that one number gives exactly the distribution of the medians that
 * drawing and sorting n positions would give, at a cost that does not grow with n.
 */
export function medianInterval(sorted: readonly number[]): { low: number; high: number } {
	const only = sorted[0];
	if (only === undefined) {
		throw new RangeError('medianInterval: no samples, so no median: leave the quantity out instead');
	}
	if (sorted.length === 1) {
		return { low: only, high: only };
	}
	const random = createRandom(SEED);
	const medians = Array.from({ length: RESAMPLES }, () => resampledMedian(sorted, random));
	medians.sort((a, b) => a - b);
	return { low: quantileSorted(medians, 0.025), high: quantileSorted(medians, 0.975) };
}

/** The median of one resample. */
export function resampledMedian(sorted: readonly number[], random: Random): number {
	const n = sorted.length;
	const k = Math.floor((n + 1) / 2);
	const a = gamma(k, random);
	const b = gamma(n + 1 - k, random);
	const lower = a / (a + b);
	if (n % 2 === 1) {
		return at(sorted, lower);
	}
	// Above U(k) lie n - k more uniforms; the next is the smallest of them.
	const upper = 1 - (1 - lower) * (1 - random()) ** (1 / (n - k));
	return (at(sorted, lower) + at(sorted, upper)) / 2;
}

function at(sorted: readonly number[], uniform: number): number {
	const position = Math.min(sorted.length - 1, Math.floor(uniform * sorted.length));
	return sorted[position] as number;
}

/**
 * Bootstrap percentile interval (95 %) of the median of all rounds of several blocks. Rounds of one block are more
 * alike than those of two: so blocks are drawn with replacement, and of each one drawn, rounds. Of a single block that
 * is the interval of its rounds, which knows nothing of what another block would have given.
 */
export function medianIntervalOfBlocks(blocks: ReadonlyArray<readonly number[]>): { low: number; high: number } {
	const filled = blocks.filter((rounds) => rounds.length > 0), all = filled.flat();
	if (all.length === 0) {
		throw new RangeError('medianIntervalOfBlocks: no samples, so no median: leave the quantity out instead');
	}
	const random = createRandom(SEED);
	const draw = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
	const medians = Array.from({ length: RESAMPLES }, () => {
		const drawn = filled.flatMap(() => draw(filled).map((_, __, rounds) => draw(rounds))).sort((a, b) => a - b);
		return quantileSorted(drawn, 0.5);
	}).sort((a, b) => a - b);
	return { low: quantileSorted(medians, 0.025), high: quantileSorted(medians, 0.975) };
}
