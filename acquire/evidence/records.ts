/** What the manifest says of each region, and how that is written. Pure, but that others have their turn meanwhile. */
import type { CoreLayout, PlacedContent } from './core.ts';
import type { Ranges } from './digest-worker.ts';
import { isDigested, type Manifest, type RegionRecord } from './manifest.ts';
import { HASH_BYTES } from './merkle.ts';
import type { Planned } from './plan.ts';
import type { Run } from '../../common/proc/pagemap.ts';
import { hasFile, type Region } from '../../common/proc/regions.ts';
import type { CoreSource, ReadTime, Unreadable } from './source.ts';
import { inTurns } from '../../common/turns.ts';

/** By halves: of a number above 2^32 the digits are found by division, one by one. */
export function hex(address: number): string {
	const high = Math.floor(address / 2 ** 32), low = (address >>> 0).toString(16);
	return high === 0 ? `0x${low}` : `0x${high.toString(16)}${low.padStart(8, '0')}`;
}

/** Where in the core the regions lie that have a SHA-256 of their own. */
export function digestedRanges({ contents }: CoreLayout): Ranges {
	const ranges: number[] = [];
	for (const content of contents) {
		const start = content.segments[0]?.offset ?? 0, bytes = bytesOf(content);
		if (isDigested(bytes)) ranges.push(start, start + bytes);
	}
	return Float64Array.from(ranges);
}

const bytesOf = ({ segments }: Pick<PlacedContent, 'segments'>): number =>
	segments.reduce((sum, { start, end }) => sum + end - start, 0);

const NO_SEGMENTS: PlacedContent['segments'] = [];

/**
 * `digests`: those of `digestedRanges`, one after the other. `planned` is in order of address. Throws what `signal` was
 * aborted with.
 */
export async function recordRegions(
	planned: readonly Planned[], layout: CoreLayout, source: {
		times: readonly ReadTime[]; unreadable: readonly Unreadable[]; takenBack: CoreSource['takenBack'];
	},
	digests: Buffer, signal?: AbortSignal
): Promise<RegionRecord[]> {
	const { times, unreadable, takenBack } = source, hexText = digests.toString('hex');
	let index = 0, digest = 0;
	const refusals = new Refusals(unreadable), records: RegionRecord[] = [];
	await inTurns(planned, ({ region, capture, from, runs, lost, kept }) => {
		const at = runs.length === 0 ? -1 : index++;
		const segments = at < 0 ? NO_SEGMENTS : layout.contents[at]?.segments ?? NO_SEGMENTS;
		const time = at < 0 ? undefined : times[at];
		const bytes = bytesOf({ segments });
		const first = hex(region.start);
		const hashAt = isDigested(bytes) ? HASH_CHARACTERS * digest++ : -1;
		const refused = lost === undefined
			? refusals.within(region)
			: [{ start: region.start, end: region.end, errno: lost }];
		const isAllRefused = bytes > 0 && sumOf(refused) === bytes;
		const taken = within(takenBack, region), isTakenBack = taken.length > 0 && sumOf(taken) === bytes;
		records.push({
			start: first, end: hex(region.end), permissions: permissions(region), name: region.name,
			file: hasFile(region)
				? { device: region.device, inode: String(region.inode), offset: region.fileOffset }
				: null,
			capture: isAllRefused ? 'unreadable' : isTakenBack ? 'private-live' : capture,
			readFrom: isTakenBack ? 'target' : from,
			segments: segments.map(({ start, end, offset }) =>
				({ start: start === region.start ? first : hex(start), bytes: end - start, offset })),
			bytes,
			sha256: hashAt < 0 ? null : hexText.slice(hashAt, hashAt + HASH_CHARACTERS),
			readBetweenNs: time === undefined || kept === true ? null : [time.begunNs, time.endedNs],
			unreadable: refused.map(({ start, end, errno }) => ({ start: hex(start), bytes: end - start, errno })),
			...(taken.length === 0 || isTakenBack
				? {}
				: { takenBack: taken.map(({ start, end }) => ({ start: hex(start), bytes: end - start })) }),
		});
	}, signal);
	return records;
}

const HASH_CHARACTERS = 2 * HASH_BYTES;

const sumOf = (parts: ReadonlyArray<Run>): number => parts.reduce((sum, { start, end }) => sum + end - start, 0);

/** In order of address, neighbours as one. */
function within(parts: readonly Run[], region: Region): Run[] {
	const found: Run[] = [];
	for (const part of parts.toSorted((a, b) => a.start - b.start)) {
		const start = Math.max(part.start, region.start), end = Math.min(part.end, region.end), last = found.at(-1);
		if (start >= end) continue;
		if (last !== undefined && last.end >= start) last.end = Math.max(last.end, end);
		else found.push({ start, end });
	}
	return found;
}

export const permissions = ({ readable, writable, executable, shared }: Region): string =>
	`${readable ? 'r' : '-'}${writable ? 'w' : '-'}${executable ? 'x' : '-'}${shared ? 's' : 'p'}`;

/** What could not be read, for regions in order of address: each part is looked at once. */
class Refusals {
	readonly #all: readonly Unreadable[];
	#next = 0;

	constructor(unreadable: readonly Unreadable[]) {
		this.#all = unreadable.toSorted((a, b) => a.start - b.start);
	}

	within(region: Region): Unreadable[] {
		const found: Unreadable[] = [];
		while ((this.#all[this.#next]?.end ?? Infinity) <= region.start) this.#next += 1;
		for (let i = this.#next; (this.#all[i]?.start ?? Infinity) < region.end; i++) {
			const { start, end, errno } = this.#all[i] as Unreadable;
			found.push({ start: Math.max(start, region.start), end: Math.min(end, region.end), errno });
		}
		return found;
	}
}

/**
 * A manifest's JSON: a region a line, since of tens of thousands it is long, and the rest as JSON.stringify() has it
 * with tabs. Throws what `signal` was aborted with.
 */
export async function manifestText(manifest: Manifest, signal?: AbortSignal): Promise<Buffer> {
	const { regions } = manifest, lines: string[] = [];
	// A text has no line breaks of its own in it: this is the field, and no part of another one.
	const field = '\n\t"regions": [';
	const rest = JSON.stringify({ ...manifest, regions: [] }, null, '\t'), at = rest.indexOf(`${field}]`) + field.length;
	await inTurns(regions, (region) => {
		lines.push(`\n\t\t${JSON.stringify(region)}`);
	}, signal);
	return Buffer.from(`${rest.slice(0, at)}${lines.join(',')}${regions.length === 0 ? '' : '\n\t'}${rest.slice(at)}\n`);
}
