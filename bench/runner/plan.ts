/**
 * Which block is measured when. Experiments follow each other; within one, every
 * pass takes a block of each variant that has rounds left, in shuffled order. So
 * what changes slowly in a machine (its clock, its heat, its neighbours) falls
 * on all variants alike instead of on those that happen to come last.
 */
import { createRandom, shuffle } from '../stats/random.ts';
import type { Experiment, Variant } from '../types.ts';

/** So many blocks show how different they are; but one has so many rounds at most, since its time is limited. */
const BLOCKS = 20, MOST_BLOCK_ROUNDS = 25;

/** Those with one of these texts in their name (none: all), with so many rounds instead of their own. Pure. */
export function narrowed(
	variants: readonly Variant[], { variants: texts = [], rounds }: { variants?: readonly string[]; rounds?: number }
): Variant[] {
	const chosen = variants.filter(({ id }) => texts.length === 0 || texts.some((text) => id.includes(text)));
	if (rounds === undefined) return chosen;
	return chosen.map((variant) => ({
		...variant, rounds,
		blockRounds: Math.max(variant.blockRounds, Math.min(MOST_BLOCK_ROUNDS, Math.ceil(rounds / BLOCKS))),
	}));
}

/** An experiment with the variants that it is to measure. */
export interface Chosen {
	experiment: Experiment;
	variants: Variant[];
}

export interface PlannedBlock {
	experiment: Experiment;
	variant: Variant;
	/** Measured rounds of this block; its warm-up rounds come on top. */
	rounds: number;
}

export function planBlocks(chosen: Chosen[], seed: number): PlannedBlock[] {
	return chosen.flatMap(({ experiment, variants }) => planExperiment(experiment, variants, seed));
}

function planExperiment(experiment: Experiment, variants: Variant[], seed: number): PlannedBlock[] {
	checkVariants(experiment, variants);
	// Of its own, so that an experiment's order is the same whatever else is chosen.
	const random = createRandom((seed ^ hash(experiment.name)) >>> 0);
	const left = new Map(variants.map((variant) => [variant, variant.rounds]));
	const plan: PlannedBlock[] = [];
	while (left.size > 0) {
		for (const variant of shuffle([...left.keys()], random)) {
			const before = left.get(variant) ?? 0;
			const rounds = Math.min(variant.blockRounds, before);
			plan.push({ experiment, variant, rounds });
			if (before > rounds) {
				left.set(variant, before - rounds);
			} else {
				left.delete(variant);
			}
		}
	}
	return plan;
}

/** A plan of an experiment's mistakes would never end, or would mix two variants' samples. */
function checkVariants(experiment: Experiment, variants: Variant[]): void {
	const seen = new Set<string>();
	for (const { id, rounds, blockRounds, warmupRounds } of variants) {
		const wrong = seen.has(id) ? 'its id is used twice'
			: !isCount(rounds, 1) ? `rounds is ${rounds}`
			: !isCount(blockRounds, 1) ? `blockRounds is ${blockRounds}`
			: !isCount(warmupRounds, 0) ? `warmupRounds is ${warmupRounds}`
			: undefined;
		if (wrong !== undefined) {
			throw new Error(`experiment ${experiment.name}, variant ${id}: ${wrong}`);
		}
		seen.add(id);
	}
}

function isCount(value: number, least: number): boolean {
	return Number.isInteger(value) && value >= least;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
	let value = 0x811c9dc5;
	for (const byte of Buffer.from(text)) {
		value = Math.imul(value ^ byte, 0x01000193) >>> 0;
	}
	return value;
}
