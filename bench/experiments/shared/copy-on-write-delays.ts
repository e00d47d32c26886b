/** By how much a duplicate delays an update, and which region stays within a budget. Pure. */
import type { Results, VariantResult } from '../../types.ts';
import { of, type Estimate } from './figures.ts';
import { differenceOf } from './judging.ts';

const PAGE_KIB = 4;

/** Delay of one statistic of the passes with a duplicate, against the mean without, as the paper computes it. In ns. */
export function delay(
	variant: VariantResult | undefined, statistic: 'min' | 'mean' | 'median' | 'max' | 'p95', metric = 'withNs'
): number | null {
	const value = of(variant, metric, statistic);
	const without = of(variant, 'withoutNs', 'mean');
	return value === null || without === null ? null : value - without;
}

/** The mean delay with its interval: both means are of the same rounds. */
export const meanDelay = (variant: VariantResult | undefined): Estimate | null =>
	differenceOf(variant, variant, 'withNs', 'mean', 'withoutNs');

export const perPage = (ns: number | null, sizeKiB: number): number | null =>
	(ns === null ? null : ns / (sizeKiB / PAGE_KIB));
export const scaled = (ns: number | null, divisor: number): number | null => (ns === null ? null : ns / divisor);

/** Points of growing size, of a delay each. */
type Delays = Array<{ kib: number; ns: number }>;

/** The region at which the delay reaches the budget, by straight lines between the sizes measured. */
export function largestRegionKiB(delays: Delays, budgetNs: number): { kib: number; beyond: boolean } | null {
	let last = { kib: 0, ns: 0 };
	for (const point of delays.sort((a, b) => a.kib - b.kib)) {
		if (point.ns > budgetNs)
			return {
				kib: last.kib + ((budgetNs - last.ns) / (point.ns - last.ns)) * (point.kib - last.kib), beyond: false,
			};
		last = point;
	}
	return delays.length === 0 ? null : { kib: last.kib, beyond: true };
}

/** By the paper's reckoning: the budget divided by the longest delay a page, least and most over the sizes. */
export function byLongestPage(
	results: Results, mechanism: string, budgetNs: number, metric: string
): [number, number] | null {
	const regions = results.where({ mechanism }).flatMap((variant) => {
		const page = perPage(delay(variant, 'max', metric), Number(variant.factors.sizeKiB));
		return page === null || page <= 0 ? [] : [budgetNs / page * PAGE_KIB];
	});
	return regions.length === 0 ? null : [Math.min(...regions), Math.max(...regions)];
}

export const rangeOf = (regions: [number, number] | null): string | null =>
	(regions === null ? null : regions.map((kib) => Math.floor(kib)).join(' to '));
