/** How the machine was between blocks: which are repeated, and what the report tells of all. Pure. */
import type { Block, CellValue, Look, Table } from '../types.ts';

/**
 * A gap beyond it, before or after, and a block is measured once more: it is about as long as a scheduler lets another
 * run, so somebody else had the CPU. Shorter ones are usual in virtual machines, and are in the table.
 */
export const GAP_LIMIT_NS = 3e6;

export const largestGapNs = ({ gaps }: Look): number | null =>
	(gaps === null ? null : Math.max(0, ...gaps.map((gap) => gap.largestNs)));

export const isDisturbed = (looks: NonNullable<Block['machine']>): boolean =>
	[looks.before, looks.after].some(disturbs);

function disturbs(look: Look): boolean {
	return (largestGapNs(look) ?? 0) > GAP_LIMIT_NS;
}

/** Of the time that was spun, the share that was lost to gaps, on the CPU that lost the most. */
function lostShare({ gaps }: Look): number | null {
	return gaps === null ? null : Math.max(0, ...gaps.map(({ lostNs, spunNs }) => lostNs / Math.max(1, spunNs)));
}

/** Of the time between two looks. */
function share(before: number | null, after: number | null, elapsed: number): number | null {
	return before === null || after === null || elapsed <= 0 ? null : (after - before) / elapsed;
}

const percent = (part: number | null): number | null => (part === null ? null : part * 100);

/** One line a block; null where the run has no looks: it is older, or its CPU is emulated. */
export function blocksTable(blocks: readonly Block[]): Table | null {
	if (!blocks.some(({ machine }) => machine !== undefined)) return null;
	const repeats = new Map(blocks.flatMap(({ seq, repeats: first }) => (first === undefined ? [] : [[first, seq]])));
	return {
		name: 'blocks',
		title: 'The machine before and after each block',
		columns: [
			{ key: 'seq', title: 'block' }, { key: 'experiment', title: 'experiment' },
			{ key: 'variant', title: 'variant' }, { key: 'before', title: 'largest gap before', unit: 'us' },
			{ key: 'after', title: 'after', unit: 'us' }, { key: 'lost', title: 'lost to gaps', unit: 'percent' },
			{ key: 'steal', title: 'stolen', unit: 'percent' },
			{ key: 'waited', title: 'somebody waited for a CPU', unit: 'percent' },
			{ key: 'load', title: 'load' }, { key: 'frequency', title: 'MHz' }, { key: 'again', title: 'repeated' },
		],
		rows: blocks.map((block) => row(block, repeats.get(block.seq))),
		notes: [
			'Before and after each block a loop on the CPUs of target and requester reads the clock, with the ' +
				'priority of targets: a gap is more than 10 µs between two readings. Lost is the share of the time, ' +
				'on the CPU that lost more.',
			`With a gap of more than ${GAP_LIMIT_NS / 1e6} ms before or after it a block is measured once more. Both ` +
				'count in all tables: what a disturbance did is a result, too, and a failure in such a block is one.',
			'Stolen (/proc/stat) and waited (/proc/pressure/cpu) are of the time from one look to the other, and of ' +
				'all CPUs.',
		],
	};
}

function row(
	{ seq, experiment, variant, machine, repeats }: Block, again: number | undefined
): Record<string, CellValue> {
	const named = {
		seq: String(seq), experiment, variant,
		again: again !== undefined ? `as ${again}` : repeats !== undefined ? `of ${repeats}` : '',
	};
	if (machine === undefined) return named;
	const { before, after } = machine, ms = after.atMs - before.atMs;
	const us = (look: Look) => { const ns = largestGapNs(look); return ns === null ? null : ns / 1e3; };
	const lost = [lostShare(before), lostShare(after)].filter((each) => each !== null);
	return {
		...named, before: us(before), after: us(after), lost: percent(lost.length === 0 ? null : Math.max(...lost)),
		steal: percent(share(before.stealMs, after.stealMs, ms * after.cpus)),
		waited: percent(share(before.waitedUs.cpu, after.waitedUs.cpu, ms * 1e3)),
		load: after.load, frequency: after.frequencyKHz === null ? null : Math.round(after.frequencyKHz / 1e3),
	};
}

/** What is to be said before the figures: null where no block was disturbed. */
export function disturbedText(blocks: readonly Block[]): string | null {
	const repeated = blocks.flatMap(({ repeats }) => (repeats === undefined ? [] : [repeats]));
	// What is seen before a repeat may be what it is repeated for.
	const still = blocks.filter(({ machine, repeats }) =>
		repeats !== undefined && machine !== undefined && disturbs(machine.after));
	if (repeated.length === 0) return null;
	const plural = repeated.length === 1 ? 'block was' : 'blocks were';
	return `${repeated.length} ${plural} repeated, for a gap of more than ${GAP_LIMIT_NS / 1e6} ms before or ` +
		`after: ${repeated.join(', ')}; of the repeats ${still.length} had one after them again. Both count.`;
}
