import type { Block, Results, Summary, VariantResult } from '../types.ts';
import { summarize } from './summarize.ts';

/**
 * One experiment's blocks, in any order, to its results. `order` names variants
 * as the plan has them; variants it does not name follow by first appearance.
 */
export function collect(blocks: readonly Block[], order: readonly string[] = []): Results {
	const bySeq = [...blocks].sort((a, b) => a.seq - b.seq);
	const byVariant = new Map<string, Block[]>();
	for (const block of bySeq) {
		const same = byVariant.get(block.variant);
		if (same === undefined) {
			byVariant.set(block.variant, [block]);
		} else {
			same.push(block);
		}
	}
	const ids = [...new Set([...order, ...byVariant.keys()])];
	const variants = ids.flatMap((id) => {
		const own = byVariant.get(id);
		return own === undefined ? [] : [variantResult(id, own)];
	});
	return {
		variants,
		where: (factors) => variants.filter((variant) => includes(variant.factors, factors)),
		mechanisms: mechanismsOf(variants),
	};
}

function variantResult(id: string, blocks: readonly Block[]): VariantResult {
	const byBlock: Record<string, number[][]> = {};
	for (const block of blocks) {
		for (const [metric, rounds] of Object.entries(block.samples)) {
			const values = rounds.slice(block.warmupRounds)
				.filter((value): value is number => value !== null && Number.isFinite(value));
			if (values.length > 0) {
				(byBlock[metric] ??= []).push(values);
			}
		}
	}
	const measured = Object.entries(byBlock).map(([metric, values]): [string, number[]] => [metric, values.flat()]);
	return {
		id,
		factors: merge(blocks.map((block) => block.factors)),
		samples: Object.fromEntries(measured),
		blocks: byBlock,
		summary: Object.fromEntries(Object.entries(byBlock)
			.map(([metric, values]): [string, Summary] => [metric, summarize(values)])),
		failures: blocks.reduce((sum, block) => sum + failuresOf(block), 0),
		facts: merge(blocks.map((block) => block.facts)),
	};
}

/** Later ones win. */
function merge<Value>(records: Array<Record<string, Value>>): Record<string, Value> {
	return Object.fromEntries(records.flatMap((record) => Object.entries(record)));
}

/** A block that failed before its first round has no failed round to count, and yet failed. */
function failuresOf(block: Block): number {
	return block.failures.length === 0 && block.status === 'failed' ? 1 : block.failures.length;
}

function includes(factors: VariantResult['factors'], wanted: VariantResult['factors']): boolean {
	return Object.entries(wanted).every(([name, value]) => factors[name] === value);
}

function mechanismsOf(variants: readonly VariantResult[]): string[] {
	const names = variants.map((variant) => variant.factors.mechanism);
	return [...new Set(names.filter((name) => typeof name === 'string'))];
}
