/** What the tracer tells of a copy that it keeps in a file: which pages the file has, and where. */
import { textOf } from '../../common/bytes-text.ts';
import { PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import type { FilePlace } from './types.ts';

const HEAD_BYTES = 16;
/** Address, place, and whether it was corrected. */
const ENTRY_HEAD_BYTES = 16;

/** Some pages, neighbours in address, that are neighbours in the file: of 2 MiB of addresses, at a place of its own. */
interface Chunk {
	/** In the file. */
	offset: number;
	/** A bit for each page that it has. */
	pages: Uint8Array;
	/** It has all of them. */
	full: boolean;
}

/** As native/precopy/precopy.h, index.c have it. Pure. */
export class ImageIndex {
	/** /proc/PID/maps as of the moment, as common/bytes-text.ts reads it. */
	readonly maps: string;
	/** By address. */
	readonly #chunks: ReadonlyMap<number, Chunk>;
	/** In order. */
	readonly #starts: Float64Array;
	readonly #chunkBytes: number;
	/** Places of chunks. */
	readonly #corrected = new Set<number>();

	constructor(bytes: Buffer, chunkBytes: number) {
		const count = Number(bytes.readBigUInt64LE(0)), mapsBytes = Number(bytes.readBigUInt64LE(8));
		const setBytes = chunkBytes / PAGE_BYTES / 8, first = Math.ceil((HEAD_BYTES + mapsBytes) / 8) * 8;
		const full = Buffer.alloc(setBytes, 0xff);
		this.maps = textOf(bytes.subarray(HEAD_BYTES, HEAD_BYTES + mapsBytes));
		this.#chunkBytes = chunkBytes;
		this.#chunks = new Map(Array.from({ length: count }, (_, number) => {
			const at = first + number * (ENTRY_HEAD_BYTES + setBytes), set = at + ENTRY_HEAD_BYTES;
			const pages = bytes.subarray(set, set + setBytes), place = bytes.readInt32LE(at + 8);
			if (bytes.readUInt32LE(at + 12) !== 0) this.#corrected.add(place);
			const chunk = { offset: (place + 1) * chunkBytes, pages, full: full.equals(pages) };
			return [Number(bytes.readBigUInt64LE(at)), chunk];
		}));
		this.#starts = Float64Array.from(this.#chunks.keys()).sort();
	}

	/** So many are free at the file's beginning. */
	get headBytes(): number {
		return this.#chunkBytes;
	}

	/** Something of these bytes of the file was written again after the first pass. */
	wasCorrected(offset: number, bytes: number): boolean {
		const first = Math.floor(offset / this.#chunkBytes), after = Math.ceil((offset + bytes) / this.#chunkBytes);
		for (let chunk = first; chunk < after; chunk++) if (this.#corrected.has(chunk - 1)) return true;
		return false;
	}

	/** Where in the file a page is; null: it is not there. */
	offsetOf(address: number): number | null {
		const start = address - address % this.#chunkBytes, chunk = this.#chunks.get(start);
		return chunk !== undefined && has(chunk, address - start) ? chunk.offset + address - start : null;
	}

	/** The pages in [start, end) that it has; neighbours are one run. */
	populated(range: Run): Run[] {
		return joined(this.#places(range), false).map(({ start, end }) => ({ start, end }));
	}

	/** Where the pages of [start, end) are, neighbours in the file as one; null: it has not all of them. */
	placesOf({ start, end }: Run): FilePlace[] | null {
		const places = joined(this.#places({ start, end }), true);
		return places.reduce((sum, place) => sum + place.end - place.start, 0) === end - start ? places : null;
	}

	*#places({ start, end }: Run): Generator<FilePlace> {
		for (let i = this.#firstBehind(start); i < this.#starts.length; i++) {
			const base = this.#starts[i] as number, chunk = this.#chunks.get(base) as Chunk;
			const first = Math.max(base, start), last = Math.min(base + this.#chunkBytes, end);
			if (base >= end) return;
			if (chunk.full) {
				yield { start: first, end: last, offset: chunk.offset + first - base };
				continue;
			}
			for (let at = first; at < last; at += PAGE_BYTES)
				if (has(chunk, at - base)) yield { start: at, end: at + PAGE_BYTES, offset: chunk.offset + at - base };
		}
	}

	/** The first chunk that ends behind the address. */
	#firstBehind(address: number): number {
		return firstThat(this.#starts.length, (i) => (this.#starts[i] as number) + this.#chunkBytes > address);
	}
}

const has = ({ pages }: Chunk, at: number): boolean => {
	const page = Math.floor(at / PAGE_BYTES);
	return ((pages[page >> 3] ?? 0) >> (page & 7) & 1) === 1;
};

/** `inFile`: only those that are neighbours there, too. */
function joined(places: Iterable<FilePlace>, inFile: boolean): FilePlace[] {
	const found: FilePlace[] = [];
	for (const place of places) {
		const last = found.at(-1);
		if (last?.end === place.start && (!inFile || last.offset + last.end - last.start === place.offset))
			last.end = place.end;
		else found.push(place);
	}
	return found;
}

/** Of so many, in order, the first for which it holds. */
export function firstThat(count: number, holds: (i: number) => boolean): number {
	let low = 0, high = count;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (holds(middle)) high = middle;
		else low = middle + 1;
	}
	return low;
}
