/** What the manifest says of each region. Pure. */
import type { CoreLayout, PlacedContent } from './core.ts';
import { isDigested, type RegionRecord } from './manifest.ts';
import { HASH_BYTES } from './merkle.ts';
import type { Planned } from './plan.ts';
import { hasFile, type Region } from '../../common/proc/regions.ts';
import type { CoreSource, ReadTime, Unreadable } from './source.ts';

const hex = (address: number): string => `0x${address.toString(16)}`;

/** Where in the core the regions lie that have a SHA-256 of their own. */
export const digestedRanges = ({ contents }: CoreLayout): Array<{ start: number; end: number }> => contents
	.map((content) => ({ start: content.segments[0]?.offset ?? 0, bytes: bytesOf(content) }))
	.filter(({ bytes }) => isDigested(bytes))
	.map(({ start, bytes }) => ({ start, end: start + bytes }));

const bytesOf = ({ segments }: Pick<PlacedContent, 'segments'>): number =>
	segments.reduce((sum, { start, end }) => sum + end - start, 0);

/** `digests`: those of `digestedRanges`, one after the other. */
export function recordRegions(
	planned: readonly Planned[], layout: CoreLayout, source: {
		times: readonly ReadTime[]; unreadable: readonly Unreadable[]; takenBack: CoreSource['takenBack'];
	},
	digests: Buffer
): RegionRecord[] {
	const { times, unreadable, takenBack } = source;
	let index = 0, digest = 0;
	return planned.map(({ region, capture, from, runs, lost, kept }): RegionRecord => {
		const at = runs.length === 0 ? -1 : index++;
		const segments = layout.contents[at]?.segments ?? [];
		const time = times[at];
		const bytes = bytesOf({ segments });
		const hashAt = isDigested(bytes) ? HASH_BYTES * digest++ : -1;
		const refused = lost === undefined
			? within(unreadable, region)
			: [{ start: region.start, end: region.end, errno: lost }];
		const isAllRefused = bytes > 0 && refused.reduce((sum, part) => sum + part.end - part.start, 0) === bytes;
		const isTakenBack = takenBack.some(({ start, end }) => start < region.end && end > region.start);
		return {
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
		};
	});
}

const permissions = ({ readable, writable, executable, shared }: Region): string =>
	`${readable ? 'r' : '-'}${writable ? 'w' : '-'}${executable ? 'x' : '-'}${shared ? 's' : 'p'}`;

const within = (unreadable: readonly Unreadable[], region: Region): Unreadable[] =>
	unreadable.filter(({ start, end }) => start < region.end && end > region.start)
		.map(({ start, end, errno }) =>
			({ start: Math.max(start, region.start), end: Math.min(end, region.end), errno }));
