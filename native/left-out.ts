/** What a fork has left out of a duplicate, as the tracer tells of it: native/duplicate/left_out.c. */
import { textOf } from '../common/bytes-text.ts';
import type { RESULTS, Results } from './operations.ts';

/** Pages that were copied while the target stood still. */
export interface KeptPages { start: number; bytes: Uint8Array }

export interface LeftOutRegion {
	/** Its line of /proc/PID/maps, as of the moment. */
	maps: string;
	/**
	 * All that it had in memory then; null: it was not copied, for want of time or room, or since it may be a device's.
	 */
	pages: KeptPages[] | null;
}

export interface LeftOut {
	/**
	 * Bytes of addresses, of all of it: more than `regions` have, where not all was found in the time that there was.
	 */
	bytes: number;
	regions: LeftOutRegion[];
}

/** struct ps_left_out_region and struct ps_left_out_run: native/procsnap.h. */
const REGION_BYTES = 24, RUN_BYTES = 16;

/**
 * null: nothing was left out. `data`: of the area, which the next request may write over; what is given back is not.
 */
export function leftOutIn(
	data: Uint8Array,
	{ leftOutBytes, leftOutAt, leftOutPageBytes, leftOutRegions, leftOutRuns }: Results<(typeof RESULTS.inject)[number]>
): LeftOut | null {
	if (leftOutBytes === 0) return null;
	const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
	const regionsAt = leftOutAt + leftOutPageBytes, runsAt = regionsAt + leftOutRegions * REGION_BYTES;
	let pageAt = leftOutAt, run = 0, textAt = runsAt + leftOutRuns * RUN_BYTES;
	const pagesOf = (count: number): KeptPages[] => Array.from({ length: count }, () => {
		const at = runsAt + RUN_BYTES * run++;
		const start = Number(bytes.readBigUInt64LE(at)), length = Number(bytes.readBigUInt64LE(at + 8)) - start;
		pageAt += length;
		return { start, bytes: Uint8Array.from(bytes.subarray(pageAt - length, pageAt)) };
	});
	const regions = Array.from({ length: leftOutRegions }, (_, i): LeftOutRegion => {
		const at = regionsAt + i * REGION_BYTES, runs = bytes.readInt32LE(at + 16);
		textAt += bytes.readUInt32LE(at + 20);
		return {
			maps: textOf(bytes.subarray(textAt - bytes.readUInt32LE(at + 20), textAt)),
			pages: runs < 0 ? null : pagesOf(runs),
		};
	});
	return { bytes: leftOutBytes, regions };
}
