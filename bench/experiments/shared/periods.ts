/** What a target's periods say of what was done to it meanwhile. Pure. All times are nanoseconds of one clock. */
import { mean } from 'simple-statistics';
import type { Tick } from '../../targets/workload.ts';

/** Some time in which something was done to the target, or nothing. */
export interface Span {
	name: string;
	startNs: number;
	endNs: number;
}

/** How late a target's periods were. */
export interface Lateness {
	periods: number;
	/** Of these, later than is tolerated; and those that were missed altogether, which are counted in `periods` too. */
	late: number;
	/** Of the latest one; null: there was no period. */
	worstNs: number | null;
}

/** Of one period the part by which its work was done later than usual. */
interface Period { dueNs: number; endedNs: number; lateNs: number; missed: number }

const median = (values: readonly number[]): number =>
	[...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** From when a period is due until its work is done: the median. */
export const usualNs = (ticks: readonly Tick[]): number => median(ticks.map(({ dueNs, endedNs }) => endedNs - dueNs));

/**
 * Work is late by what it is done later than is usual: whether it began late or took longer. Of a period that kept
 * others from being begun, these are its missed ones.
 */
export function periodsOf(ticks: readonly Tick[], periodNs: number, usual: number): Period[] {
	return ticks.map(({ dueNs, endedNs }, i) => ({
		dueNs, endedNs, lateNs: Math.max(0, endedNs - dueNs - usual),
		missed: Math.max(0, Math.round(((ticks[i + 1]?.dueNs ?? dueNs + periodNs) - dueNs) / periodNs) - 1),
	}));
}

/** The span in which most of a period lay, from when it was due until it was done; none: it lay outside of all. */
function spanOf<S extends Span>({ dueNs, endedNs }: Period, spans: readonly S[]): S | undefined {
	let most = 0, found: S | undefined;
	for (const span of spans) {
		const shared = Math.min(endedNs, span.endNs) - Math.max(dueNs, span.startNs);
		if (shared > most) [most, found] = [shared, span];
	}
	return found;
}

/** How late periods were in each span, in the order of spans. A period counts in one of them at most. */
export function latenessIn(
	periods: readonly Period[], spans: readonly Span[], toleratedNs: number
): Lateness[] {
	const found = new Map(spans.map((span): [Span, Lateness] => [span, { periods: 0, late: 0, worstNs: null }]));
	for (const period of periods) {
		const span = spanOf(period, spans), lateness = span === undefined ? undefined : found.get(span);
		if (lateness === undefined) continue;
		lateness.periods += 1 + period.missed;
		lateness.late += Number(period.lateNs > toleratedNs) + period.missed;
		lateness.worstNs = Math.max(lateness.worstNs ?? 0, period.lateNs);
	}
	return [...found.values()];
}

/** Of several spans together. */
export function sumOf(parts: readonly Lateness[]): Lateness {
	const worst = parts.flatMap(({ worstNs }) => worstNs ?? []);
	return {
		periods: parts.reduce((sum, { periods }) => sum + periods, 0),
		late: parts.reduce((sum, { late }) => sum + late, 0),
		worstNs: worst.length === 0 ? null : Math.max(...worst),
	};
}

/** The same spans at another time; what lies behind `endNs` then is cut off, or left empty. */
export function movedTo<S extends Span>(spans: readonly S[], startNs: number, endNs: number): S[] {
	const byNs = startNs - (spans[0]?.startNs ?? startNs);
	return spans.map((span) => ({
		...span, startNs: Math.min(endNs, span.startNs + byNs), endNs: Math.min(endNs, span.endNs + byNs),
	}));
}

/** What is between the given spans, from `startNs` to `endNs`, becomes spans of the name `between`. All in order. */
export function filled<S extends Span>(
	spans: readonly S[], startNs: number, endNs: number, between: (startNs: number, endNs: number) => S
): S[] {
	const all: S[] = [];
	let at = startNs;
	for (const span of spans) {
		if (span.startNs > at) all.push(between(at, span.startNs));
		all.push(span);
		at = Math.max(at, span.endNs);
	}
	return endNs > at ? [...all, between(at, endNs)] : all;
}

/**
 * What the target itself spent more than usual in [startNs, endNs): minor faults, and the time that its work took
 * longer. `idle`: periods in which nothing was done to it.
 */
export function extraOf(
	ticks: readonly Tick[], idle: readonly Tick[], startNs: number, endNs: number
): { faults: number; workNs: number } {
	const work = ({ beganNs, endedNs }: Tick): number => endedNs - beganNs;
	const first = ticks.findIndex(({ endedNs }) => endedNs > startNs);
	const inside = first < 0 ? [] : ticks.slice(first).filter(({ beganNs }) => beganNs < endNs);
	const before = ticks[first - 1] ?? inside[0], last = inside.at(-1);
	// Of sums the mean tells: the longest ones are rare, and in both.
	const usual = idle.length === 0 ? Number.NaN : mean(idle.map(work));
	return {
		faults: before === undefined || last === undefined ? 0 : last.faults - before.faults,
		workNs: inside.reduce((sum, tick) => sum + work(tick) - usual, 0),
	};
}
