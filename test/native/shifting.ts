/** What targets/shifting.c must have in its memory, by its own count: an oracle that is exact. */

const PAGE = 4096, HOT_PAGES = 16, SLOTS = 16, SLOT_PAGES = 4, SLOT_ROOM = 8 * PAGE;
/** As in shifting.c. */
const [BY_OTHERS, GIVE_UP, UNMAP, FILL, MOVE, FORK] = [172, 176, 178, 190, 192, 193] as const;

/** Bytes of the copy at an address; fewer where the copy has no such region. */
export type ReadCopy = (address: number, length: number) => Uint8Array;

/** One thread of the target, followed from its beginning. */
export class ShiftingThread {
	readonly #counter: number;
	readonly #hotAt: number;
	readonly #coldAt: number;
	readonly #slotsAt: [number, number];
	readonly #hot = new Float64Array(HOT_PAGES);
	readonly #cold: Float64Array;
	readonly #slots = new Float64Array(SLOTS * SLOT_PAGES);
	readonly #moved = new Uint8Array(SLOTS);
	#state: number;
	#count = 0;

	/** `line`: what the thread has said. */
	constructor(line: string, coldPages: number) {
		const [seed, counter, hot, cold, slots, other] = line.split(' ').map((word) => parseInt(word, 16));
		[this.#counter, this.#hotAt, this.#coldAt, this.#slotsAt] = [counter!, hot!, cold!, [slots!, other!]];
		this.#cold = new Float64Array(coldPages);
		this.#state = seed!;
	}

	#next(): number {
		let state = this.#state;
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		this.#state = state;
		return state >>> 0;
	}

	#step(): void {
		const what = this.#next() % 1000, where = this.#next(), count = ++this.#count, slot = where % SLOTS;
		const page = where % this.#cold.length;
		if (what < BY_OTHERS) this.#cold[page] = count;
		else if (what < GIVE_UP) this.#cold[page] = 0;
		else if (what < UNMAP) this.#slots.fill(0, slot * SLOT_PAGES, (slot + 1) * SLOT_PAGES);
		else if (what < FILL) this.#slots[slot * SLOT_PAGES + (where >>> 8) % SLOT_PAGES] = count;
		else if (what < MOVE && count % 16 === 0) this.#moved[slot]! ^= 1;
		else if (what < MOVE || what >= FORK || count % 64 !== 0) this.#hot[where % HOT_PAGES] = count;
	}

	/**
	 * null: the copy is this thread's memory as of one moment. Otherwise what is wrong. The thing that was being done
	 * may have been done, and not counted yet.
	 */
	wrong(read: ReadCopy): string | null {
		const counted = numberAt(read(this.#counter, 8), 0);
		if (counted === null || counted < this.#count) return `it counts ${counted}, after ${this.#count}`;
		while (this.#count < counted) this.#step();
		const first = this.#difference(read);
		if (first === null) return null;
		this.#step();
		const then = this.#difference(read);
		return then === null ? null : `after ${counted}: ${first}; and after one more: ${then}`;
	}

	#difference(read: ReadCopy): string | null {
		const areas: Array<[string, number, Float64Array]> = [
			['hot', this.#hotAt, this.#hot], ['cold', this.#coldAt, this.#cold],
			...Array.from({ length: SLOTS }, (_, slot): [string, number, Float64Array] => [
				`slot ${slot}`, this.#slotsAt[this.#moved[slot]!]! + slot * SLOT_ROOM,
				this.#slots.subarray(slot * SLOT_PAGES, (slot + 1) * SLOT_PAGES),
			]),
		];
		for (const [name, address, wanted] of areas) {
			const bytes = read(address, wanted.length * PAGE);
			if (bytes.length !== wanted.length * PAGE) return `${name}: ${bytes.length} of ${wanted.length * PAGE} bytes`;
			for (let page = 0; page < wanted.length; page++) {
				const found = numberAt(bytes, page * PAGE);
				if (found !== wanted[page]) return `${name}, page ${page}: ${found} instead of ${wanted[page]}`;
			}
		}
		return null;
	}
}

const numberAt = (bytes: Uint8Array, at: number): number | null => (bytes.length < at + 8
	? null
	: Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(at, true)));
