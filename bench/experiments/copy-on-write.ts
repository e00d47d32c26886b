/**
 * Evaluation 4 (section 5.5, tables 8 and 9, figure 4): what copy-on-write costs a periodic target.
 *
 * The updater rewrites its whole region each period and times each pass itself.
 * A round is six periods: a pass without; then the duplicate is taken, and the
 * next pass finds its pages shared; then it is ended, and the next pass is
 * without again; then a duplicate is taken and ended between two passes, so that
 * the next one finds pages that are shared with nobody, but still write-protected
 * (reuse faults, which the paper did not look at).
 */
import { programSize } from '../targets/program.ts';
import { placement, Workload } from '../targets/workload.ts';
import type { Experiment, Json, Lab, ProfileName, Session, Still, Variant } from '../types.ts';
import { nowNs } from '../../native/index.ts';
import { claims } from './shared/copy-on-write-claims.ts';
import { charts, tables } from './shared/copy-on-write-report.ts';
import { mechanismOf } from './shared/mechanism.ts';

const PERIOD_US = 4000;
/** The paper's sizes with its rounds; the others, for the largest region that stays within the budget, with fewer. */
const ROUNDS: Record<ProfileName, Record<number, number>> = {
	paper: { 16: 500, 32: 100, 64: 500, 128: 100, 256: 500, 512: 100, 1024: 500 },
	smoke: { 16: 12, 64: 12, 256: 12, 1024: 12 },
};
/** Many short blocks, each with an updater of its own. */
const BLOCKS: Record<ProfileName, number> = { paper: 20, smoke: 3 };
/** Some seconds: a neighbour can keep a CPU from us for hundreds of milliseconds, and a block should outlast it. */
const MOST_TRIES = 500;

/**
 * Run `action` between two passes of the updater: the pass before it, the number of the next, and how many attempts
 * did not fit between two passes. Those are the slow ones: their number says how much of the tail is cut off.
 */
function betweenPasses<T>(
	updater: Workload, action: () => T, undo: (value: T) => void, periodUs: number
): { before: number; value: T; next: number; lost: number } {
	for (let tries = 0; tries < MOST_TRIES; tries++) {
		const last = updater.counter;
		const before = updater.pass(last).durationNs;
		const value = action();
		const done = Number(nowNs());
		let found = false;
		try {
			found = updater.pass(last + 1).startNs > done && updater.counter === last + 2;
		} finally {
			// It reached into a pass, or a whole period was missed: neither with nor without. Or the target has ended.
			if (!found) undo(value);
		}
		if (found) return { before, value, next: last + 1, lost: tries };
	}
	throw new Error(
		`no duplicate could be taken between two passes, in ${MOST_TRIES} tries: the machine is too busy for a ` +
			`period of ${periodUs} µs`
	);
}

async function open({ factors }: Variant, lab: Lab): Promise<Session> {
	const mechanism = mechanismOf({ factors }, lab);
	const periodUs = PERIOD_US * (lab.slowness ?? 1);
	const updater = await Workload.start(
		'updater',
		['--region', `${factors.sizeKiB}K`, '--period-us', String(periodUs), '--phase-us', '0', ...placement(lab)]
	);
	const facts: Record<string, Json> = { program: programSize(updater.pid) };
	const take = () => mechanism.open(lab.tracer, updater);
	const end = (still: Still) => { still.end(); };
	const round = () => {
		const shared = betweenPasses(updater, take, end, periodUs);
		let withNs: number;
		try {
			withNs = updater.pass(shared.next).durationNs;
		} finally {
			end(shared.value);
		}
		const afterNs = updater.pass(updater.counter).durationNs;
		const reuse = betweenPasses(updater, () => end(take()), () => undefined, periodUs);
		return {
			withNs, withoutNs: shared.before, afterNs, reuseNs: updater.pass(reuse.next).durationNs,
			lostTries: shared.lost + reuse.lost,
		};
	};
	return { round, facts: () => facts, close: () => updater.close() };
}

export const experiment: Experiment = {
	name: 'copy-on-write',
	order: 4,
	title: 'Delay by copy-on-write',
	question: 'By how much does a duplicate delay a target that updates its memory periodically, and how large may ' +
		'the region be?',
	metrics: {
		withNs: { title: 'The first pass after a duplicate was taken', unit: 'ns' },
		withoutNs: { title: 'A pass without a duplicate', unit: 'ns' },
		afterNs: { title: 'A pass after that duplicate was ended', unit: 'ns' },
		reuseNs: { title: 'The first pass after a duplicate came and went between two passes', unit: 'ns' },
		lostTries: { title: 'Duplicates that did not fit between two passes, and were made again', unit: 'count' },
	},
	variants: (profile, mechanisms) => mechanisms.filter(({ duplicates }) => duplicates).flatMap(({ name }) =>
		Object.entries(ROUNDS[profile]).map(([size, rounds]): Variant => ({
			id: `${name} region=${size}KiB`,
			factors: { mechanism: name, sizeKiB: Number(size) },
			rounds, warmupRounds: 2, blockRounds: Math.ceil(rounds / BLOCKS[profile]),
		}))),
	open,
	tables,
	charts,
	claims,
};
