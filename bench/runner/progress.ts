/**
 * What the user sees while it measures. On a terminal one line an experiment,
 * redrawn between blocks; elsewhere one plain line for each variant that is done.
 * Everything is written between blocks, never while one is timed.
 */
import type { Block } from '../types.ts';
import { createEstimate } from './estimate.ts';
import type { PlannedBlock } from './plan.ts';

export interface Progress {
	starting: (planned: PlannedBlock) => void;
	finished: (planned: PlannedBlock, ms: number, block: Pick<Block, 'status' | 'failures'>) => void;
	/** The block was not run, because its variant was given up. */
	skipped: (planned: PlannedBlock) => void;
	/** A line that stays. */
	note: (text: string) => void;
	end: () => void;
}

export interface Screen {
	write: (text: string) => unknown;
	isTTY?: boolean | undefined;
	columns?: number | undefined;
}

export function createProgress(plan: PlannedBlock[], screen: Screen): Progress {
	return screen.isTTY === true ? createRedrawn(plan, screen) : createPlain(plan, screen);
}

function createRedrawn(plan: PlannedBlock[], screen: Screen): Progress {
	const estimate = createEstimate(plan);
	let line = '';
	let current: string | undefined;
	let failures = 0;

	const draw = (text: string) => {
		line = text;
		screen.write(
			`\r\x1b[K${text.slice(0, (screen.columns === undefined || screen.columns === 0 ? 80 : screen.columns) - 1)}`
		);
	};
	const settle = () => {
		if (line !== '') {
			screen.write('\n');
			line = '';
		}
	};
	const update = (name: string) => {
		const { done, blocks, tookMs, leftMs } = estimate.of(name);
		const failed = failures > 0 ? `, ${failures} failed` : '';
		const left = leftMs === undefined ? 'time left not known yet' : `${formatDuration(leftMs)} left`;
		draw(done < blocks
			? `${name}: ${Math.floor(100 * done / blocks)} %, ${done} of ${blocks} blocks${failed}, ${left}`
			: `${name}: ${blocks} blocks in ${formatDuration(tookMs)}${failed}`);
	};
	return {
		starting: ({ experiment }) => {
			if (experiment.name !== current) {
				settle();
				current = experiment.name;
				failures = 0;
				update(experiment.name);
			}
		},
		finished: (planned, ms, block) => {
			failures += block.failures.length;
			estimate.add(planned, ms);
			update(planned.experiment.name);
		},
		skipped: (planned) => {
			estimate.add(planned, undefined);
			update(planned.experiment.name);
		},
		note: (text) => {
			screen.write(`\r\x1b[K${text}\n`);
			screen.write(line);
		},
		end: settle,
	};
}

function createPlain(plan: PlannedBlock[], screen: Screen): Progress {
	const estimate = createEstimate(plan);
	const failures = new Map<unknown, number>();
	const endedEarly = new Map<unknown, number>();

	const report = (planned: PlannedBlock) => {
		const { experiment, variant } = planned;
		const own = estimate.ofVariant(planned);
		if (own.done < own.blocks) {
			return;
		}
		const failed = failures.get(variant) ?? 0;
		const early = endedEarly.get(variant) ?? 0;
		const { leftMs } = estimate.of(experiment.name);
		const rounds = early > 0 ? `${early} of ${own.blocks} blocks ended early,` : `${own.rounds} rounds`;
		screen.write([
			`${experiment.name}: ${variant.id}: ${rounds} in ${formatDuration(own.tookMs)}`,
			failed > 0 ? `, ${failed} failed` : '',
			leftMs === undefined || leftMs === 0 ? '' : `; ${formatDuration(leftMs)} left`,
			'\n',
		].join(''));
	};
	return {
		starting: () => {},
		finished: (planned, ms, block) => {
			failures.set(planned.variant, (failures.get(planned.variant) ?? 0) + block.failures.length);
			endedEarly.set(planned.variant, (endedEarly.get(planned.variant) ?? 0) + (block.status === 'ok' ? 0 : 1));
			estimate.add(planned, ms);
			report(planned);
		},
		skipped: (planned) => {
			estimate.add(planned, undefined);
		},
		note: (text) => {
			screen.write(`${text}\n`);
		},
		end: () => {},
	};
}

/** `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`: rounded as a person would say it. */
export function formatDuration(ms: number): string {
	if (ms < 9_950) {
		return `${(ms / 1000).toFixed(1)} s`;
	}
	const seconds = Math.round(ms / 1000);
	if (seconds < 60) {
		return `${seconds} s`;
	}
	const pad = (value: number) => String(value).padStart(2, '0');
	if (seconds < 3600) {
		return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
	}
	const minutes = Math.round(seconds / 60);
	return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}
