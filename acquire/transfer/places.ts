/**
 * Places for peers that have shown nothing yet that is worth waiting for. There are so many, and so many of them for
 * one of whom they are counted by (an address, a certificate): whoever comes last gets one, and who has had one for
 * longest without coming any further goes. So none can be kept from others by holding them.
 */
import { isIP } from 'node:net';

interface Place { who: string; end: () => void }

export class Places {
	readonly #most: number;
	readonly #mostOfOne: number;
	/** The oldest first. */
	readonly #taken = new Set<Place>();

	constructor({ most, mostOfOne }: { most: number; mostOfOne: number }) {
		this.#most = most;
		this.#mostOfOne = mostOfOne;
	}

	get taken(): number {
		return this.#taken.size;
	}

	/** `end` is called if the place is needed by somebody else. The result gives it back, once or more. */
	enter(who: string, end: () => void): () => void {
		const counts = new Map<string, number>();
		for (const each of this.#taken) counts.set(each.who, (counts.get(each.who) ?? 0) + 1);
		const own = counts.get(who) ?? 0;
		if (own >= this.#mostOfOne) this.#endOldest(who);
		else if (this.#taken.size >= this.#most) {
			const highest = Math.max(...counts.values());
			this.#endOldest([...this.#taken].find((each) => counts.get(each.who) === highest)?.who);
		}
		const place = { who, end };
		this.#taken.add(place);
		return () => { this.#taken.delete(place); };
	}

	#endOldest(who: string | undefined): void {
		const oldest = [...this.#taken].find((each) => each.who === who);
		if (oldest === undefined) return;
		this.#taken.delete(oldest);
		oldest.end();
	}
}

/** Of whom an address is: itself, and of IPv6 its /64, all of which one machine can have. */
export function networkOf(address: string): string {
	const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
	if (isIP(plain) !== 6) return plain;
	const [head = [], tail] = plain.split('::').map((half) => half.split(':').filter((group) => group !== ''));
	const zeros = tail === undefined ? [] : Array.from({ length: 8 - head.length - tail.length }, () => '0');
	return [...head, ...zeros, ...tail ?? []].slice(0, 4).join(':');
}
