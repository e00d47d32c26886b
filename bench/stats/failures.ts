import type { Block } from '../types.ts';

/** What went wrong with a variant, and how often. */
export interface FailureSummary {
	variant: string;
	message: string;
	count: number;
}

/** Failed rounds and blocks that ended early, the same message of the same variant counted together. */
export function collectFailures(blocks: readonly Block[]): FailureSummary[] {
	const failures = new Map<string, FailureSummary>();
	const add = (variant: string, message: string) => {
		const key = JSON.stringify([variant, message]);
		const known = failures.get(key);
		if (known === undefined) {
			failures.set(key, { variant, message, count: 1 });
		} else {
			known.count++;
		}
	};
	for (const block of [...blocks].sort((a, b) => a.seq - b.seq)) {
		for (const { message } of block.failures) {
			add(block.variant, message);
		}
		const told = block.failures.some((failure) => failure.message === block.error);
		if (block.status !== 'ok' && !told) {
			add(block.variant, `block ${block.status}: ${block.error ?? 'no reason recorded'}`);
		}
	}
	return [...failures.values()];
}
