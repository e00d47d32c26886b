/**
 * Which parts of the files that a process has mapped are there at all. A hole is not to be read: in a file that lies in
 * memory (tmpfs, memfd_create(2), shm) that would make a page of it, for good, at the cost of the machine and of the
 * target's cgroup.
 */
import { constants, fstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { open, readdir, readlink, stat, type FileHandle } from 'node:fs/promises';
import { textOf } from '../../common/bytes-text.ts';
import { deviceOf, fileOf, IN_MEMORY, mountsOf, ON_DISK, SILENT } from '../../common/proc/mapped-files.ts';
import { PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import type { Region } from '../../common/proc/regions.ts';
import { memoryDevice, partsOf } from '../../native/index.ts';

/**
 * `whole`: all of it may be read, since it lies in no memory, or elsewhere, and a question may never be answered
 * (FUSE). null: nobody can tell; what has no page in a process's page table may be a hole.
 */
export type Parts = readonly Run[] | 'whole' | null;

/** So long a file on this machine's disks may take to be opened. */
const ANSWER_MS = 2000;
/** So many of a file's regions are tried as ways to it. */
const MOST_WAYS = 4;
/** So many descriptors of a process are looked at. */
const MOST_DESCRIPTORS = 4096;

/** What is asked of one file, in its own bytes, and by which regions. */
interface Asked { regions: Region[]; range: Run }

export class FileParts {
	readonly #pids: readonly number[];
	readonly #parts = new Map<string, Parts>();
	/** By process. */
	readonly #descriptors = new Map<number, Promise<Map<string, string>>>();
	#types: ReadonlyMap<string, string> = new Map();

	private constructor(pids: readonly number[]) {
		this.#pids = pids;
	}

	/**
	 * Asks about the files of all these regions. `pids`: processes that have them mapped. `firstPage`: only that of the
	 * file is asked for. Throws what `signal` was aborted with.
	 */
	static async open(
		pids: readonly number[], regions: readonly Region[], firstPage: (region: Region) => boolean,
		signal?: AbortSignal
	): Promise<FileParts> {
		const found = new FileParts(pids), files = new Map<string, Asked>();
		for (const region of regions) {
			const length = firstPage(region) ? PAGE_BYTES : region.end - region.start;
			const range = { start: region.fileOffset, end: region.fileOffset + length };
			const asked = files.get(fileOf(region));
			if (asked === undefined) {
				files.set(fileOf(region), { regions: [region], range });
				continue;
			}
			if (asked.regions.length < MOST_WAYS) asked.regions.push(region);
			asked.range = {
				start: Math.min(asked.range.start, range.start), end: Math.max(asked.range.end, range.end),
			};
		}
		if (files.size > 0) found.#types = typesSeenBy(pids);
		for (const [key, asked] of files) {
			signal?.throwIfAborted();
			found.#parts.set(key, await found.#ask(asked, signal));
		}
		return found;
	}

	/** What of a region's file is there, as pages of its addresses. */
	of(region: Region): Parts {
		const parts = this.#parts.get(fileOf(region)) ?? null;
		if (parts === null || parts === 'whole') return parts;
		const toAddress = region.start - region.fileOffset, found: Run[] = [];
		for (let i = firstBehind(parts, region.fileOffset); i < parts.length; i++) {
			const part = parts[i] as Run;
			const start = Math.max(region.start, toAddress + part.start - part.start % PAGE_BYTES);
			const end = Math.min(region.end, toAddress + Math.ceil(part.end / PAGE_BYTES) * PAGE_BYTES);
			if (start >= region.end) break;
			if (start < end) found.push({ start, end });
		}
		return found;
	}

	async #ask({ regions, range }: Asked, signal: AbortSignal | undefined): Promise<Parts> {
		const { device } = regions[0] as Region;
		const type = device === deviceOf(BigInt(memoryDevice())) ? 'tmpfs' : this.#types.get(device);
		if (type === undefined || SILENT.includes(type)) return null;
		const onDisk = ON_DISK.includes(type);
		if (!onDisk && !IN_MEMORY.includes(type)) return 'whole';
		const file = await this.#openOne(regions);
		if (file === null) return onDisk ? 'whole' : null;
		try {
			return await partsOf(file.fd, { ...range, end: Math.min(range.end, fstatSync(file.fd).size) }, { signal });
		} catch (error) {
			signal?.throwIfAborted();
			if (!(error instanceof Error && 'code' in error)) throw error;
			return onDisk ? 'whole' : null;
		} finally {
			await file.close();
		}
	}

	/** null: there is no way to it that is ours to go. By its path there may be another file system in between. */
	async #openOne(regions: readonly Region[]): Promise<FileHandle | null> {
		for (const region of regions) {
			const { start, end, name } = region, range = `${start.toString(16)}-${end.toString(16)}`;
			for (const pid of this.#pids) {
				// For CAP_SYS_ADMIN and CAP_CHECKPOINT_RESTORE only; else a descriptor that the process has kept.
				const file = await inTime(opened(`/proc/${pid}/map_files/${range}`, region, false)) ??
					await inTime(opened((await this.#descriptorsOf(pid)).get(name), region, true));
				if (file !== null) return file;
			}
		}
		return null;
	}

	/** By name, one of each. */
	#descriptorsOf(pid: number): Promise<Map<string, string>> {
		const known = this.#descriptors.get(pid) ?? namedDescriptors(pid);
		this.#descriptors.set(pid, known);
		return known;
	}
}

/** The first run that ends behind `at`: of one file there may be thousands of regions, and of parts. */
function firstBehind(runs: readonly Run[], at: number): number {
	let low = 0, high = runs.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((runs[middle] as Run).end > at) high = middle;
		else low = middle + 1;
	}
	return low;
}

async function namedDescriptors(pid: number): Promise<Map<string, string>> {
	const found = new Map<string, string>(), folder = `/proc/${pid}/fd`;
	for (const fd of (await readdir(folder).catch(() => [])).slice(0, MOST_DESCRIPTORS)) {
		const name = await readlink(`${folder}/${fd}`, { encoding: 'buffer' }).catch(() => Buffer.alloc(0));
		found.set(textOf(name), `${folder}/${fd}`);
	}
	return found;
}

/**
 * A descriptor of that name may be of another file system, which does not answer: it is not waited for (and closed if
 * it comes). null: too late.
 */
async function inTime(opening: Promise<FileHandle | null>): Promise<FileHandle | null> {
	const late = new AbortController();
	const file = await Promise.race([opening, sleep(ANSWER_MS, null, { signal: late.signal }).catch(() => null)]);
	late.abort();
	if (file === null) void opening.then((opened) => opened?.close());
	return file;
}

/** Only an ordinary file is opened: to open a device can have effects. null: it is none, or not that one. */
async function opened(
	path: string | undefined, { device, inode }: Region, otherDevice: boolean
): Promise<FileHandle | null> {
	if (path === undefined) return null;
	try {
		const found = await stat(path, { bigint: true });
		// As the kernel writes it in maps; some file systems give another number of their device to stat(2).
		const isIt = found.ino === inode && (!otherDevice || deviceOf(found.dev) === device);
		if (!found.isFile() || !isIt) return null;
		return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
	} catch {
		return null;
	}
}

/** Of mounts that these processes or this one see, by device. */
function typesSeenBy(pids: readonly number[]): Map<string, string> {
	const mounts = (['self', ...pids] as const).flatMap((who) => mountsOf(who));
	return new Map(mounts.map(({ device, type }) => [device, type]));
}
