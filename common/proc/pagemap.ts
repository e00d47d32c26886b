/** Which pages a process has, from /proc/PID/pagemap (admin-guide/mm/pagemap.rst). The bits used need no privilege. */
import { readSync } from 'node:fs';
import { Failure } from '../errors.ts';

export const PAGE_BYTES = 4096;

const ENTRY_BYTES = 8;
/** 512 MiB of addresses a read. */
const ENTRIES = 1 << 17;

// Of the upper half of an entry:
const PRESENT = 0x8000_0000;	// bit 63
const SWAPPED = 0x4000_0000;	// bit 62
const OF_FILE = 0x2000_0000;	// bit 61: of a file, or shared anonymous memory

export interface Run {
	start: number;
	end: number;
}

/** `all` that it has, in memory or swapped out; its `own`, which it shares with no file; those `resident` in memory. */
export type Which = 'all' | 'own' | 'resident';

const WANTED: Record<Which, (upper: number) => boolean> = {
	all: (upper) => (upper & (PRESENT | SWAPPED)) !== 0,
	own: (upper) => (upper & (PRESENT | SWAPPED)) !== 0 && (upper & OF_FILE) === 0,
	resident: (upper) => (upper & PRESENT) !== 0,
};

/**
 * The runs of such pages in [start, end); neighbours are one run. `fd`: the process's pagemap, open. Throws Failure
 * or what read(2) gives.
 */
export function populatedRuns(fd: number, { start, end }: Run, which: Which): Run[] {
	const entries = new Uint32Array(2 * ENTRIES);
	const runs: Run[] = [];
	for (let at = start; at < end;) {
		const wanted = Math.min(ENTRIES, (end - at) / PAGE_BYTES);
		const got = readSync(fd, entries, 0, wanted * ENTRY_BYTES, at / PAGE_BYTES * ENTRY_BYTES) / ENTRY_BYTES;
		if (got < 1) {
			throw new Failure('a process ended while its page table was read: nothing was taken');
		}
		appendRuns(runs, entries, got, at, which);
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
