/**
 * The target's own memory, and what was copied of it while it stood still: what a fork leaves out may be elsewhere, or
 * gone, as soon as the target goes on.
 */
import type { PagesIn, Run } from '../../common/proc/pagemap.ts';
import type { Region } from '../../common/proc/regions.ts';
import type { FileReading } from '../../mechanisms/shared/types.ts';
import type { KeptPages } from '../../native/index.ts';
import { LiveTarget } from './live.ts';

export interface KeptRegion {
	region: Region;
	/** All that it had in memory, in order of address. */
	pages: readonly KeptPages[];
}

export class TargetMemory extends LiveTarget {
	#kept: readonly KeptRegion[] = [];

	/** From now on these regions are as they were then. */
	keep(regions: readonly KeptRegion[]): void {
		this.#kept = regions.toSorted((a, b) => a.region.start - b.region.start);
	}

	/** Is it of the moment, and not read now? */
	isKept(range: Run): boolean {
		return this.#pagesOf(range) !== undefined;
	}

	override populated(range: Run, which: 'all' | 'resident'): Run[] | null {
		return this.#keptIn(range) ?? super.populated(range, which);
	}

	#keptIn(range: Run): Run[] | undefined {
		return this.#pagesOf(range)?.flatMap(({ start, bytes }) => {
			const run = { start: Math.max(start, range.start), end: Math.min(start + bytes.length, range.end) };
			return run.start < run.end ? [run] : [];
		});
	}

	override async pages(
		ranges: ReadonlyArray<Run & { populated?: boolean }>, signal?: AbortSignal
	): Promise<PagesIn | null> {
		const live = await super.pages(ranges.filter((range) => !this.isKept(range)), signal);
		if (live === null && !ranges.some((range) => this.isKept(range))) return null;
		return (range, which) => this.#keptIn(range) ?? live?.(range, which) ?? [];
	}

	override read(
		room: Uint8Array, at: number, length: number, address: number, files?: FileReading
	): Promise<number> {
		const pages = this.#pagesOf({ start: address, end: address + 1 });
		if (pages === undefined) return super.read(room, at, length, address, files);
		const found = pages.find(({ start, bytes }) => start <= address && address < start + bytes.length);
		if (found === undefined) return Promise.resolve(0);
		const part = found.bytes.subarray(address - found.start, address - found.start + length);
		room.set(part, at);
		return Promise.resolve(part.length);
	}

	/** Thousands of regions may be kept, and be asked for thousands of times. */
	#pagesOf({ start, end }: Run): readonly KeptPages[] | undefined {
		let low = 0, high = this.#kept.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((this.#kept[middle] as KeptRegion).region.end > start) high = middle;
			else low = middle + 1;
		}
		const found = this.#kept[low];
		return found !== undefined && found.region.start <= start && end <= found.region.end ? found.pages : undefined;
	}
}
