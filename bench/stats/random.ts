/** A stream of numbers in [0, 1), the same for the same seed. */
export type Random = () => number;

/** mulberry32: 32 bits of state, enough for shuffling and resampling, not for secrets. */
export function createRandom(seed: number): Random {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** A new array in random order, every order equally likely (Fisher and Yates). */
export function shuffle<Item>(items: readonly Item[], random: Random): Item[] {
	const shuffled = [...items];
	for (let last = shuffled.length - 1; last > 0; last--) {
		const other = Math.floor(random() * (last + 1));
		const item = shuffled[last] as Item;
		shuffled[last] = shuffled[other] as Item;
		shuffled[other] = item;
	}
	return shuffled;
}

/** Standard normal (Box and Muller). 1 - u keeps the logarithm finite. */
export function normal(random: Random): number {
	return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Gamma with scale 1 and shape >= 1 (Marsaglia and Tsang 2000). */
export function gamma(shape: number, random: Random): number {
	const d = shape - 1 / 3;
	const c = 1 / Math.sqrt(9 * d);
	for (;;) {
		const x = normal(random);
		const v = (1 + c * x) ** 3;
		if (v > 0 && Math.log(1 - random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
			return d * v;
		}
	}
}
