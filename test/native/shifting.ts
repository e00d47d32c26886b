/** What targets/shifting.c must have in its memory, byte for byte, by its own count: an oracle that is exact. */

const PAGE = 4096, HOT_PAGES = 16, SLOTS = 16, SLOT_PAGES = 4, SLOT_ROOM = 8 * PAGE, SLOT_BYTES = SLOT_PAGES * PAGE;
/** As in shifting.c. */
const [BY_OTHERS, GIVE_UP, UNMAP, FILL, MOVE, FORK] = [172, 176, 178, 190, 192, 193] as const;

/** Bytes of the copy at an address; fewer where the copy has no such region. */
export type ReadCopy = (address: number, length: number) => Uint8Array;

/** The first page of a copy that is not as it must be. */
export interface WrongPage {
	area: string;
	page: number;
	address: number;
	/** What the thread had counted. */
	count: number;
	expected: Buffer;
	/** Empty: the copy has no such page. */
	found: Buffer;
}

/** Memory of one thread, as it must be after so many counts. */
class Area {
	readonly bytes: Buffer;
	readonly #words: Uint32Array;

	constructor(pages: number) {
		const memory = new ArrayBuffer(pages * PAGE);
		this.bytes = Buffer.from(memory);
		this.#words = new Uint32Array(memory);
	}

	get pages(): number {
		return this.bytes.length / PAGE;
	}

	/** Into the word that shifting.c's word_of() gives. */
	write(page: number, where: number, count: number): void {
		const at = page * PAGE / 4 + (where >>> 20) % 512 * 2;
		this.#words[at] = count >>> 0;
		this.#words[at + 1] = Math.floor(count / 2 ** 32);
	}

	clear(page: number, pages: number): void {
		this.bytes.fill(0, page * PAGE, (page + pages) * PAGE);
	}
}

/** One thread of the target, followed from its beginning. */
export class ShiftingThread {
	readonly #counter: number;
	readonly #hotAt: number;
	readonly #coldAt: number;
	readonly #slotsAt: [number, number];
	readonly #hot = new Area(HOT_PAGES);
	readonly #cold: Area;
	readonly #slots = new Area(SLOTS * SLOT_PAGES);
	readonly #moved = new Uint8Array(SLOTS);
	#state: number;
	/** What this oracle has followed; the last thing may have been done and not counted in the copy before. */
	#count = 0;

	/** `line`: what the thread has said. */
	constructor(line: string, coldPages: number) {
		const [seed, counter, hot, cold, slots, other] = line.split(' ').map((word) => parseInt(word, 16));
		[this.#counter, this.#hotAt, this.#coldAt, this.#slotsAt] = [counter!, hot!, cold!, [slots!, other!]];
		this.#cold = new Area(coldPages);
		this.#state = seed!;
	}

	/** Those that each check compares. */
	get pages(): number {
		return this.#hot.pages + this.#cold.pages + this.#slots.pages;
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
		const page = where % this.#cold.pages;
		if (what < BY_OTHERS) this.#cold.write(page, where, count);
		else if (what < GIVE_UP) this.#cold.clear(page, 1);
		else if (what < UNMAP) this.#slots.clear(slot * SLOT_PAGES, SLOT_PAGES);
		else if (what < FILL) this.#slots.write(slot * SLOT_PAGES + (where >>> 8) % SLOT_PAGES, where, count);
		else if (what < MOVE && count % 16 === 0) this.#moved[slot]! ^= 1;
		else if (what < MOVE || what >= FORK || count % 64 !== 0) this.#hot.write(where % HOT_PAGES, where, count);
	}

	/**
	 * null: the copy is this thread's memory as of one moment. The thing that was being done may have been done, and
	 * not counted yet. `later`: so many things after what the copy has counted; more than 0 is for a control.
	 */
	check(read: ReadCopy, later = 0): WrongPage | null {
		const bytes = read(this.#counter, 8);
		const counted = bytes.length === 8 ? Number(bufferOf(bytes).readBigUInt64LE()) : -1;
		if (counted < this.#count - 1)
			return { area: 'counter', page: 0, address: this.#counter, count: this.#count, ...NO_PAGE };
		while (this.#count < counted + later) this.#step();
		const first = this.#difference(read);
		if (first === null || this.#count > counted + later) return first;
		this.#step();
		return this.#difference(read) === null ? null : first;
	}

	/** The same in words. */
	wrong(read: ReadCopy): string | null {
		const wrong = this.check(read);
		return wrong === null ? null : textOf(wrong);
	}

	#difference(read: ReadCopy): WrongPage | null {
		const areas: Array<[string, number, Buffer]> = [
			['hot', this.#hotAt, this.#hot.bytes], ['cold', this.#coldAt, this.#cold.bytes],
			...Array.from({ length: SLOTS }, (_, slot): [string, number, Buffer] => [
				`slot ${slot}`, this.#slotsAt[this.#moved[slot]!]! + slot * SLOT_ROOM,
				this.#slots.bytes.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES),
			]),
		];
		for (const [area, address, expected] of areas) {
			const found = bufferOf(read(address, expected.length));
			if (found.equals(expected)) continue;
			const page = Math.floor(firstDifference(expected, found) / PAGE), from = page * PAGE, to = from + PAGE;
			return {
				area, page, address: address + from, count: this.#count,
				expected: Buffer.from(expected.subarray(from, to)), found: Buffer.from(found.subarray(from, to)),
			};
		}
		return null;
	}
}

const NO_PAGE = { expected: Buffer.alloc(0), found: Buffer.alloc(0) };

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function firstDifference(a: Buffer, b: Buffer): number {
	let at = 0;
	while (at < b.length && a[at] === b[at]) at++;
	return at;
}

/** Its first word that is wrong. */
export function textOf({ area, page, address, count, expected, found }: WrongPage): string {
	const where = `after ${count}: ${area}, page ${page} (0x${address.toString(16)})`;
	if (found.length < expected.length) return `${where}: ${found.length} of ${expected.length} bytes`;
	if (expected.length === 0) return `${where}: the copy counts less than one before it`;
	const at = Math.floor(firstDifference(expected, found) / 8) * 8;
	return `${where}, byte ${at}: ${found.readBigUInt64LE(at)} instead of ${expected.readBigUInt64LE(at)}`;
}
