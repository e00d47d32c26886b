/** What the manifest says of each region, and how that is written. Pure, but that others have their turn meanwhile. */
import type { CoreLayout, PlacedContent } from './core.ts';
import { isDigested, type Manifest, type RegionRecord } from './manifest.ts';
import { HASH_BYTES } from './merkle.ts';
import type { Planned } from './plan.ts';
import type { Run } from '../../common/proc/pagemap.ts';
import { hasFile, type Region } from '../../common/proc/regions.ts';
import type { CoreSource, ReadTime, Unreadable } from './source.ts';
import { turns } from '../../common/turns.ts';

/** By halves: of a number above 2^32 the digits are found by division, one by one. */
export function hex(address: number): string {
	const high = Math.floor(address / 2 ** 32), low = (address >>> 0).toString(16);
	return high === 0 ? `0x${low}` : `0x${high.toString(16)}${low.padStart(8, '0')}`;
}

/** Where in the core the regions lie that have a SHA-256 of their own. */
export const digestedRanges = ({ contents }: CoreLayout): Array<{ start: number; end: number }> => contents
	.map((content) => ({ start: content.segments[0]?.offset ?? 0, bytes: bytesOf(content) }))
	.filter(({ bytes }) => isDigested(bytes))
	.map(({ start, bytes }) => ({ start, end: start + bytes }));

const bytesOf = ({ segments }: Pick<PlacedContent, 'segments'>): number =>
	segments.reduce((sum, { start, end }) => sum + end - start, 0);

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
	const { times, unreadable, takenBack } = source;
	let index = 0, digest = 0;
	const refusals = new Refusals(unreadable), turn = turns(signal), records: RegionRecord[] = [];
	for (const { region, capture, from, runs, lost, kept } of planned) {
		await turn();
		const at = runs.length === 0 ? -1 : index++;
		const segments = layout.contents[at]?.segments ?? [];
		const time = times[at];
		const bytes = bytesOf({ segments });
		const hashAt = isDigested(bytes) ? HASH_BYTES * digest++ : -1;
		const refused = lost === undefined
			? refusals.within(region)
			: [{ start: region.start, end: region.end, errno: lost }];
		const isAllRefused = bytes > 0 && sumOf(refused) === bytes;
		const taken = within(takenBack, region), isTakenBack = taken.length > 0 && sumOf(taken) === bytes;
		records.push({
			start: hex(region.start), end: hex(region.end), permissions: permissions(region), name: region.name,
			file: hasFile(region)
				? { device: region.device, inode: String(region.inode), offset: region.fileOffset }
				: null,
			capture: isAllRefused ? 'unreadable' : isTakenBack ? 'private-live' : capture,
			readFrom: isTakenBack ? 'target' : from,
			segments: segments.map(({ start, end, offset }) => ({ start: hex(start), bytes: end - start, offset })),
			bytes,
			sha256: hashAt < 0 ? null : digests.subarray(hashAt, hashAt + HASH_BYTES).toString('hex'),
			readBetweenNs: time === undefined || kept === true ? null : [time.begunNs, time.endedNs],
			unreadable: refused.map(({ start, end, errno }) => ({ start: hex(start), bytes: end - start, errno })),
			...(taken.length === 0 || isTakenBack
				? {}
				: { takenBack: taken.map(({ start, end }) => ({ start: hex(start), bytes: end - start })) }),
		});
	}
	return records;
}

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

/** So many regions' text is made at a time: some milliseconds. */
const REGIONS_AT_A_TIME = 500;

/**
 * A manifest's JSON, as JSON.stringify() with tabs makes it: of tens of thousands of regions it is long. Throws what
 * `signal` was aborted with.
 */
export async function manifestText(manifest: Manifest, signal?: AbortSignal): Promise<Buffer> {
	const { regions } = manifest, turn = turns(signal);
	// A text has no line breaks of its own in it: this is the field, and no part of another one.
	const field = '\n\t"regions": [';
	const rest = JSON.stringify({ ...manifest, regions: [] }, null, '\t'), at = rest.indexOf(`${field}]`) + field.length;
	const pieces = [Buffer.from(rest.slice(0, at))];
	for (let i = 0; i < regions.length; i += REGIONS_AT_A_TIME) {
		const some = JSON.stringify(regions.slice(i, i + REGIONS_AT_A_TIME), null, '\t');
		// Without its brackets, one level deeper.
		pieces.push(Buffer.from(`${i === 0 ? '' : ','}${some.slice(1, -2).replaceAll('\n', '\n\t')}`));
		await turn();
	}
	pieces.push(Buffer.from(`${regions.length === 0 ? '' : '\n\t'}${rest.slice(at)}\n`));
	return Buffer.concat(pieces);
}
