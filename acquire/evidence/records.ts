/** What the manifest says of each region. Pure. */
import type { CoreLayout } from './core.ts';
import type { RegionRecord } from './manifest.ts';
import { HASH_BYTES } from './merkle.ts';
import type { Planned } from './plan.ts';
import { hasFile, type Region } from '../../common/proc/regions.ts';
import type { CoreSource, Unreadable } from './source.ts';

const hex = (address: number): string => `0x${address.toString(16)}`;

/** `digests`: SHA-256 of those regions that have content, one after the other, as the layout has them. */
export function recordRegions(
	planned: readonly Planned[], layout: CoreLayout, { times, unreadable }: Pick<CoreSource, 'times' | 'unreadable'>,
	digests: Buffer
): RegionRecord[] {
	let index = 0;
	return planned.map(({ region, capture, from, runs, lost }): RegionRecord => {
		const at = runs.length === 0 ? -1 : index++;
		const segments = layout.contents[at]?.segments ?? [];
		const time = times[at];
		const bytes = segments.reduce((sum, { start, end }) => sum + end - start, 0);
		const refused = lost === undefined
			? within(unreadable, region)
			: [{ start: region.start, end: region.end, errno: lost }];
		return {
			start: hex(region.start), end: hex(region.end), permissions: permissions(region), name: region.name,
			file: hasFile(region) ? { device: region.device, inode: region.inode, offset: region.fileOffset } : null,
			capture: bytes > 0 && refused.reduce((sum, part) => sum + part.end - part.start, 0) === bytes
				? 'unreadable'
				: capture,
			readFrom: from,
			segments: segments.map(({ start, end, offset }) => ({ start: hex(start), bytes: end - start, offset })),
			bytes,
			sha256: at < 0 ? null : digests.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES).toString('hex'),
			readBetweenNs: time === undefined ? null : [time.begunNs, time.endedNs],
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
