/** What targets/changes.c must have in its memory, by its own count. */
import type { ReadCopy } from './shifting.ts';
import type { Target } from './target.ts';

const PAGE = 4096, FREED_PAGES = 8;

interface Layout { counter: number; area: number; pages: number }

/** How a mode's memory is told from its count; all others are alike. */
const RENEWED = ['brk', 'file', 'dropped', 'hugetlb', 'guarded'];

const GIVEN_UP_AT_ONCE = ['dropped', 'hugetlb'];

export class Changes {
	readonly #mode: string;
	readonly #layout: Layout;

	private constructor(mode: string, layout: Layout) {
		this.#mode = mode;
		this.#layout = layout;
	}

	/** A target that was just started. */
	static async of(target: Target, mode: string): Promise<Changes> {
		const [counter, area, pages] = (await target.line()).split(' ').map((word) => parseInt(word, 16));
		return new Changes(mode, { counter: counter!, area: area!, pages: pages! });
	}

	get pages(): number {
		return this.#layout.pages;
	}

	/** The count at which a page was written to last, up to `count`; 0: not yet, or given up since. */
	#written(page: number, count: number): number {
		const { pages } = this.#layout, at = count % pages, round = count - at;
		if (page <= at) return round + page;
		return RENEWED.includes(this.#mode) ? 0 : Math.max(0, round - pages + page);
	}

	/** Was it given up since, by MADV_FREE? Then the kernel may have taken it, or not yet. */
	#mayBeFreed(page: number, written: number, count: number): boolean {
		if (this.#mode !== 'free') return false;
		const first = Math.floor(page / FREED_PAGES) * FREED_PAGES;
		for (let at = count - count % 64; at >= written && at > 0; at -= 64)
			if (at / 64 * FREED_PAGES % this.#layout.pages === first) return true;
		return false;
	}

	#value(written: number): number {
		return this.#mode === 'ksm' && written % this.#layout.pages % 2 === 1 ? 1 : written;
	}

	/** What a page may hold, in the copy that counts `count`: what was being done then may be done. */
	#allowed(page: number, count: number): Set<number> {
		const { pages } = this.#layout, written = this.#written(page, count);
		const allowed = new Set([this.#value(written)]), isNext = page === (count + 1) % pages;
		if (isNext) allowed.add(this.#value(count + 1));
		if (isNext && this.#mode === 'regions' && (count + 1) % 8 === 0) allowed.add(0);
		if (RENEWED.includes(this.#mode) && (count + 1) % pages === 0) allowed.add(0);
		if (this.#mayBeFreed(page, written, count)) allowed.add(0);
		return allowed;
	}

	/** null: it is its memory as of one moment. `later`: a control takes it for one of so many writes later. */
	wrong(read: ReadCopy, later = 0): string | null {
		const { counter, pages } = this.#layout;
		const word = read(counter, 8);
		if (word.length !== 8) return 'the copy has no count';
		const count = wordOf(word) + later, bytes = this.#read(read);
		for (let page = 0; page < pages; page++) {
			const found = bytes.subarray(page * PAGE, (page + 1) * PAGE), allowed = this.#allowed(page, count);
			if (!allowed.has(wordOf(found)))
				return `after ${count}: page ${page} has ${wordOf(found)} instead of ${[...allowed].join(' or ')}`;
			if (!found.subarray(8).equals(ZEROS)) return `after ${count}: page ${page} has more than was written to it`;
		}
		return this.#halfGivenUp(bytes, count);
	}

	/** One call gives up all pages, before the first one is written to: that one tells whether it was done. */
	#halfGivenUp(bytes: Buffer, count: number): string | null {
		const { pages } = this.#layout;
		if (!GIVEN_UP_AT_ONCE.includes(this.#mode) || (count + 1) % pages !== 0) return null;
		const zeros = Array.from({ length: pages - 1 }, (_, page) => wordOf(bytes.subarray((page + 1) * PAGE)))
			.filter((word) => word === 0).length;
		const right = wordOf(bytes) === this.#written(0, count) ? 0 : pages - 1;
		return zeros === right ? null : `after ${count}: ${zeros} pages are given up instead of ${right}`;
	}

	/** In the order of writing. What the copy has not is zeros. */
	#read(read: ReadCopy): Buffer {
		const { area, pages } = this.#layout, bytes = Buffer.alloc(pages * PAGE);
		if (!['stack', 'regions', 'file', 'dropped', 'guarded'].includes(this.#mode)) {
			bytes.set(read(area, pages * PAGE));
			return bytes;
		}
		for (let page = 0; page < pages; page++) {
			const at = this.#mode === 'regions' ? 2 * page : this.#mode === 'stack' ? pages - 1 - page : page;
			bytes.set(read(area + at * PAGE, PAGE), page * PAGE);
		}
		return bytes;
	}
}

const ZEROS = Buffer.alloc(PAGE - 8);
const wordOf = (bytes: Uint8Array): number =>
	Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true));
