/**
 * A copy that lies in a file of the evidence's folder becomes the core: what it has of large regions stays where it is,
 * and is not written once more. The core's head goes before it, where there is room, and all other regions behind it.
 * Pure.
 */
import type { CopyFile } from '../../mechanisms/shared/types.ts';
import type { Run } from '../../common/proc/pagemap.ts';
import type { Content, Segment } from './core.ts';
import { isDigested } from './manifest.ts';

export interface InPlace {
	/** In the core: what lies between is of the copy's file, and so is what lies between its segments until the end. */
	range: Run;
	segments: ReadonlyMap<Content, Segment[]>;
}

/** As much of what stays may lie between, as zeros: a copy of the core may have them, where the core has none. */
export const MOST_GAPS = 1 / 4;
/** More runs of pages are not worth a look at each. */
const MOST_RUNS = 8192;

/**
 * null: it does not pay. A region with a SHA-256 of its own does not stay, since its bytes come by in their order, and
 * one region after the other, only behind.
 */
export function whatStays(
	contents: readonly Content[], { headBytes, bytes, placesOf }: Pick<CopyFile, 'headBytes' | 'bytes' | 'placesOf'>
): InPlace | null {
	const segments = new Map<Content, Segment[]>();
	let kept = 0;
	for (const content of contents) {
		const size = content.runs.reduce((sum, { start, end }) => sum + end - start, 0);
		if (size === 0 || isDigested(size) || content.from !== 'duplicate' || content.runs.length > MOST_RUNS) continue;
		const places = content.runs.map(placesOf);
		if (!places.every((found) => found !== null)) continue;
		segments.set(content, places.flat());
		kept += size;
	}
	const range = { start: headBytes, end: bytes };
	return kept > 0 && range.end - range.start - kept <= kept * MOST_GAPS ? { range, segments } : null;
}

/** What of the range is of no segment, in order. */
export function gapsIn({ start, end }: Run, segments: readonly Segment[]): Run[] {
	const gaps: Run[] = [];
	let at = start;
	for (const { offset, start: first, end: last } of segments.toSorted((a, b) => a.offset - b.offset)) {
		if (offset > at) gaps.push({ start: at, end: offset });
		at = offset + last - first;
	}
	return at < end ? [...gaps, { start: at, end }] : gaps;
}
