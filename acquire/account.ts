/** What a take has cost the target, and what it did not get: the manifest's ledger, and why evidence is partial. */
import { countersOf, executedBy, startTicksOf } from '../common/proc/process.ts';
import type { Counters, Executed, Identity } from '../common/proc/process.ts';
import { nowNs } from '../native/index.ts';
import { allCounts, type Attempts } from './attempts.ts';
import { withEnd } from './calls.ts';
import type { StillEnd } from './ending.ts';
import type { CoreLayout } from './evidence/core.ts';
import type { LiveTarget } from './evidence/live.ts';
import type { Incomplete, Ledger } from './evidence/manifest.ts';
import type { CoreSource, Unreadable } from './evidence/source.ts';
import { ENDED_BY_OTHERS } from './failing.ts';
import type { Moment } from './moment.ts';
import type { CutOff } from './reading-out.ts';

/** What is known of the copy's end. */
export interface CopyEnd extends StillEnd {
	/** When it began, CLOCK_MONOTONIC_RAW. */
	atNs: number;
	copiedBytes: number | null;
	/** Why it was ended before all of it was read; null: it was not, by us. */
	early: string | null;
}

export function ledgerOf(
	{ still: { figures }, image }: Moment, end: CopyEnd, counters: Counters, target: Identity, attempts: Attempts
): Ledger {
	const { endPauseNs, unburied, endedEarly, endFailed, counts } = end;
	const { restartedCalls, lengthenedTimeouts, cutCalls, calls } = withEnd(
		allCounts(figures.calls, attempts.inVain), counts
	);
	const after = tryCounters(target);
	return {
		pauseNs: attempts.longestPauseNs, takeNs: figures.takeNs, endPauseNs,
		minorFaults: after === null ? null : after.minorFaults - counters.minorFaults,
		majorFaults: after === null ? null : after.majorFaults - counters.majorFaults,
		residentKiBBefore: counters.residentKiB, residentKiBAfter: after?.residentKiB ?? null,
		copiedBytes: end.copiedBytes, restartedCalls, lengthenedTimeouts,
		duplicateLivedNs: end.atNs - image.momentNs, cutCalls, calls, unburied,
		endedEarly, endFailed, attempts: [...attempts.made],
	};
}

/** The end of a copy that is read, or given up for the reason `early`. Throws what `signal` was aborted with. */
export async function copyEnd(
	{ image }: Pick<Moment, 'image'>, end: () => StillEnd, early: string | null, signal?: AbortSignal
): Promise<CopyEnd> {
	const copiedBytes = await image.copiedBytes(signal), atNs = Number(nowNs());
	return { copiedBytes, atNs, ...end(), early };
}

/** null: all that was to be read was read, and written. */
export function incompleteOf(
	{ lost }: Pick<CoreSource, 'lost'>, { early, endedEarly, endFailed }: CopyEnd, cutOff: CutOff | null, bytes: number
): Incomplete | null {
	if (cutOff !== null) return { reason: cutOff.reason, missingBytes: bytes - cutOff.at, sinceNs: cutOff.sinceNs };
	if (lost === null) return null;
	return {
		reason: endedEarly ?? early ?? endFailed ?? ENDED_BY_OTHERS, missingBytes: lost.bytes, sinceNs: lost.sinceNs,
	};
}

/** What could not be read, and what could not be written. In order of address. */
export function missing(
	unreadable: readonly Unreadable[], { contents }: CoreLayout, cutOff: CutOff | null
): readonly Unreadable[] {
	if (cutOff === null) return unreadable;
	const { at } = cutOff;
	const cut = contents.flatMap(({ segments }) => segments)
		.filter(({ start, end, offset }) => offset + end - start > at)
		.map(({ start, end, offset }) => ({ start: start + Math.max(0, at - offset), end, errno: 'ENOSPC' }))
		.sort((a, b) => a.start - b.start);
	const before = unreadable.flatMap((part) => outside(part, cut));
	return [...before, ...cut].sort((a, b) => a.start - b.start);
}

/** What of a part is in none of the others, which are in order of address. */
function outside(part: Unreadable, others: readonly Unreadable[]): Unreadable[] {
	const left: Unreadable[] = [];
	let at = part.start;
	for (const { start, end } of others) {
		if (end <= at || start >= part.end) continue;
		if (start > at) left.push({ ...part, start: at, end: start });
		at = end;
	}
	return at < part.end ? [...left, { ...part, start: at }] : left;
}

/** null: the target has ended by itself meanwhile. Its evidence is there all the same. */
function tryCounters({ pid, startTicks }: Identity): Counters | null {
	try {
		const counters = countersOf(pid);
		return startTicksOf(pid) === startTicks ? counters : null;
	} catch {
		return null;
	}
}

/** What the target executes by now; null: what it did at the moment, or it has ended. */
export function executedSince(
	{ pid, startTicks }: Identity, live: Pick<LiveTarget, 'isThere'>, executed: Executed
): Executed | null {
	if (live.isThere()) return null;
	try {
		const now = executedBy(pid);
		if (startTicksOf(pid) !== startTicks) return null;
		return now.program === executed.program && now.commandLine.join('\0') === executed.commandLine.join('\0')
			? null
			: now;
	} catch {
		return null;
	}
}
