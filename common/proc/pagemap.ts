/** Which pages a process has, from /proc/PID/pagemap (admin-guide/mm/pagemap.rst). The bits used need no privilege. */
import { readSync } from 'node:fs';
import { Failure } from '../errors.ts';

export const PAGE_BYTES = 4096;

const ENTRY_BYTES = 8;
/** 512 MiB of addresses a read. */
const ENTRIES = 1 << 17;
/** For all reads, one after the other: it grows with what is asked for, up to that. */
let room = new Uint32Array(2 * 512);

// Of the upper half of an entry:
const PRESENT = 0x8000_0000;	// bit 63
const SWAPPED = 0x4000_0000;	// bit 62
const OF_FILE = 0x2000_0000;	// bit 61: of a file, or shared anonymous memory
const GUARD = 0x0400_0000;		// bit 58: of MADV_GUARD_INSTALL, no page; Linux 6.15

export interface Run {
	start: number;
	end: number;
}

/** `all` that it has, in memory or swapped out; its `own`, which it shares with no file; those `resident` in memory. */
export type Which = 'all' | 'own' | 'resident';

const WANTED: Record<Which, (upper: number) => boolean> = {
	all: (upper) => (upper & (PRESENT | SWAPPED)) !== 0 && (upper & GUARD) === 0,
	own: (upper) => (upper & (PRESENT | SWAPPED)) !== 0 && (upper & (OF_FILE | GUARD)) === 0,
	resident: (upper) => (upper & PRESENT) !== 0,
};

/** Of PAGEMAP_SCAN (linux/fs.h): what native/core/pages.h tells of each run. */
export const CATEGORY = { file: 1 << 2, present: 1 << 3, swapped: 1 << 4, zero: 1 << 5 } as const;

/**
 * Of pages that were only ever read the kernel shows one page of zeros, or a huge one. A few of them are a variable
 * that nobody has set, and a debugger asks for it; many are a table that nobody has filled (the shadow memory of a
 * sanitizer, of terabytes), and no memory of the process.
 */
const LARGEST_ZEROS_BYTES = 2 << 20;

/** Where a process has which pages, at one time. */
export type PagesIn = (range: Run, which: Which) => Run[];

/** All runs of pages of a process, as native/core/pages.h finds them: start, end and categories of each, in order. */
export class PageMap {
	readonly #runs: Float64Array;

	constructor(parts: readonly Float64Array[]) {
		this.#runs = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
		let at = 0;
		for (const part of parts) {
			this.#runs.set(part, at);
			at += part.length;
		}
	}

	/** The runs of such pages in [start, end); neighbours are one run. */
	in({ start, end }: Run, which: Which): Run[] {
		const found: Run[] = [];
		for (let i = this.#firstBehind(start); i < this.#runs.length; i += 3) {
			const first = this.#runs[i] as number, last = this.#runs[i + 1] as number;
			if (first >= end) break;
			const categories = this.#runs[i + 2] as number;
			const zeros = (categories & CATEGORY.zero) !== 0 && last - first >= LARGEST_ZEROS_BYTES;
			if (!zeros && isWanted(categories, which)) add(found, Math.max(first, start), Math.min(last, end));
		}
		return found;
	}

	/** The first run that ends behind the address. */
	#firstBehind(address: number): number {
		let low = 0, high = this.#runs.length / 3;
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((this.#runs[3 * middle + 1] as number) > address) high = middle;
			else low = middle + 1;
		}
		return 3 * low;
	}
}

const isWanted = (categories: number, which: Which): boolean => (categories & CATEGORY.present) !== 0
	? which !== 'own' || (categories & CATEGORY.file) === 0
	: which !== 'resident' && (which !== 'own' || (categories & CATEGORY.file) === 0);

function add(runs: Run[], start: number, end: number): void {
	const last = runs.at(-1);
	if (last?.end === start) last.end = end;
	else runs.push({ start, end });
}

/** What is in one of them or in both. Each in order of address. */
export function unionOf(some: readonly Run[], others: readonly Run[]): Run[] {
	const union: Run[] = [];
	for (let i = 0, j = 0; i < some.length || j < others.length;) {
		const next = (some[i]?.start ?? Infinity) <= (others[j]?.start ?? Infinity) ? some[i++] : others[j++];
		const { start, end } = next as Run, last = union.at(-1);
		if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
		else union.push({ start, end });
	}
	return union;
}

/**
 * The runs of such pages in [start, end); neighbours are one run. `fd`: the process's pagemap, open. For a range or
 * two, since it reads as long as there are addresses, and the caller waits: native/pages.ts looks at all of a process.
 * Throws Failure or what read(2) gives.
 */
export function populatedRuns(fd: number, { start, end }: Run, which: Which): Run[] {
	const runs: Run[] = [], most = Math.min(ENTRIES, (end - start) / PAGE_BYTES);
	if (room.length < 2 * most) room = new Uint32Array(2 * most);
	for (let at = start; at < end;) {
		const wanted = Math.min(ENTRIES, (end - at) / PAGE_BYTES);
		const got = readSync(fd, room, 0, wanted * ENTRY_BYTES, at / PAGE_BYTES * ENTRY_BYTES) / ENTRY_BYTES;
		if (got < 1) {
			throw new Failure('a process ended while its page table was read: nothing was taken');
		}
		appendRuns(runs, room, got, at, which);
		at += got * PAGE_BYTES;
	}
	return runs;
}

/** Pure: pages `first`, `first` + 4096 ... as `entries` tell of them. */
export function appendRuns(runs: Run[], entries: Uint32Array, count: number, first: number, which: Which): void {
	const wanted = WANTED[which];
	for (let i = 0; i < count; i++) {
		if (!wanted(entries[2 * i + 1] ?? 0)) continue;
		const start = first + i * PAGE_BYTES;
		const last = runs.at(-1);
		if (last?.end === start) {
			last.end += PAGE_BYTES;
		} else {
			runs.push({ start, end: start + PAGE_BYTES });
		}
	}
}

/** One run for all that lie closer to each other than `gap` bytes. */
export function mergeRuns(runs: readonly Run[], gap: number): Run[] {
	const merged: Run[] = [];
	for (const run of runs) {
		const last = merged.at(-1);
		if (last !== undefined && run.start - last.end <= gap) {
			last.end = run.end;
		} else {
			merged.push({ ...run });
		}
	}
	return merged;
}
