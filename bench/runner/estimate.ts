/** How long the rest of an experiment will take, from the blocks measured so far. */
import type { PlannedBlock } from './plan.ts';

export interface Share {
	blocks: number;
	/** Blocks measured or skipped. */
	done: number;
	/** Measured rounds in the blocks measured. */
	rounds: number;
	tookMs: number;
}

export interface Estimate {
	/** A block is done; `undefined` if it was skipped. */
	add: (planned: PlannedBlock, ms: number | undefined) => void;
	/** leftMs is undefined while nothing of the experiment is measured. */
	of: (experiment: string) => Share & { leftMs: number | undefined };
	ofVariant: (planned: PlannedBlock) => Share;
}

interface Cell extends Share {
	experiment: string;
	plannedRounds: number;
	doneRounds: number;
}

export function createEstimate(plan: PlannedBlock[]): Estimate {
	const cells = new Map<unknown, Cell>();
	for (const { experiment, variant, rounds } of plan) {
		const cell = cells.get(variant) ??
			{ experiment: experiment.name, blocks: 0, done: 0, rounds: 0, tookMs: 0, plannedRounds: 0, doneRounds: 0 };
		cell.blocks += 1;
		cell.plannedRounds += rounds;
		cells.set(variant, cell);
	}
	const cellOf = ({ variant }: PlannedBlock): Cell => {
		const cell = cells.get(variant);
		if (cell === undefined) {
			throw new Error(`variant ${variant.id} is not in the plan`);
		}
		return cell;
	};
	return {
		add: (planned, ms) => {
			const cell = cellOf(planned);
			cell.done += 1;
			cell.doneRounds += planned.rounds;
			if (ms !== undefined) {
				cell.rounds += planned.rounds;
				cell.tookMs += ms;
			}
		},
		of: (experiment) => {
			const own = [...cells.values()].filter((cell) => cell.experiment === experiment);
			return {
				blocks: sum(own, 'blocks'), done: sum(own, 'done'), rounds: sum(own, 'rounds'),
				tookMs: sum(own, 'tookMs'), leftMs: timeLeft(own),
			};
		},
		ofVariant: cellOf,
	};
}

/** A variant not measured yet is taken to need as long for a block as the others do on average. */
function timeLeft(cells: Cell[]): number | undefined {
	const measured = cells.filter((cell) => cell.rounds > 0);
	if (measured.length === 0) {
		return undefined;
	}
	const perBlock = measured.reduce((total, cell) => total + cell.tookMs / cell.done, 0) / measured.length;
	return cells.reduce((total, cell) => total + (cell.rounds > 0
		? cell.tookMs / cell.rounds * (cell.plannedRounds - cell.doneRounds)
		: perBlock * (cell.blocks - cell.done)), 0);
}

function sum(cells: Cell[], key: keyof Share): number {
	return cells.reduce((total, cell) => total + cell[key], 0);
}
