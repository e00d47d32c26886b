import { mean, quantileSorted } from 'simple-statistics';
import type { Summary } from '../types.ts';
import { medianInterval } from './bootstrap.ts';

/** Below this many samples the 99th percentile is little else than the maximum. */
export const P99_NEEDS = 100;

/**
 * The summary of a quantity's samples. Quantiles interpolate linearly between
 * the two nearest samples (type 7 of Hyndman and Fan, as R and NumPy do).
 * Nothing is thrown out: an outlier is a result where availability is the question.
 */
export function summarize(samples: readonly number[]): Summary {
	const unusable = samples.findIndex((sample) => !Number.isFinite(sample));
	if (samples.length === 0 || unusable !== -1) {
		throw new RangeError(
			samples.length === 0
				? 'summarize: no samples: leave the quantity out instead'
				: `summarize: sample ${unusable} is ${samples[unusable]}, not a number: drop such rounds first`,
		);
	}
	const sorted = [...samples].sort((a, b) => a - b);
	const interval = medianInterval(sorted);
	return {
		n: sorted.length,
		min: sorted[0] as number,
		median: quantileSorted(sorted, 0.5),
		medianLow: interval.low,
		medianHigh: interval.high,
		mean: mean(sorted),
		p95: quantileSorted(sorted, 0.95),
		p99: sorted.length < P99_NEEDS ? null : quantileSorted(sorted, 0.99),
		max: sorted[sorted.length - 1] as number,
	};
}
