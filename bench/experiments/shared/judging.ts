/** Claims are judged by intervals: a figure whose interval spans the limit decides nothing. Pure. */
import { combinedInterval, LEAST_BLOCKS, type Statistic } from '../../stats/bootstrap.ts';
import type { Claim, VariantResult } from '../../types.ts';
import type { Estimate } from './figures.ts';

export type Verdict = Pick<Claim, 'holds' | 'undecided'>;

/** So many times the rounds are asked for at most; more would not be measured by anybody. */
const MOST_TIMES = 100;

/** The statistic of one quantity to that of another, as a ratio; null where one was not measured. */
export function ratioOf(
	a: VariantResult | undefined, b: VariantResult | undefined, metric: string, statistic: Statistic,
	metricOfB = metric
): Estimate | null {
	return combined(a, b, metric, statistic, metricOfB, (ofA, ofB) => ofA / ofB);
}

/** The statistic of one quantity less that of another. */
export function differenceOf(
	a: VariantResult | undefined, b: VariantResult | undefined, metric: string, statistic: Statistic,
	metricOfB = metric
): Estimate | null {
	return combined(a, b, metric, statistic, metricOfB, (ofA, ofB) => ofA - ofB);
}

function combined(
	a: VariantResult | undefined, b: VariantResult | undefined, metric: string, statistic: Statistic,
	metricOfB: string, combine: (ofA: number, ofB: number) => number
): Estimate | null {
	const left = a?.summary[metric], right = b?.summary[metricOfB];
	if (left === undefined || right === undefined) return null;
	const interval = combinedInterval(a?.blocks[metric] ?? [], b?.blocks[metricOfB] ?? [], statistic, combine);
	return {
		value: combine(left[statistic], right[statistic]), n: Math.min(left.n, right.n),
		blocks: Math.min(left.blocks, right.blocks), interval,
	};
}

/** Is the figure at most `limit`? */
export function isAtMost(estimate: Estimate | null, limit: number): Verdict {
	if (estimate === null) return { holds: null };
	const { interval, blocks } = estimate;
	if (interval === null) {
		return { holds: null, undecided: `it has no interval: ${blocks} of at least ${LEAST_BLOCKS} blocks` };
	}
	if (interval.high <= limit) return { holds: true };
	return interval.low > limit ? { holds: false } : { holds: null, undecided: moreRounds(estimate, limit) };
}

/** Is the figure above `limit`? */
export function isAbove(estimate: Estimate | null, limit: number): Verdict {
	const { holds, ...rest } = isAtMost(estimate, limit);
	return { holds: holds === null ? null : !holds, ...rest };
}

/** All of them: false where one is, whatever the others say. */
export function every(verdicts: readonly Verdict[]): Verdict {
	return verdicts.find(({ holds }) => holds === false)
		?? verdicts.find(({ undecided }) => undecided !== undefined)
		?? verdicts.find(({ holds }) => holds === null)
		?? (verdicts.length === 0 ? { holds: null } : { holds: true });
}

/** An interval shrinks with the root of the number of blocks: how many rounds would take it off the limit. */
function moreRounds({ value, interval, n }: Estimate, limit: number): string {
	const distance = Math.abs(value - limit);
	const reach = interval === null ? 0 : value > limit ? value - interval.low : interval.high - value;
	const times = (reach / distance) ** 2;
	return times <= MOST_TIMES
		? `some ${roundUp(n * times)} rounds would decide it, this run has ${n}`
		: 'too near the limit for any number of rounds: a quieter machine might decide it';
}

/** To one significant digit. */
function roundUp(count: number): string {
	const unit = 10 ** Math.floor(Math.log10(count));
	return (Math.ceil(count / unit) * unit).toLocaleString('en');
}
