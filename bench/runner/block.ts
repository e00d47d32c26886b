/**
 * One block: a variant's warm-up rounds and rounds, one after the other.
 * tinybench schedules; the numbers come from C by way of the session, and are
 * kept here in order (tinybench sorts its own in place).
 */
import { setImmediate } from 'node:timers/promises';
import { Bench } from 'tinybench';
import { messageOf } from '../../common/errors.ts';
import type { Block, Metric, Sample, Session } from '../types.ts';
import type { Interrupt } from './interrupt.ts';

/** How often the event loop gets its turn, between rounds: signals are seen there. */
const TURN_EVERY_MS = 100;

/** A target that fails this often in a row is not coming back. */
const GIVE_UP_AFTER = 3;

/** So many rounds a block has, whatever they take. */
const LEAST_ROUNDS = 3;

export type Measured = Pick<Block, 'status' | 'error' | 'samples' | 'failures'>;

export interface BlockSize {
	/** Warm-ups and measured rounds together. */
	rounds: number;
	warmupRounds: number;
	budgetMs?: number | undefined;
}

/** Runs a block's rounds on an open session, which stays open. Never throws for a round's sake. */
export async function measureRounds(
	session: Session, metrics: Record<string, Metric>, { rounds, warmupRounds, budgetMs = Infinity }: BlockSize,
	interrupt: Pick<Interrupt, 'requested'>
): Promise<Measured> {
	const names = Object.keys(metrics);
	const columns = names.map(() => new Float64Array(rounds).fill(Number.NaN));
	const failures: Measured['failures'] = [];
	const stop = new AbortController();
	let done = 0;
	let failedInARow = 0;
	let lastTurn = performance.now();
	const endsAt = lastTurn + budgetMs;
	const state = { spent: false };

	const round = () => {
		if (stop.signal.aborted) {
			return costOf(undefined, metrics);
		}
		let sample: Sample | undefined;
		try {
			sample = session.round();
			store(sample, names, columns, done);
			failedInARow = 0;
		} catch (error) {
			failures.push({ round: done, message: messageOf(error) });
			failedInARow += 1;
		}
		done += 1;
		return costOf(sample, metrics);
	};

	const betweenRounds = async () => {
		if (failedInARow > 0 || performance.now() - lastTurn > TURN_EVERY_MS) {
			await setImmediate();
			lastTurn = performance.now();
		}
		state.spent = done < rounds && done >= warmupRounds + LEAST_ROUNDS && performance.now() > endsAt;
		if (interrupt.requested || failedInARow >= GIVE_UP_AFTER || state.spent) {
			stop.abort();
		}
	};

	const bench = new Bench({ iterations: rounds, time: 0, warmup: false, signal: stop.signal, throws: true });
	bench.add('round', round, { async: false, beforeEach: betweenRounds });
	await bench.run();
	await betweenRounds();

	// Ctrl-C reaches the targets too: what failed when it came says nothing of the mechanism.
	while (interrupt.requested && failures.at(-1)?.round === done - 1) {
		failures.pop();
		done -= 1;
	}
	const samples = Object.fromEntries(names.map((name, index) => [name, toList(columns[index], done)]));
	return { samples, failures, ...verdict(done, state.spent ? done : rounds, failures, interrupt.requested) };
}

function verdict(
	done: number, rounds: number, failures: Measured['failures'], interrupted: boolean
): Pick<Measured, 'status' | 'error'> {
	const last = failures.at(-1);
	if (done < rounds && interrupted) {
		return { status: 'interrupted', error: `interrupted after ${done} of ${rounds} rounds` };
	}
	if (last !== undefined && (done < rounds || failures.length === rounds)) {
		return { status: 'failed', error: `given up after ${done} of ${rounds} rounds: ${last.message}` };
	}
	return { status: 'ok' };
}

/** Throws for a metric the experiment has not declared: it would be in no table and nobody would know. */
function store(sample: Sample, names: string[], columns: Float64Array[], at: number): void {
	for (const [name, value] of Object.entries(sample)) {
		const column = columns[names.indexOf(name)];
		if (column === undefined) {
			throw new Error(
				`a round gave \`${name}\`, which is none of the experiment's metrics (${names.join(', ')})`
			);
		}
		column[at] = value;
	}
}

/** What tinybench is told that the round took, in ms: the first metric where it is a time. */
function costOf(sample: Sample | undefined, metrics: Record<string, Metric>): {
	overriddenDuration: number; overriddenIterationCost: number;
} {
	const [first] = Object.entries(metrics);
	const value = first !== undefined && first[1].unit === 'ns' ? sample?.[first[0]] : undefined;
	const ms = value !== undefined && Number.isFinite(value) && value > 0 ? value / 1e6 : 0;
	return { overriddenDuration: ms, overriddenIterationCost: ms };
}

/** JSON has no NaN: a round without a number is null. */
function toList(column: Float64Array | undefined, length: number): Array<number | null> {
	return Array.from(column?.subarray(0, length) ?? [], (value) => (Number.isFinite(value) ? value : null));
}
