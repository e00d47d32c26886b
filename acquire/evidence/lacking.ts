/** What of the target's memory is not in its evidence, although it was to be. Pure. */
import { PAGE_BYTES } from '../../common/proc/pagemap.ts';
import { bytesOf, hasFile, isHugetlb } from '../../common/proc/regions.ts';
import type { RegionRecord } from './manifest.ts';
import type { Planned } from './plan.ts';

/**
 * In bytes; of regions that were given up before anybody could look, all addresses, since nobody knows how much of them
 * was in use. What devices and memfd_secret(2) have was not to be read; and what lies behind the end of a file, or what
 * its file system does not give, is no memory of the target's. `records`: what came of `planned`, one by one.
 */
export function lackingBytes(
	planned: readonly Planned[], records: ReadonlyArray<Pick<RegionRecord, 'unreadable'>>
): number {
	return planned.reduce((sum, each, i) => {
		if (each.capture === 'device' || each.capture === 'secret') return sum;
		if (each.lost !== undefined) return isNoLoss(each) ? sum : sum + bytesOf(each.region);
		const last = lastOfMemory(each);
		return (records[i]?.unreadable ?? []).reduce((all, { start, bytes, errno }) =>
			all + (errno === 'EIO' ? Math.min(bytes, Math.max(0, last - Number(start))) : bytes), sum);
	}, 0);
}

/** Shared memory that was given up, which may have been before the moment: only what a fork leaves out is known to. */
const isNoLoss = ({ lost, capture }: Planned): boolean => lost === 'ENODATA' && capture === 'unreadable';

/** Up to there the region's pages are memory, and not to read one is a loss. */
function lastOfMemory({ region, capture }: Planned): number {
	if (!hasFile(region) || isHugetlb(region)) return region.end;
	if (capture === 'file') return region.start;
	const { start, fileOffset, fileBytes = Infinity } = region;
	return start + Math.max(0, Math.ceil((fileBytes - fileOffset) / PAGE_BYTES) * PAGE_BYTES);
}
