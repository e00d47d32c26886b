/**
 * Places for peers that have shown nothing yet that is worth waiting for. There are so many, and so many of them for
 * one of whom they are counted by (an address and the networks that it is in, a certificate): whoever comes last gets
 * one, and who has had one for longest without coming any further goes. So none can be kept from others by holding
 * them.
 */
import { isIP } from 'node:net';

interface Place { who: readonly string[]; end: () => void }

export class Places {
	readonly #most: number;
	readonly #mostOf: readonly number[];
	/** The oldest first. */
	readonly #taken = new Set<Place>();

	/** `mostOf`: of each of whom places are counted by, in the order of `who`. */
	constructor({ most, mostOf }: { most: number; mostOf: readonly number[] }) {
		this.#most = most;
		this.#mostOf = mostOf;
	}

	get taken(): number {
		return this.#taken.size;
	}

	/**
	 * `who`: the narrowest first, each within the next one. `end` is called if the place is needed by somebody else.
	 * The result gives it back, once or more.
	 */
	enter(who: readonly string[], end: () => void): () => void {
		const all = [...this.#taken];
		// One goes at most: who leaves a narrow one makes room in the wider ones too.
		const full = this.#mostOf.findIndex((most, level) =>
			all.filter((each) => each.who[level] === who[level]).length >= most);
		if (full >= 0) this.#endOldest(all.filter((each) => each.who[full] === who[full]), full);
		else if (all.length >= this.#most) this.#endOldest(all, this.#mostOf.length);
		const place = { who, end };
		this.#taken.add(place);
		return () => { this.#taken.delete(place); };
	}

	/** Of those that are one at this level, of whoever has the most at each level below. */
	#endOldest(places: readonly Place[], level: number): void {
		if (level > 0) {
			const by = Map.groupBy(places, ({ who }) => who[level - 1]);
			const largest = [...by.values()].reduce((most, each) => (each.length > most.length ? each : most), []);
			this.#endOldest(largest, level - 1);
			return;
		}
		const [oldest] = places;
		if (oldest === undefined) return;
		this.#taken.delete(oldest);
		oldest.end();
	}
}

/**
 * Of whom an address is, narrowest first. IPv6: its /64, all of which one machine can have, and its /48, the most that
 * one site is given (RFC 6177). IPv4: itself, and its /24, the least that is routed by itself.
 */
export function networksOf(address: string): [string, string] {
	const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
	if (isIP(plain) !== 6) return [plain, plain.replace(/\.\d+$/, '')];
	const [head = [], tail] = plain.split('::').map((half) => half.split(':').filter((group) => group !== ''));
	const zeros = tail === undefined ? [] : Array.from({ length: 8 - head.length - tail.length }, () => '0');
	const groups = [...head, ...zeros, ...tail ?? []];
	return [groups.slice(0, 4).join(':'), groups.slice(0, 3).join(':')];
}
