/**
 * Beyond the paper: for how long does a copy keep its target from running, by the target's size, and what else does
 * the target notice of it, in each phase of the copy?
 *
 * The target works each millisecond and notes how late it was (workloads/ticker.c). A round: every page of it is
 * written to; the copy is made, read, and given up; a short time nothing is done; then, for as long as all that took,
 * nothing is done either: the null action, whose times are divided as the copy's were. So each phase has a control of
 * its own length, of the same target, a second later.
 */
import { availableBytes } from '../../common/proc/memory.ts';
import { nowNs, ProcsnapError } from '../../native/index.ts';
import { Collector, hasProgram } from '../targets/collector.ts';
import { memoryOf } from '../targets/program.ts';
import { placement, Workload } from '../targets/workload.ts';
import type {
	Experiment, Json, Lab, Mechanism, Phase, ProfileName, Sample, Session, Still, Variant,
} from '../types.ts';
import { collectorCpuNs, copyBytes } from './shared/collector-cost.ts';
import { MIB, MS } from './shared/figures.ts';
import { mechanismOf } from './shared/mechanism.ts';
import { charts, claims, tables } from './shared/pause-report.ts';
import {
	extraOf, filled, latenessIn, movedTo, periodsOf, sumOf, usualNs, type Lateness,
} from './shared/periods.ts';
import { NOTHING, PhaseLog } from './shared/phase-log.ts';

const PERIOD_US = 1000;
/** Of a period: less is not counted as late. */
export const TOLERATED = 0.1;
const PIECE_BYTES = 4 * MIB;
/** After the target has written to all of its pages, and after the copy is given up. */
const SETTLE_MS = 20;
/** The control of a longer copy is shorter than that: phases that begin later have none. */
const IDLE_MS = { least: 50, most: 15_000 };

/** Rounds, those of a block, and warm-ups, for a resident size in MiB at the hot set that all sizes have. */
const ROUNDS: Record<ProfileName, Record<number, { rounds: number; blockRounds: number; warmupRounds: number }>> = {
	smoke: {
		4: { rounds: 3, blockRounds: 3, warmupRounds: 1 }, 28: { rounds: 3, blockRounds: 3, warmupRounds: 1 },
	},
	paper: {
		4: { rounds: 12, blockRounds: 3, warmupRounds: 1 }, 28: { rounds: 12, blockRounds: 3, warmupRounds: 1 },
		256: { rounds: 8, blockRounds: 2, warmupRounds: 0 }, 1024: { rounds: 5, blockRounds: 1, warmupRounds: 0 },
		4096: { rounds: 4, blockRounds: 1, warmupRounds: 0 }, 16384: { rounds: 1, blockRounds: 1, warmupRounds: 0 },
	},
};
const HOT_KIB = 64;
/** Other hot sets, in KiB a period, of targets of one size. */
const HOT_SETS: Record<ProfileName, { rssMiB: number; hotKiB: number[] }> = {
	smoke: { rssMiB: 28, hotKiB: [1024] }, paper: { rssMiB: 256, hotKiB: [16, 1024, 16384] },
};
/** With huge pages, or another hot set: so large a target at most, and half of the rounds. */
const LARGEST_VARIED_MIB: Record<ProfileName, number> = { smoke: 4, paper: 1024 };
const BUDGET_MS = 20_000;
/** So many times its memory must be there: for the target, and for a copy that is to leave half of what is left. */
const MEMORY_TIMES = 3.25;
/** gcore takes seconds, and writes all of it to the disk: fewer rounds, of fewer targets. */
const GCORE_ROUNDS: Record<ProfileName, number> = { smoke: 1, paper: 2 };
const LARGEST_GCORE_MIB = 1024;
const LARGEST_EMULATED_MIB = 28;

/** Ways that are no mechanism. */
const GCORE = 'gcore';

/** By what a variant's copies are made: a mechanism; gcore; or nothing at all is done. */
function waysFor(mechanisms: Mechanism[]): Array<{ mechanism: string; way: string }> {
	return [
		...mechanisms.map(({ name }) => ({ mechanism: name, way: name })),
		...(hasProgram(GCORE) && mechanisms.length > 0 ? [{ mechanism: 'none', way: GCORE }] : []),
		{ mechanism: 'none', way: NOTHING },
	];
}

interface Cell { rssMiB: number; pages: '4k' | 'thp'; hotKiB: number }

const isVaried = ({ pages, hotKiB }: Cell): boolean => pages !== '4k' || hotKiB !== HOT_KIB;

function roundsFor(profile: ProfileName, cell: Cell): Pick<Variant, 'rounds' | 'blockRounds' | 'warmupRounds'> {
	const { rounds = 1, blockRounds = 1, warmupRounds = 0 } = ROUNDS[profile][cell.rssMiB] ?? {};
	return { rounds: isVaried(cell) ? Math.ceil(rounds / 2) : rounds, blockRounds, warmupRounds };
}

/** By size; and up to a size with huge pages, and hot sets at one size. */
export function variantsFor(profile: ProfileName, mechanisms: Mechanism[], memoryMiB: number): Variant[] {
	const sizes = Object.keys(ROUNDS[profile]).map(Number).filter((size) => size * MEMORY_TIMES <= memoryMiB);
	const { rssMiB, hotKiB } = HOT_SETS[profile];
	const cells = [
		...sizes.map((size): Cell => ({ rssMiB: size, pages: '4k', hotKiB: HOT_KIB })),
		...sizes.filter((size) => size <= LARGEST_VARIED_MIB[profile])
			.map((size): Cell => ({ rssMiB: size, pages: 'thp', hotKiB: HOT_KIB })),
		...(sizes.includes(rssMiB) ? hotKiB.map((hot): Cell => ({ rssMiB, pages: '4k', hotKiB: hot })) : []),
	];
	return cells.flatMap((cell) => waysFor(mechanisms)
		.filter(({ way }) => way !== GCORE || (!isVaried(cell) && cell.rssMiB <= LARGEST_GCORE_MIB))
		.map((way): Variant => ({
			id: `${way.way} rss=${cell.rssMiB}MiB pages=${cell.pages} hot=${cell.hotKiB}KiB`,
			factors: { ...way, ...cell }, budgetMs: BUDGET_MS, differsByTarget: true,
			tooSlowEmulated: cell.rssMiB > LARGEST_EMULATED_MIB,
			...(way.way === GCORE
				? { rounds: GCORE_ROUNDS[profile], blockRounds: 1, warmupRounds: 0 }
				: roundsFor(profile, cell)),
		})));
}

/** What was done in a round, phase after phase. */
interface Done {
	phases: Phase[];
	/** NaN: not told. */
	pauseNs: number;
	endPauseNs: number;
	takeNs: number;
	bytes: number;
}

const now = (): number => Number(nowNs());

function rest(ms: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** `action` as a phase. */
function during<T>(phases: Phase[], name: string, action: () => T): T {
	const startNs = now();
	const value = action();
	phases.push({ name, startNs, endNs: now(), stopped: false });
	return value;
}

function readAll(still: Still, { regionAddress, regionBytes }: Workload): void {
	for (let at = 0; at < regionBytes; at += PIECE_BYTES)
		still.read(regionAddress + BigInt(at), Math.min(PIECE_BYTES, regionBytes - at));
}

function copyBy(mechanism: Mechanism, { tracer }: Lab, target: Workload): Done {
	const memory = copyBytes(tracer, 0), startNs = now();
	const still = mechanism.open(tracer, target);
	const openedNs = now();
	const around = (from: number, to: number): Phase =>
		({ name: 'around it', startNs: from, endNs: to, stopped: false });
	const phases = still.phases === undefined
		? [{ name: 'copy', startNs, endNs: openedNs, stopped: false }]
		: filled(still.phases, startNs, openedNs, around);
	let ended = false;
	try {
		during(phases, 'reading the copy', () => readAll(still, target));
		const bytes = copyBytes(tracer, still.pid) - memory;
		ended = true;
		const { pauseNs: endPauseNs } = during(phases, 'end', () => still.end());
		const { pauseNs, takeNs } = still.figures;
		return { phases, pauseNs, endPauseNs, takeNs, bytes };
	} finally {
		if (!ended) still.end();
	}
}

function copyByGcore(collector: Collector, target: Workload): Done {
	const phases: Phase[] = [], file = `gcore.${target.pid}`;
	during(phases, 'copy', () => collector.run(GCORE, '-o', GCORE, String(target.pid)));
	collector.discard(file);
	const takeNs = (phases[0]?.endNs ?? 0) - (phases[0]?.startNs ?? 0);
	return { phases, pauseNs: Number.NaN, endPauseNs: Number.NaN, takeNs, bytes: Number.NaN };
}

/** For about as long as a copy of so much takes: 1 GiB a second. */
function doNothing(rssMiB: number): Done {
	const phases: Phase[] = [];
	during(phases, NOTHING, () => rest(Math.max(IDLE_MS.least, rssMiB)));
	return { phases, pauseNs: Number.NaN, endPauseNs: Number.NaN, takeNs: Number.NaN, bytes: Number.NaN };
}

const longest = (phases: readonly Phase[]): number =>
	(phases.length === 0 ? Number.NaN : Math.max(...phases.map(({ startNs, endNs }) => endNs - startNs)));
/** Of numbers of which some are not told: NaN if none is. */
const most = (...numbers: number[]): number => {
	const told = numbers.filter(Number.isFinite);
	return told.length === 0 ? Number.NaN : Math.max(...told);
};

/** What the target noticed of `done`, and of nothing. */
function judge(
	target: Workload, from: number, done: Done, idle: { startNs: number; endNs: number }, periodNs: number
): { phases: Phase[]; during: Lateness[]; control: Lateness[]; sample: Sample } {
	const ticks = target.ticks(from), idleTicks = ticks.filter(({ dueNs }) => dueNs >= idle.startNs);
	const periods = periodsOf(ticks, periodNs, usualNs(idleTicks)), { phases } = done;
	const inCopy = latenessIn(periods, phases, TOLERATED * periodNs);
	const inNothing = latenessIn(periods, movedTo(phases, idle.startNs, idle.endNs), TOLERATED * periodNs);
	const startNs = phases[0]?.startNs ?? 0, endNs = phases.at(-1)?.endNs ?? 0;
	const [all, nothing] = [sumOf(inCopy), sumOf(inNothing)], extra = extraOf(ticks, idleTicks, startNs, endNs);
	const stops = phases.filter(({ stopped }) => stopped);
	return {
		phases, during: inCopy, control: inNothing,
		sample: {
			totalNs: endNs - startNs, takeNs: done.takeNs, pauseNs: done.pauseNs, endPauseNs: done.endPauseNs,
			firstStopNs: longest(stops.slice(0, 1)), lastStopNs: longest(stops.slice(-1)),
			stopNs: most(done.pauseNs, done.endPauseNs),
			lateNs: all.worstNs ?? Number.NaN, controlLateNs: nothing.worstNs ?? Number.NaN,
			latePeriods: all.late, periods: all.periods, controlLatePeriods: nothing.late,
			controlPeriods: nothing.periods,
			extraFaults: extra.faults, extraWorkNs: extra.workNs, copyBytes: done.bytes, refused: 0,
		},
	};
}

async function open({ factors, warmupRounds }: Variant, lab: Lab): Promise<Session> {
	const mechanism = factors['mechanism'] === 'none' ? undefined : mechanismOf({ factors }, lab);
	const periodUs = PERIOD_US * (lab.slowness ?? 1), rssMiB = Number(factors['rssMiB']);
	const collector = factors['way'] === GCORE
		? new Collector([lab.tracer.cpu < 0 ? lab.targetCpu : lab.tracer.cpu])
		: undefined;
	const target = await Workload.start('ticker', [
		'--rss', `${rssMiB}M`, '--pages', String(factors['pages']), '--hot', `${factors['hotKiB']}K`, '--period-us',
		String(periodUs), ...placement(lab),
	]).catch(async (error: unknown) => {
		await collector?.close();
		throw error;
	});
	const log = new PhaseLog(warmupRounds);
	const facts: Record<string, Json> = {
		...memoryOf(target.pid), hugeBytes: factors['pages'] === 'thp' ? target.result(7) : 0,
	};
	const copy = (): Done => mechanism !== undefined
		? copyBy(mechanism, lab, target)
		: collector !== undefined ? copyByGcore(collector, target) : doNothing(rssMiB);
	const round = (): Sample => {
		target.dirty();
		rest(SETTLE_MS);
		const from = target.counter, cpuNs = collectorCpuNs(lab.tracer);
		let done;
		try {
			done = copy();
		} catch (error) {
			// That it changes too fast is an answer.
			if (!(error instanceof ProcsnapError) || !TOO_FAST.has(error.code)) throw error;
			log.refuse(error.message);
			return { refused: 1 };
		}
		const collectorNs = collectorCpuNs(lab.tracer) - cpuNs;
		during(done.phases, 'afterwards', () => rest(SETTLE_MS));
		const startNs = now(), tookMs = (startNs - (done.phases[0]?.startNs ?? startNs)) / MS;
		rest(Math.min(IDLE_MS.most, Math.max(IDLE_MS.least, tookMs)));
		const judged = judge(target, from, done, { startNs, endNs: now() }, periodUs * 1000);
		log.add(judged);
		return { ...judged.sample, collectorNs };
	};
	return {
		round, facts: () => ({ ...facts, ...log.facts() }),
		close: async () => {
			await target.close();
			await collector?.close();
		},
	};
}

/** With these a mechanism says that the target writes faster than can be read. */
const TOO_FAST = new Set(['E2BIG', 'EAGAIN']);

export const experiment: Experiment = {
	name: 'pause-over-size',
	order: 6,
	title: 'What a copy keeps its target from, by size',
	question: 'For how long does a copy stop its target, what else does a loop of 1 kHz in the target notice of it, ' +
		'in which phase, and how does that grow with the memory that the target has and writes to?',
	metrics: {
		totalNs: { title: 'From the call until the copy is made, read and given up', unit: 'ns' },
		takeNs: { title: 'Making the copy, as the mechanism reports it', unit: 'ns' },
		pauseNs: { title: 'Longest stop for the copy, as the mechanism reports it', unit: 'ns' },
		endPauseNs: { title: 'Stop for the copy\'s end, as the mechanism reports it', unit: 'ns' },
		firstStopNs: { title: 'First stop of a copy in phases', unit: 'ns' },
		lastStopNs: { title: 'Last stop of a copy in phases', unit: 'ns' },
		stopNs: { title: 'Longest of all stops, as the mechanism reports them', unit: 'ns' },
		lateNs: { title: 'The latest period from the call until 20 ms after the copy\'s end', unit: 'ns' },
		controlLateNs: { title: 'The latest period in as long (at most 15 s) with nothing done', unit: 'ns' },
		latePeriods: { title: 'Periods late by more than a tenth, or missed', unit: 'count' },
		controlLatePeriods: { title: 'Periods late by more than a tenth, or missed, with nothing done', unit: 'count' },
		periods: { title: 'Periods from the call until 20 ms after the copy\'s end', unit: 'count' },
		controlPeriods: { title: 'Periods with nothing done', unit: 'count' },
		extraFaults: { title: 'Page faults of the target meanwhile', unit: 'count' },
		extraWorkNs: { title: 'Time by which the work of the target\'s periods took longer, in all', unit: 'ns' },
		collectorNs: { title: 'CPU time of tracer, harness and gcore', unit: 'ns' },
		copyBytes: { title: 'Memory of the tracer and of page tables that the copy takes', unit: 'bytes' },
		refused: { title: 'Copies that were refused: the target changes too fast', unit: 'count' },
	},
	variants: (profile, mechanisms) => variantsFor(profile, mechanisms, (availableBytes() ?? 0) / MIB),
	open,
	tables,
	charts,
	claims,
};
