/**
 * The target's own memory, which goes on changing. It is opened before the moment: the kernel ties these files to the
 * memory that the process had when they were opened, so that neither a program that it executes later nor another
 * process with its pid is ever read in its place. Nothing here brings a page into the target's memory.
 */
import { closeSync, openSync, read as readWithCallback, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { codeOf, Failure, isGone } from '../../common/errors.ts';
import { populatedRuns, type PagesIn, type Run } from '../../common/proc/pagemap.ts';
import { byLivingThread, livingThread } from '../../common/proc/process.ts';
import type { CountedRegion } from '../../common/proc/smaps.ts';
import type { FileReading } from '../../mechanisms/shared/types.ts';
import { pagesOf, regionsIn } from '../../native/index.ts';

const read = promisify(readWithCallback);

export class LiveTarget {
	readonly #files: number[] = [];
	readonly #pid: number;
	readonly #mem: number;
	readonly #pagemap: number;
	readonly #smaps: number;

	/** Throws what open(2) gives. */
	constructor(pid: number) {
		this.#pid = pid;
		try {
			[this.#mem, this.#pagemap, this.#smaps] = byLivingThread(pid, (thread) => [
				this.#open(thread, 'mem'), this.#open(thread, 'pagemap'), this.#open(thread, 'smaps'),
			]);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	#open(pid: number, file: string): number {
		const fd = openSync(`/proc/${pid}/${file}`, 'r');
		this.#files.push(fd);
		return fd;
	}

	/**
	 * With their flags, as of now: this walks its page tables. Once only. null: the target has ended. Throws what
	 * `signal` was aborted with.
	 */
	async regions(signal?: AbortSignal): Promise<CountedRegion[] | null> {
		try {
			const regions = await regionsIn(this.#smaps, { signal })
				.catch((error: unknown) => this.#byAnotherThread(error, signal));
			return regions.length === 0 ? null : regions;
		} catch (error) {
			if (isGone(error)) return null;
			throw error;
		}
	}

	/** A thread that has ended shows no regions, though its process may go on with the same memory. */
	async #byAnotherThread(error: unknown, signal: AbortSignal | undefined): Promise<CountedRegion[]> {
		if (!isGone(error) || !this.isThere()) throw error;
		const smaps = this.#open(livingThread(this.#pid), 'smaps');
		// Only now it is known to be of that memory, and of no program that was executed since.
		if (!this.isThere()) throw error;
		return regionsIn(smaps, { signal });
	}

	/**
	 * The pages that it has now of all these ranges, in order of address, looked for at once. null: the target has
	 * ended. Throws what `signal` was aborted with.
	 */
	async pages(ranges: ReadonlyArray<Run & { populated?: boolean }>, signal?: AbortSignal): Promise<PagesIn | null> {
		try {
			const populated = ranges.filter((range) => range.populated !== false);
			const map = await pagesOf(this.#pagemap, populated, { signal });
			return (range, which) => map.in(range, which);
		} catch (error) {
			if (error instanceof Failure || isGone(error)) return null;
			throw error;
		}
	}

	/**
	 * The runs of pages that it has now of one range, which is not long. To read others than those `resident` would
	 * bring them into its memory. null: the target has ended.
	 */
	populated(range: Run, which: 'all' | 'resident'): Run[] | null {
		try {
			return populatedRuns(this.#pagemap, range, which);
		} catch (error) {
			if (error instanceof Failure || isGone(error)) return null;
			throw error;
		}
	}

	/**
	 * Has the target still the memory that this was opened for? Not once it has ended, or executes another program.
	 */
	isThere(): boolean {
		try {
			// No address below the lowest is ever mapped: 0 says that the memory is gone, and EIO that it is not.
			return readSync(this.#mem, Buffer.alloc(1), 0, 1, 0) > 0;
		} catch (error) {
			return codeOf(error) === 'EIO';
		}
	}

	/** 0: the target has ended. Throws what read(2) gives. `files`: by whom memory is read that comes from files. */
	async read(
		room: Uint8Array, at: number, length: number, address: number, files?: FileReading
	): Promise<number> {
		if (files !== undefined) return files.read(this.#mem, address, room.subarray(at, at + length));
		return (await read(this.#mem, room, at, length, address)).bytesRead;
	}

	/** Once or more. */
	close(): void {
		for (const fd of this.#files.splice(0)) closeSync(fd);
	}
}
