/** What the tracer tells of a copy that it keeps in a file. */
import { PAGE_BYTES } from '../../common/proc/pagemap.ts';

const HEAD_BYTES = 16;

/** Which pages are in the file, and where: native/precopy/precopy.h, index.c. */
export interface Index {
	/** /proc/PID/maps as of the moment. */
	maps: string;
	/** Address of a chunk to its number, which is its place in the file, and a bit for each page that it has. */
	chunks: ReadonlyMap<number, { number: number; pages: Uint8Array }>;
}

/** Pure. */
export function parseIndex(bytes: Buffer, chunkBytes: number): Index {
	const count = Number(bytes.readBigUInt64LE(0)), mapsBytes = Number(bytes.readBigUInt64LE(8));
	const setBytes = chunkBytes / PAGE_BYTES / 8, first = Math.ceil((HEAD_BYTES + mapsBytes) / 8) * 8;
	return {
		maps: bytes.toString('utf8', HEAD_BYTES, HEAD_BYTES + mapsBytes),
		chunks: new Map(Array.from({ length: count }, (_, number) => {
			const at = first + number * (8 + setBytes);
			return [Number(bytes.readBigUInt64LE(at)), { number, pages: bytes.subarray(at + 8, at + 8 + setBytes) }];
		})),
	};
}
