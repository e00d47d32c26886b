/**
 * How much less is measured where every instruction is emulated, ten to twenty
 * times slower than it would run: the whole of `npm run bench` is to take a
 * quarter of an hour. Said here and nowhere else; every table has its n.
 */
import type { Label } from '../store/manifest.ts';
import type { Variant } from '../types.ts';

/** What everything takes longer there, about: what paces a target is to leave it as much room. */
export const slownessOf = (label: Label): number => (label === 'emulated' ? 20 : 1);

/** One round of so many is left, */
const ONE_IN = 25;
/** but no fewer than this: a median needs some. */
const LEAST = 10;
/** Each block has a target of its own. */
const BLOCKS_BY_TARGET = 2;
/** A block that takes longer ends with three rounds or more. */
const BUDGET_MS = 600;

/** Instructions are the same in every run: few rounds say all. They must not depend on the clock. */
const COUNTED = 11;

/** Pure. One block for most variants: setting a target up costs more than its rounds. */
export function cutRounds(variants: Variant[], countInstructions: boolean): Variant[] {
	return variants.filter(({ tooSlowEmulated }) => tooSlowEmulated !== true).map((variant) => {
		const rounds = Math.min(
			variant.rounds, countInstructions ? COUNTED : Math.max(LEAST, Math.ceil(variant.rounds / ONE_IN))
		);
		const less = { ...variant, rounds, blockRounds: rounds, warmupRounds: Math.min(1, variant.warmupRounds) };
		return countInstructions
			? less
			: {
				...less,
				blockRounds: Math.ceil(rounds / (variant.differsByTarget === true ? BLOCKS_BY_TARGET : 1)),
				budgetMs: BUDGET_MS,
			};
	});
}
