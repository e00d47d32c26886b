/** What several experiments' tables and charts need. Pure. */
import { MECHANISMS } from '../../../mechanisms/shared/all.ts';
import type { Interval } from '../../stats/bootstrap.ts';
import type { CellValue, Results, Summary, VariantResult } from '../../types.ts';

export const US = 1e3;
export const MS = 1e6;
export const KIB = 1024;
export const MIB = 1024 * 1024;

/** A number of a metric's summary divided by `divisor`; null where it was not measured. */
export function of(
	variant: VariantResult | undefined, metric: string, statistic: keyof Summary, divisor = 1
): number | null {
	const value = variant?.summary[metric]?.[statistic];
	return value === undefined || value === null ? null : value / divisor;
}

export const roundsOf = (variant: VariantResult | undefined, metric: string): number | null => of(variant, metric, 'n');

/** a / b, or null if either is missing. */
export const ratio = (a: number | null, b: number | null): number | null =>
	(a === null || b === null || b === 0 ? null : a / b);

/** A statistic of a quantity, with the interval that it has where there are blocks enough. */
export interface Estimate {
	value: number;
	interval: Interval | null;
	n: number;
	blocks: number;
}

/** A quantity's median; null: it was not measured. */
export const medianOf = (variant: VariantResult | undefined, metric: string): Estimate | null =>
	estimateFrom(variant?.summary[metric], 'median');

/** A quantity's mean; null: it was not measured. */
export const meanOf = (variant: VariantResult | undefined, metric: string): Estimate | null =>
	estimateFrom(variant?.summary[metric], 'mean');

function estimateFrom(summary: Summary | undefined, statistic: 'median' | 'mean'): Estimate | null {
	if (summary === undefined) return null;
	const { n, blocks } = summary, low = summary[`${statistic}Low`], high = summary[`${statistic}High`];
	return { value: summary[statistic], interval: low === null || high === null ? null : { low, high }, n, blocks };
}

/** `0.25 to 0.36`, three significant digits each; null: there is no interval. */
export const between = (estimate: Estimate | null, divisor: number): CellValue => (estimate?.interval == null
	? null
	: [estimate.interval.low, estimate.interval.high].map((bound) => Number((bound / divisor).toPrecision(3)))
		.join(' to '));

/** `168 µs (150 to 190)`: a time with its interval; `not measured`. */
export function timeWithin(estimate: Estimate | null): string {
	if (estimate === null) return 'not measured';
	const { value, interval } = estimate;
	return interval === null ? time(value) : `${time(value)} (${time(interval.low)} to ${time(interval.high)})`;
}

/** `1.9 × (1.5 to 2.4)`: a ratio with its interval. */
export function timesWithin(estimate: Estimate | null): string {
	if (estimate === null) return 'not measured';
	const digits = (value: number): string => String(Number(value.toPrecision(3)));
	const { value, interval } = estimate;
	return `${digits(value)} ×${interval === null ? '' : ` (${digits(interval.low)} to ${digits(interval.high)})`}`;
}

/** The floor under all mechanisms: a target that copies itself. */
const FLOORS = new Set(MECHANISMS.filter(({ cooperative }) => cooperative).map(({ name }) => name));

export const isFloor = ({ factors }: Pick<VariantResult, 'factors'>): boolean =>
	FLOORS.has(String(factors['mechanism']));

/** One median with its 95 % interval a variant, as rows for a chart. */
export function medianPoints(
	variants: VariantResult[], metric: string, divisor: number
): Array<Record<string, string | number>> {
	return variants.flatMap((variant) => {
		const summary = variant.summary[metric];
		return summary === undefined ? [] : [{
			...variant.factors,
			median: summary.median / divisor,
			// A chart draws no line where there is no interval.
			low: (summary.medianLow ?? summary.median) / divisor,
			high: (summary.medianHigh ?? summary.median) / divisor,
		}];
	});
}

/** Factors of all variants, under one name, each value once, in order. */
export function levels(results: Results, factor: string): Array<string | number> {
	return [...new Set(results.variants.flatMap(({ factors }) => factors[factor] ?? []))];
}

/** `4 KiB`, `28 MiB`, `1 GiB`. */
export function size(bytes: number): string {
	const [unit, divisor] = bytes >= 1024 * MIB ? ['GiB', 1024 * MIB] : bytes >= MIB ? ['MiB', MIB] : ['KiB', KIB];
	return `${+(bytes / (divisor)).toFixed(1)} ${unit}`;
}

/** `168 µs`, `0.25 ms`: three significant digits. */
export function time(ns: number): string {
	const [unit, divisor] = ns >= 1e9 ? ['s', 1e9] : ns >= 1e6 ? ['ms', 1e6] : ['µs', 1e3];
	return `${+(ns / (divisor)).toPrecision(3)} ${unit}`;
}
