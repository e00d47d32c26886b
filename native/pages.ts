/**
 * What a process has in memory, and a file on its disk: looked at without bringing in or making any of it, and on
 * another thread, so that signals are heard meanwhile.
 */
import { fstatSync } from 'node:fs';
import { textOf } from '../common/bytes-text.ts';
import { Failure } from '../common/errors.ts';
import { mergeRuns, PageMap, type Run } from '../common/proc/pagemap.ts';
import { SmapsCopied, SmapsRegions, type CountedRegion, type EntryReader } from '../common/proc/smaps.ts';
import { addon } from './addon.ts';
import { errnoName, ProcsnapError } from './error.ts';

/** So long a look takes at most before a signal is heard. */
const BUDGET_MS = 50;
/** The kernel holds the process's mmap_lock for so many pages at a time: for some tenths of a millisecond. */
const MOST_PAGES = 1 << 15;
/** What lies between is scanned too, and passed over where the process has nothing: so much is not worth two calls. */
const SCANNED_GAP_BYTES = 2 ** 30;
/** Of a file of /proc: what is larger takes longer to make room for than to read. */
const PIECE_BYTES = 256 << 10;
/** PAGEMAP_SCAN is not there (before Linux 6.7), or a filter keeps it from us. */
const NO_SCAN = ['ENOTTY', 'EINVAL', 'ENOSYS', 'EPERM', 'EACCES'];

interface Found { code: number; walked: number; runs: Float64Array }

/** Aborted, it is over after the step that is under way. */
interface Heard { signal?: AbortSignal | undefined }

/**
 * The pages that a process has of `ranges`, which are in order of address. `pagemap`: its file in /proc, open. Where
 * there is no PAGEMAP_SCAN (or `scan` is false) this takes as long as there are addresses: `ranges` is to be what may
 * have pages.
 * Throws Failure where the process has ended, ProcsnapError as the kernel says it, and what `signal` was aborted with.
 */
export async function pagesOf(
	pagemap: number, ranges: readonly Run[], how: Heard & { scan?: boolean } = {}
): Promise<PageMap> {
	try {
		const found: Float64Array[] = [];
		for (const { start, end } of how.scan === false ? [] : mergeRuns(ranges, SCANNED_GAP_BYTES))
			found.push(...await inSteps(
				start, end, how, (from) => addon().scanPages(pagemap, from, end, MOST_PAGES, BUDGET_MS)
			));
		if (how.scan !== false) return new PageMap(found);
	} catch (error) {
		if (!(error instanceof ProcsnapError) || !NO_SCAN.includes(error.code)) throw error;
	}
	const read = mergeRuns(ranges, 0), [first] = read, last = read.at(-1);
	if (first === undefined || last === undefined) return new PageMap([]);
	const all = Float64Array.from(read.flatMap(({ start, end }) => [start, end]));
	return new PageMap(await inSteps(
		first.start, last.end, how, (from) => addon().readPages(pagemap, all, from, BUDGET_MS)
	));
}

/** The parts of [start, end) of an open file that are no holes, in bytes. Throws ProcsnapError. */
export async function partsOf(fd: number, { start, end }: Run, how: Heard = {}): Promise<Run[]> {
	const steps = await inSteps(start, end, how, (from) => addon().fileParts(fd, from, end, BUDGET_MS));
	const parts: Run[] = [];
	for (const runs of steps) {
		for (let i = 0; i < runs.length; i += 3) parts.push({ start: runs[i] as number, end: runs[i + 1] as number });
	}
	return parts;
}

/**
 * A file of /proc from where it is to its end: such a file gives a page at a time, so that what is long takes many
 * calls. What `entries` leaves of it comes again with what follows. Throws ProcsnapError.
 */
async function readEntries(fd: number, entries: EntryReader, { signal }: Heard): Promise<void> {
	let room = Buffer.allocUnsafeSlow(PIECE_BYTES), kept = 0;
	for (;;) {
		// An entry is some hundred bytes and a path.
		if (kept === room.length) room = Buffer.concat([room], 2 * room.length);
		const { code, walked } = await addon().readSome(fd, room.subarray(kept), BUDGET_MS);
		signal?.throwIfAborted();
		if (code !== 0) throw new ProcsnapError(errnoName(code), `a file of /proc cannot be read: ${errnoName(code)}`);
		if (walked === 0) break;
		const end = kept + walked, used = entries.add(room.subarray(0, end));
		room.copyWithin(0, used, end);
		kept = end - used;
	}
	if (kept > 0) throw new Error(`not an entry of /proc/PID/smaps: ${JSON.stringify(textOf(room.subarray(0, kept)))}`);
}

async function inSteps(
	start: number, end: number, { signal }: Heard, step: (from: number) => Promise<Found>
): Promise<Float64Array[]> {
	const found: Float64Array[] = [];
	for (let at = start; at < end;) {
		const { code, walked, runs } = await step(at);
		signal?.throwIfAborted();
		if (errnoName(code) === 'ESRCH')
			throw new Failure('a process ended while its page table was read: nothing was taken');
		if (code !== 0)
			throw new ProcsnapError(errnoName(code), `which memory there is cannot be read: ${errnoName(code)}`);
		if (runs.length > 0) found.push(runs);
		at = Math.max(at, walked);
	}
	return found;
}

/** The regions in a smaps file, open, from its beginning. Throws ProcsnapError, and what `signal` was aborted with. */
export async function regionsIn(smaps: number, how: Heard = {}): Promise<CountedRegion[]> {
	const entries = new SmapsRegions();
	await readEntries(smaps, entries, how);
	return entries.found;
}

/** SmapsCopied of a smaps file, open, from its beginning; null: it is empty. Throws ProcsnapError. */
export async function copiedBytesIn(smaps: number, how: Heard = {}): Promise<number | null> {
	const entries = new SmapsCopied();
	await readEntries(smaps, entries, how);
	return entries.regions === 0 ? null : entries.bytes;
}

let ofMemory: number | undefined;

/** The device of files that the kernel keeps in memory and mounts nowhere: memfd_create(2), shared memory. stat(2). */
export function memoryDevice(): number {
	if (ofMemory === undefined) {
		const { fd } = addon().createShared(1);
		ofMemory = fstatSync(fd).dev;
		addon().closeFd(fd);
	}
	return ofMemory;
}
