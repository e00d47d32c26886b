/**
 * Evaluation 2 (section 5.3, table 5): what it costs to make a copy and to end it.
 *
 * As the paper: bash, the time of the duplicating call and of kill(). Beyond it:
 * until the duplicate is really gone, the pause as the target itself sees it
 * (it reads the clock in a loop and keeps the longest gap), and how all this
 * grows with resident memory, in 4 KB pages and in huge ones.
 *
 * A round has four parts, on the same target. First: every page is written to,
 * as a target at work does, then it is copied. Again: it is copied once more,
 * when its pages are still write-protected, which is cheaper. Floor: every page
 * is written to, then the target forks itself. Null action: the same watch for as
 * long as the copy took, with nothing done.
 */
import { MECHANISMS } from '../../mechanisms/shared/all.ts';
import { dirtyFromOutside } from '../targets/dirtying.ts';
import { startShell } from '../targets/shell.ts';
import { memoryOf } from '../targets/program.ts';
import { placement, Workload } from '../targets/workload.ts';
import type { Mechanism, Experiment, Json, Lab, ProfileName, Sample, Session, Target, Variant } from '../types.ts';
import { charts, claims, tables } from './shared/clone-kill-report.ts';
import { mechanismOf } from './shared/mechanism.ts';

const GIGABYTE = 1024;
/** Rounds of a block for a resident size in MiB: as many as keep a cell in the range of seconds. */
const BLOCK_ROUNDS: Record<ProfileName, Record<number, number>> = {
	paper: { 4: 20, 28: 20, 256: 8, [GIGABYTE]: 3 },
	smoke: { 4: 4, 28: 4 },
};
/** Many short blocks: what differs from one target to the next shows, and falls on no variant alone. */
const BLOCKS: Record<ProfileName, number> = { paper: 20, smoke: 3 };
const BASH_BLOCK_ROUNDS: Record<ProfileName, number> = { paper: 50, smoke: 10 };
/** A copy of all bytes takes longer by a factor of ten, and needs fewer rounds to be told apart. */
const SLOW_BLOCK_ROUNDS = 3;
const PAGES = ['4k', 'thp'] as const;
const BLOCK_BUDGET_MS = 20_000;

/** To copy every byte of more than this takes tens of seconds a round where instructions are emulated. */
const LARGEST_EMULATED_COPY_MIB = 64;

const bashVariant = ({ name, duplicates }: Mechanism, profile: ProfileName): Variant => {
	const blockRounds = duplicates ? BASH_BLOCK_ROUNDS[profile] : SLOW_BLOCK_ROUNDS;
	return {
		id: `${name} target=bash`, factors: { mechanism: name, target: 'bash' },
		rounds: BLOCKS[profile] * blockRounds, warmupRounds: 1, blockRounds,
	};
};

function residentVariants(profile: ProfileName, { name, duplicates }: Mechanism): Variant[] {
	return Object.entries(BLOCK_ROUNDS[profile]).flatMap(([rss, most]) => PAGES.map((pages): Variant => {
		const blockRounds = duplicates ? most : Math.min(most, SLOW_BLOCK_ROUNDS);
		return {
			id: `${name} rss=${rss}MiB pages=${pages}`,
			factors: { mechanism: name, target: 'resident', rssMiB: Number(rss), pages },
			rounds: BLOCKS[profile] * blockRounds, warmupRounds: 1, blockRounds,
			tooSlowEmulated: !duplicates && Number(rss) > LARGEST_EMULATED_COPY_MIB,
			// How its pages lie, and with that what a copy of them costs.
			differsByTarget: true, budgetMs: BLOCK_BUDGET_MS,
		};
	}));
}

/** The floor: a target that forks itself. */
const FLOOR = MECHANISMS.find(({ cooperative }) => cooperative);

interface Watch {
	/** The target reads its clock in a loop meanwhile. undefined: it cannot. */
	workload: Workload | undefined;
	target: Target;
	mechanism: Mechanism;
	lab: Lab;
}

/** The target cannot spin and fork at the same time; of a fork() the pause is the call itself, timed inside. */
function takeAndEnd({ workload, target, mechanism, lab }: Watch) {
	const watch = <T>(action: () => T): { value: T; gapNs: number } =>
		workload === undefined || mechanism.cooperative
			? { value: action(), gapNs: Number.NaN }
			: workload.longestGap(action);
	const { value: still, gapNs } = watch(() => mechanism.open(lab.tracer, target));
	const { value: ended, gapNs: endGapNs } = watch(() => still.end());
	const { takeNs, pauseNs } = still.figures, { duplicates, cooperative } = mechanism;
	return {
		takeNs, pauseNs, targetPauseNs: cooperative ? takeNs : gapNs,
		killNs: duplicates ? ended.killNs : Number.NaN, reapNs: duplicates ? ended.reapNs : Number.NaN,
		targetEndPauseNs: duplicates ? endGapNs : Number.NaN,
	};
}

function round(watch: Watch, dirty: () => void): Sample {
	const { workload, target, mechanism, lab } = watch;
	dirty();
	const first = takeAndEnd(watch);
	const again = takeAndEnd(watch);
	const sample = {
		firstTakeNs: first.takeNs, firstPauseNs: first.pauseNs, firstTargetPauseNs: first.targetPauseNs,
		firstKillNs: first.killNs, firstReapNs: first.reapNs, firstTargetEndPauseNs: first.targetEndPauseNs,
		wholeNs: first.takeNs + (mechanism.duplicates ? first.reapNs : 0), ...again,
	};
	// A bash cannot be asked to fork, nor to watch its clock.
	if (!(target instanceof Workload)) return sample;
	dirty();
	const floor = FLOOR === undefined ? undefined : takeAndEnd({ workload: undefined, target, mechanism: FLOOR, lab });
	const nothing = workload === undefined || mechanism.cooperative
		? undefined
		: workload.longestGap(() => rest(first.takeNs));
	return { ...sample, floorNs: floor?.takeNs ?? Number.NaN, nothingPauseNs: nothing?.gapNs ?? Number.NaN };
}

/** Sleeps; at least a millisecond, which is how fine Atomics.wait() is. */
function rest(ns: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(1, ns / 1e6));
}

async function open({ factors }: Variant, lab: Lab): Promise<Session> {
	const mechanism = mechanismOf({ factors }, lab);
	if (factors.target === 'bash') {
		const shell = await startShell(lab);
		const facts: Record<string, Json> = memoryOf(shell.pid);
		const watch = { workload: undefined, target: shell, mechanism, lab };
		return {
			round: () => round(watch, () => dirtyFromOutside(shell.pid)), facts: () => facts, close: shell.close,
		};
	}
	const workload = await Workload.start(
		'resident', ['--rss', `${factors.rssMiB}M`, '--pages', String(factors.pages), ...placement(lab)]
	);
	// On a CPU that it shares with its requester it could only watch how they take turns.
	const watcher = lab.tracer.cpu === lab.targetCpu ? undefined : workload;
	const facts: Record<string, Json> = {
		...memoryOf(workload.pid), hugeBytes: factors.pages === 'thp' ? workload.result(7) : 0,
	};
	return {
		round: () => round({ workload: watcher, target: workload, mechanism, lab }, () => workload.dirty()),
		facts: () => facts, close: () => workload.close(),
	};
}

export const experiment: Experiment = {
	name: 'clone-kill',
	order: 2,
	title: 'Duplicating and ending',
	question: 'What does it cost to copy a process and to end the copy, and how does that grow with the memory it has?',
	metrics: {
		firstTakeNs: { title: 'Taking a copy of pages just written to: the call, as its caller sees it', unit: 'ns' },
		firstPauseNs: { title: 'Pause of the target for it, as the mechanism reports it', unit: 'ns' },
		firstTargetPauseNs: { title: 'Pause of the target for it, seen from inside the target', unit: 'ns' },
		firstKillNs: { title: 'kill(duplicate, SIGKILL) of it: the call', unit: 'ns' },
		firstReapNs: { title: 'From kill() until it is gone', unit: 'ns' },
		firstTargetEndPauseNs: { title: 'Pause of the target while it is ended, seen from inside', unit: 'ns' },
		wholeNs: { title: 'Taking it and ending it, until it is gone', unit: 'ns' },
		takeNs: { title: 'Taking one more, of pages that nobody has written to since', unit: 'ns' },
		pauseNs: { title: 'Pause of the target for one more, as the mechanism reports it', unit: 'ns' },
		targetPauseNs: { title: 'Pause of the target for one more, seen from inside the target', unit: 'ns' },
		killNs: { title: 'kill(duplicate, SIGKILL) of one more: the call', unit: 'ns' },
		reapNs: { title: 'From kill() until one more is gone', unit: 'ns' },
		targetEndPauseNs: { title: 'Pause of the target while one more is ended, seen from inside', unit: 'ns' },
		floorNs: { title: 'The target\'s own fork(), of pages just written to, in the same round', unit: 'ns' },
		nothingPauseNs: { title: 'Pause of the target in as long with nothing done, seen from inside', unit: 'ns' },
	},
	variants: (profile, mechanisms) => [
		...mechanisms.filter(({ cooperative }) => !cooperative).map((mechanism) => bashVariant(mechanism, profile)),
		...mechanisms.flatMap((mechanism) => residentVariants(profile, mechanism)),
	],
	open,
	tables,
	charts,
	claims,
};

