import { quantileSorted } from 'simple-statistics';
import type { Summary } from '../types.ts';
import { estimateOf, intervalOf, type Blocks } from './bootstrap.ts';

/**
 * A percentile is given where the samples bound it from above: with probability 0.975 at least one of n lies beyond
 * the p-quantile, so 1 - p^n >= 0.975. With fewer it is little else than the maximum.
 */
export const P95_NEEDS = 72, P99_NEEDS = 368;

/**
 * The summary of a quantity's samples, block by block. Quantiles interpolate linearly between
 * the two nearest samples (type 7 of Hyndman and Fan, as R and NumPy do).
 * Nothing is thrown out: an outlier is a result where availability is the question.
 */
export function summarize(blocks: Blocks): Summary {
	const sorted = blocks.flat().sort((a, b) => a - b);
	const unusable = sorted.find((sample) => !Number.isFinite(sample));
	if (sorted.length === 0 || unusable !== undefined) {
		throw new RangeError(
			sorted.length === 0
				? 'summarize: no samples: leave the quantity out instead'
				: `summarize: a sample is ${unusable}, not a number: drop such rounds first`,
		);
	}
	const median = intervalOf(blocks, 'median'), mean = intervalOf(blocks, 'mean');
	return {
		n: sorted.length,
		blocks: blocks.filter((rounds) => rounds.length > 0).length,
		min: sorted[0] as number,
		median: quantileSorted(sorted, 0.5),
		medianLow: median?.low ?? null,
		medianHigh: median?.high ?? null,
		mean: estimateOf(blocks, 'mean'),
		meanLow: mean?.low ?? null,
		meanHigh: mean?.high ?? null,
		p95: sorted.length < P95_NEEDS ? null : quantileSorted(sorted, 0.95),
		p99: sorted.length < P99_NEEDS ? null : quantileSorted(sorted, 0.99),
		max: sorted.at(-1) as number,
	};
}
