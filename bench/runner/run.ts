/** Works through the plan. A variant's failure is written down and the run goes on. */
import { messageOf } from '../../common/errors.ts';
import { isDisturbed } from '../stats/looks.ts';
import type { Block, Lab, Look, Session } from '../types.ts';
import { measureRounds, type Measured } from './block.ts';
import type { Interrupt } from './interrupt.ts';
import type { TakeLook } from './look.ts';
import type { PlannedBlock } from './plan.ts';
import type { Progress } from './progress.ts';

/** A variant whose target cannot be set up twice in a row is given up. */
const OPEN_ATTEMPTS = 2;

export interface Dropped {
	experiment: string;
	variant: string;
	reason: string;
}

export interface Outcome {
	status: 'complete' | 'interrupted';
	failedRounds: number;
	failedBlocks: number;
	dropped: Dropped[];
}

export interface RunOptions {
	plan: PlannedBlock[];
	lab: Lab;
	/** Writes a block down; returns when it is on the disk. */
	write: (block: Block) => void;
	progress: Progress;
	interrupt: Pick<Interrupt, 'requested'>;
	/** Between blocks; left out where the CPU is emulated. */
	look?: TakeLook;
}

export async function runPlan({ plan, lab, write, progress, interrupt, look }: RunOptions): Promise<Outcome> {
	const began = performance.now();
	const failedOpens = new Map<string, number>();
	const dropped: Dropped[] = [];
	let failedRounds = 0;
	let failedBlocks = 0;
	let seq = 0;
	const lookNow = async (): Promise<Look | undefined> => {
		const seen = await look?.(lab);
		return seen && { ...seen, atMs: Math.round((performance.now() - began) * 1000) / 1000 };
	};
	/** What is seen after a block is seen before the next one. */
	let seen = await lookNow();
	/** Measures, looks and writes. */
	const block = async ({ experiment, variant, rounds }: PlannedBlock, repeats?: number) => {
		const startedMs = performance.now() - began, before = seen;
		const { opened, ...measured } = await measureBlock({ experiment, variant, rounds }, lab, interrupt);
		const tookMs = performance.now() - began - startedMs;
		seen = interrupt.requested ? undefined : await lookNow();
		const machine = before !== undefined && seen !== undefined ? { before, after: seen } : undefined;
		write({
			seq,
			experiment: experiment.name,
			variant: variant.id,
			factors: variant.factors,
			startedMs: Math.round(startedMs * 1000) / 1000,
			warmupRounds: Math.min(variant.warmupRounds, lengthOf(measured.samples)),
			...measured,
			...(machine === undefined ? {} : { machine }),
			...(repeats === undefined ? {} : { repeats }),
		});
		seq += 1;
		failedRounds += measured.failures.length;
		failedBlocks += measured.status === 'failed' ? 1 : 0;
		return { opened, tookMs, measured, disturbed: machine !== undefined && isDisturbed(machine) };
	};
	for (const planned of plan) {
		const { experiment, variant } = planned;
		const key = `${experiment.name}\n${variant.id}`;
		if (interrupt.requested) {
			break;
		}
		if ((failedOpens.get(key) ?? 0) >= OPEN_ATTEMPTS) {
			progress.skipped(planned);
			continue;
		}
		progress.starting(planned);
		const first = await block(planned);
		const again = first.disturbed && first.measured.status === 'ok' ? await block(planned, seq - 1) : undefined;
		const { opened, measured } = again ?? first;
		failedOpens.set(key, opened ? 0 : (failedOpens.get(key) ?? 0) + 1);
		progress.finished(planned, first.tookMs + (again?.tookMs ?? 0), {
			status: measured.status, failures: [...first.measured.failures, ...again?.measured.failures ?? []],
		});
		if (failedOpens.get(key) === OPEN_ATTEMPTS) {
			const reason = measured.error ?? 'no reason given';
			dropped.push({ experiment: experiment.name, variant: variant.id, reason });
			progress.note(`${experiment.name}: ${variant.id}: given up: ${reason}`);
		}
	}
	progress.end();
	return { status: interrupt.requested ? 'interrupted' : 'complete', failedRounds, failedBlocks, dropped };
}

interface BlockOutcome extends Measured {
	facts: Block['facts'];
	opened: boolean;
}

/** Opens, measures, reads the facts and closes: closes whatever happens. */
async function measureBlock(
	{ experiment, variant, rounds }: PlannedBlock, lab: Lab, interrupt: Pick<Interrupt, 'requested'>
): Promise<BlockOutcome> {
	const nothing = {
		samples: Object.fromEntries(Object.keys(experiment.metrics).map((name) => [name, []])), failures: [], facts: {},
	};
	let session: Session;
	try {
		session = await experiment.open(variant, lab);
	} catch (error) {
		return { ...nothing, ...failure('cannot be set up', error, interrupt), opened: false };
	}
	let outcome: BlockOutcome;
	try {
		const measured = await measureRounds(
			session, experiment.metrics,
			{ rounds: variant.warmupRounds + rounds, warmupRounds: variant.warmupRounds, budgetMs: variant.budgetMs },
			interrupt
		);
		outcome = { ...measured, facts: {}, opened: true };
		try {
			outcome.facts = session.facts?.() ?? {};
		} catch (error) {
			outcome = { ...outcome, ...failure('its facts cannot be read', error, interrupt) };
		}
	} catch (error) {
		outcome = { ...nothing, ...failure('cannot be measured', error, interrupt), opened: true };
	}
	try {
		await session.close();
	} catch (error) {
		outcome = { ...outcome, ...failure('cannot be ended', error, interrupt) };
	}
	return outcome;
}

/** Ctrl-C ends the targets as well: then nothing has failed. */
function failure(
	what: string, error: unknown, interrupt: Pick<Interrupt, 'requested'>
): Pick<Measured, 'status' | 'error'> {
	return { status: interrupt.requested ? 'interrupted' : 'failed', error: `${what}: ${messageOf(error)}` };
}

function lengthOf(samples: Block['samples']): number {
	return Object.values(samples)[0]?.length ?? 0;
}
