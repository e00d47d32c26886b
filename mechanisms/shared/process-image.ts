/** The image of a mechanism that leaves a process: all of it is in that process's folder in /proc. */
import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Failure, isGone } from '../../common/errors.ts';
import { populatedRuns, type PagesIn, type Run, type Which } from '../../common/proc/pagemap.ts';
import {
	auxvOf, executedBy, gone, processNote, startTicksOf, type Executed, type ProcessNote,
} from '../../common/proc/process.ts';
import type { CountedRegion } from '../../common/proc/smaps.ts';
import {
	copiedBytesIn, pagesOf, ProcsnapError, regionsIn, type ThreadRegisters, type Tracer,
} from '../../native/index.ts';
import type { Image, Memory } from './types.ts';

export class ProcessImage implements Image {
	readonly momentNs: number;
	readonly skewNs: number;
	readonly #tracer: Tracer;
	readonly #pid: number;
	/** Its pid may be another process's by its end. */
	readonly #startTicks: number;
	#pagemap: number | undefined;

	/** Throws Failure where the process has ended. */
	constructor(tracer: Tracer, pid: number, { momentNs, skewNs }: Pick<Image, 'momentNs' | 'skewNs'>) {
		this.#tracer = tracer;
		this.#pid = pid;
		this.momentNs = momentNs;
		this.skewNs = skewNs;
		this.#startTicks = startTicksOf(pid);
	}

	threads(): ThreadRegisters[] {
		return this.#tracer.registers();
	}

	async regions(signal?: AbortSignal): Promise<CountedRegion[]> {
		const regions = await this.#ofSmaps((smaps) => regionsIn(smaps, { signal }));
		// What is ending has no memory any more, and none is what a process never has.
		if (regions.length === 0) throw gone(this.#pid);
		return regions;
	}

	async #ofSmaps<Found>(look: (smaps: number) => Promise<Found>): Promise<Found> {
		const smaps = this.#open('smaps');
		try {
			return await look(smaps);
		} catch (error) {
			throw isGone(error) ? gone(this.#pid) : error;
		} finally {
			closeSync(smaps);
		}
	}

	populated(range: Run, which: Which): Run[] {
		return populatedRuns(this.#pagemap ??= this.#open('pagemap'), range, which);
	}

	/** It stands still: what has no page now has none later. */
	async pages(regions: ReadonlyArray<Run & { populated?: boolean }>, signal?: AbortSignal): Promise<PagesIn> {
		const populated = regions.filter((region) => region.populated !== false);
		const map = await pagesOf(this.#pagemap ??= this.#open('pagemap'), populated, { signal });
		return (range, which) => map.in(range, which);
	}

	auxv(): Buffer {
		return auxvOf(this.#pid);
	}

	note(): ProcessNote {
		return processNote(this.#pid);
	}

	/** A duplicate executes what the target did. */
	executed(): Executed & { path: string } {
		return { ...executedBy(this.#pid), path: `/proc/${this.#pid}/exe` };
	}

	async copiedBytes(signal?: AbortSignal): Promise<number | null> {
		try {
			const bytes = await this.#ofSmaps((smaps) => copiedBytesIn(smaps, { signal }));
			// With another start time it has ended: what it had then nobody knows.
			return startTicksOf(this.#pid) === this.#startTicks ? bytes : null;
		} catch (error) {
			if (error instanceof Failure || error instanceof ProcsnapError) return null;
			throw error;
		}
	}

	async openMemory(): Promise<Memory> {
		const file = await open(`/proc/${this.#pid}/mem`, 'r').catch((error: unknown) => {
			if (!isGone(error)) throw error;
			throw new Failure(
				`the duplicate ${this.#pid} has ended before it could be read: it was killed from outside, or with ` +
					`its cgroup; take another`
			);
		});
		return {
			read: async (room, at, length, address, files) => (files === undefined
				? (await file.read(room, at, length, address)).bytesRead
				: files.read(file.fd, address, room.subarray(at, at + length))),
			close: () => file.close(),
		};
	}

	close(): void {
		if (this.#pagemap !== undefined) closeSync(this.#pagemap);
		this.#pagemap = undefined;
	}

	#open(file: string): number {
		try {
			return openSync(`/proc/${this.#pid}/${file}`, 'r');
		} catch (error) {
			throw isGone(error)
				? new Failure(`process ${this.#pid} ended just when it was duplicated: nothing was taken`)
				: error;
		}
	}
}

/** Reads synchronously, by the tracer, from the process that holds the copy. */
export const readBy = (tracer: Tracer, pid: number) => (address: bigint, length: number): Uint8Array =>
	tracer.data.subarray(0, tracer.read('proc-mem', pid, address, length).bytes);
