/**
 * How much less is measured where every instruction is emulated, ten to twenty
 * times slower than it would run: the whole of `npm run bench` is to take a
 * quarter of an hour. Said here and nowhere else; every table has its n.
 */
import type { Label } from '../store/manifest.ts';
import type { Mechanism, Variant } from '../types.ts';

/** What everything takes longer there, about: what paces a target is to leave it as much room. */
export const slownessOf = (label: Label): number => (label === 'emulated' ? 20 : 1);

/** One round of so many is left, */
const ONE_IN = 25;
/** but no fewer than this: a median needs some. */
const LEAST = 10;
/** How a target's pages lie differs from one to the next, and with it what it costs by their number. */
const BLOCKS_BY_RESIDENT = 2;
/** A block that takes longer ends with three rounds or more. */
const BUDGET_MS = 600;

/** Instructions are the same in every run: few rounds say all. They must not depend on the clock. */
const COUNTED = 11;

/** PEEKTEXT takes a system call a word: a round of more than this would take minutes. */
const LARGEST_PEEK_KIB = 64;

/** A mechanism that copies every byte takes tens of seconds a round for more than this. */
const LARGEST_COPY_MIB = 64;

/** Pure. One block for most variants: setting a target up costs more than its rounds. */
export function cutRounds(
	variants: Variant[], mechanisms: ReadonlyArray<Pick<Mechanism, 'name' | 'duplicates'>>, countInstructions: boolean
): Variant[] {
	const copies = new Set(mechanisms.filter(({ duplicates }) => !duplicates).map(({ name }) => name));
	const feasible = variants.filter(({ factors: { way, sizeKiB, mechanism, rssMiB } }) =>
		(way !== 'peek' || Number(sizeKiB) <= LARGEST_PEEK_KIB) &&
			(!copies.has(String(mechanism)) || !(Number(rssMiB) > LARGEST_COPY_MIB)));
	return feasible.map((variant) => {
		const rounds = Math.min(
			variant.rounds, countInstructions ? COUNTED : Math.max(LEAST, Math.ceil(variant.rounds / ONE_IN))
		);
		const less = { ...variant, rounds, blockRounds: rounds, warmupRounds: Math.min(1, variant.warmupRounds) };
		return countInstructions
			? less
			: {
				...less,
				blockRounds: Math.ceil(rounds / (variant.factors['rssMiB'] === undefined ? 1 : BLOCKS_BY_RESIDENT)),
				budgetMs: BUDGET_MS,
			};
	});
}
