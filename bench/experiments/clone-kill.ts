/**
 * Evaluation 2 (section 5.3, table 5): what it costs to make a copy and to end it.
 *
 * As the paper: bash, the time of the duplicating call and of kill(). Beyond it:
 * until the duplicate is really gone, the pause as the target itself sees it
 * (it reads the clock in a loop and keeps the longest gap), and how all this
 * grows with resident memory, in 4 KB pages and in huge ones.
 */
import { colourScale } from '../report/palette.ts';
import { startShell } from '../targets/shell.ts';
import { memoryOf } from '../targets/program.ts';
import { placement, Workload } from '../targets/workload.ts';
import type {
	Mechanism, Chart, Claim, Experiment, Json, Lab, Paper, ProfileName, Results, Session, Table, Target, Variant,
} from '../types.ts';
import { isFloor, medianPoints, of, ratio, roundsOf, time, US } from './shared/figures.ts';
import { mechanismOf } from './shared/mechanism.ts';

const GIGABYTE = 1024;
/** Rounds for a resident size in MiB: as many as keep a cell in the range of seconds. */
const ROUNDS: Record<ProfileName, Record<number, number>> = {
	paper: { 4: 400, 28: 400, 256: 150, [GIGABYTE]: 80 },
	smoke: { 4: 16, 28: 16 },
};
const PAGES = ['4k', 'thp'] as const;

/** To copy every byte of more than this takes tens of seconds a round where instructions are emulated. */
const LARGEST_EMULATED_COPY_MIB = 64;

const bashVariant = (mechanism: string, rounds: number): Variant =>
	({
		id: `${mechanism} target=bash`, factors: { mechanism, target: 'bash' }, rounds, warmupRounds: 3,
		blockRounds: Math.ceil(rounds / 4),
	});

function residentVariants(profile: ProfileName, { name, duplicates }: Mechanism): Variant[] {
	return Object.entries(ROUNDS[profile]).flatMap(([rss, most]) => PAGES.map((pages): Variant => {
		// A copy of all bytes takes longer by a factor of ten, and needs fewer rounds to be told apart.
		const rounds = duplicates ? most : Math.ceil(most / 8);
		return {
			id: `${name} rss=${rss}MiB pages=${pages}`,
			factors: { mechanism: name, target: 'resident', rssMiB: Number(rss), pages },
			rounds, warmupRounds: 1, blockRounds: Math.ceil(rounds / (profile === 'paper' ? 4 : 1)),
			tooSlowEmulated: !duplicates && Number(rss) > LARGEST_EMULATED_COPY_MIB,
			// How its pages lie, and with that what a copy of them costs.
			differsByTarget: true,
		};
	}));
}

/** The target cannot spin and fork at the same time; of a fork() the pause is the call itself, timed inside. */
function takeAndEnd(lab: Lab, mechanism: Mechanism, target: Target, workload: Workload | undefined) {
	const watch = <T>(action: () => T): { value: T; gapNs: number } =>
		workload === undefined || mechanism.cooperative
			? { value: action(), gapNs: Number.NaN }
			: workload.longestGap(action);
	const { value: still, gapNs } = watch(() => mechanism.open(lab.tracer, target));
	const { value: ended, gapNs: endGapNs } = watch(() => still.end());
	return {
		takeNs: still.figures.takeNs,
		pauseNs: still.figures.pauseNs,
		targetPauseNs: mechanism.cooperative ? still.figures.takeNs : gapNs,
		killNs: mechanism.duplicates ? ended.killNs : Number.NaN,
		reapNs: mechanism.duplicates ? ended.reapNs : Number.NaN,
		targetEndPauseNs: mechanism.duplicates ? endGapNs : Number.NaN,
		totalNs: still.figures.takeNs + (mechanism.duplicates ? ended.killNs : 0),
	};
}

async function open({ factors }: Variant, lab: Lab): Promise<Session> {
	const mechanism = mechanismOf({ factors }, lab);
	if (factors.target === 'bash') {
		const shell = await startShell(lab);
		const facts: Record<string, Json> = memoryOf(shell.pid);
		return { round: () => takeAndEnd(lab, mechanism, shell, undefined), facts: () => facts, close: shell.close };
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
		round: () => takeAndEnd(lab, mechanism, workload, watcher), facts: () => facts, close: () => workload.close(),
	};
}

export const experiment: Experiment = {
	name: 'clone-kill',
	order: 2,
	title: 'Duplicating and ending',
	question: 'What does it cost to copy a process and to end the copy, and how does that grow with the memory it has?',
	metrics: {
		takeNs: { title: 'Taking the copy: the call, as its caller sees it', unit: 'ns' },
		pauseNs: { title: 'Pause of the target, as the mechanism reports it', unit: 'ns' },
		targetPauseNs: {
			title: 'Pause of the target while the copy is taken, seen from inside the target', unit: 'ns',
		},
		killNs: { title: 'kill(duplicate, SIGKILL): the call', unit: 'ns' },
		reapNs: { title: 'From kill() until the duplicate is gone', unit: 'ns' },
		targetEndPauseNs: {
			title: 'Pause of the target while the duplicate is ended, seen from inside the target', unit: 'ns',
		},
		totalNs: { title: 'Taking and kill() together', unit: 'ns' },
	},
	variants: (profile, mechanisms) => [
		...mechanisms.filter(({ cooperative }) => !cooperative)
			.map(({ name, duplicates }) => bashVariant(name, profile === 'paper' ? (duplicates ? 1000 : 200) : 40)),
		...mechanisms.flatMap((mechanism) => residentVariants(profile, mechanism)),
	],
	open,
	tables: (results, paper) => [tableFive(results, paper), growth(results)],
	charts: (results) => [growthChart(results, 'takeNs', 'clone-kill', 'Time to take the copy, by resident memory'),
		growthChart(results, 'targetPauseNs', 'target-pause', 'How long the target stood still, seen from inside it')],
	claims,
};

function tableFive(results: Results, { table5 }: Paper): Table {
	return {
		name: 'table-5',
		title: 'Table 5: time to duplicate bash and to end the duplicate, mean',
		columns: [
			{ key: 'mechanism', title: 'mechanism' }, { key: 'memory', title: 'virtual memory', unit: 'KiB' },
			{ key: 'resident', title: 'resident', unit: 'KiB' },
			{ key: 'take', title: 'duplicate', unit: 'us' }, { key: 'kill', title: 'kill', unit: 'us' },
			{ key: 'total', title: 'total', unit: 'us' },
			{ key: 'gone', title: 'until gone', unit: 'us' }, { key: 'pause', title: 'pause', unit: 'us' },
			{ key: 'n', title: 'n', unit: 'count' },
		],
		rows: [
			{
				mechanism: 'paper: create_proc_snap()', memory: table5.memoryKiB, resident: '–',
				take: table5.cloneMeanUs, kill: table5.killMeanUs, total: table5.totalMeanUs, gone: '–', pause: '–',
				n: table5.rounds,
			},
			...results.where({ target: 'bash' }).map((variant) => ({
				mechanism: String(variant.factors.mechanism),
				memory: (variant.facts.virtualKiB as number | undefined) ?? null,
				resident: (variant.facts.residentKiB as number | undefined) ?? null,
				take: of(variant, 'takeNs', 'mean', US),
				kill: variant.summary.killNs === undefined ? '–' : of(variant, 'killNs', 'mean', US),
				total: of(variant, 'totalNs', 'mean', US),
				gone: variant.summary.reapNs === undefined ? '–' : of(variant, 'reapNs', 'mean', US),
				pause: of(variant, 'pauseNs', 'mean', US),
				n: roundsOf(variant, 'takeNs'),
			})),
		],
		notes: [
			'As the paper: means, the call that duplicates and the kill() call. Until gone: from kill() until the ' +
				'duplicate has left the process table.',
			'Pause: how long the target was paused at most, as the mechanism reports it. stop copies all of the ' +
				'memory and leaves nothing to kill.',
			'The cost follows resident pages; the paper\'s memory must be virtual size, since an idle bash has ' +
				'about 4 MiB resident.',
		],
	};
}

function growth(results: Results): Table {
	return {
		name: 'clone-kill',
		title: 'Taking and ending by resident memory, medians',
		columns: [
			{ key: 'rss', title: 'resident', unit: 'MiB' }, { key: 'pages', title: 'pages' },
			{ key: 'mechanism', title: 'mechanism' },
			{ key: 'take', title: 'take', unit: 'us' }, { key: 'pause', title: 'pause, reported', unit: 'us' },
			{ key: 'inside', title: 'pause, inside', unit: 'us' },
			{ key: 'worst', title: 'p95, inside', unit: 'us' }, { key: 'gone', title: 'kill until gone', unit: 'us' },
			{ key: 'end', title: 'pause at end, inside', unit: 'us' },
			{ key: 'floor', title: 'pause to fork()', unit: 'ratio' }, { key: 'n', title: 'n', unit: 'count' },
		],
		rows: [...results.where({ target: 'resident' })].sort((a, b) =>
			Number(a.factors.rssMiB) - Number(b.factors.rssMiB) ||
				String(a.factors.pages).localeCompare(String(b.factors.pages))).map((variant) => {
			const { rssMiB, pages } = variant.factors as { rssMiB: number; pages: string };
			const floor = of(results.where({ rssMiB, pages }).find(isFloor), 'takeNs', 'median', US);
			const inside = of(variant, 'targetPauseNs', 'median', US), reported = of(variant, 'pauseNs', 'median', US);
			return {
				rss: rssMiB, pages: pages === 'thp' ? 'huge' : '4 KiB', mechanism: String(variant.factors.mechanism),
				take: of(variant, 'takeNs', 'median', US), pause: reported, inside,
				worst: of(variant, 'targetPauseNs', 'p95', US),
				gone: variant.summary.reapNs === undefined ? '–' : of(variant, 'reapNs', 'median', US),
				end: variant.summary.targetEndPauseNs === undefined
					? '–'
					: of(variant, 'targetEndPauseNs', 'median', US),
				floor: ratio(reported === null ? inside : Math.max(reported, inside ?? 0), floor),
				n: roundsOf(variant, 'takeNs'),
			};
		}),
		notes: [
			'Pause, inside: the longest time for which the target, reading the clock in a loop, could not run. ' +
				'fork: the call itself, timed in the target.',
			'Pause at end: inject has the target reap the duplicate, which stops it a second time.',
			'Pause to fork(): what a copy from outside costs the target, as a ratio to the fork() that it could ' +
				'have made itself, in the same run. Of the two pauses the larger: syscall stops nobody, so a target ' +
					'that only reads its clock sees little of it, but one that stores to private memory may wait ' +
						'for as long as is reported. Where both share the only CPU the target cannot watch itself.',
		],
	};
}

function growthChart(results: Results, metric: string, name: string, title: string): Chart {
	const rows = medianPoints(results.where({ target: 'resident' }), metric, US)
		.map((row) => ({ ...row, pages: row.pages === 'thp' ? 'huge pages' : '4 KiB pages' }));
	const sizes = [...new Set(rows.map((row) => (row as Record<string, string | number>).rssMiB))];
	const y = { type: 'quantitative' as const, scale: { type: 'log' as const }, title: 'µs' };
	return {
		name,
		title,
		caption: 'Medians with their 95 % intervals, both axes logarithmic. fork is the floor: the target ' +
			'duplicating itself. stop copies every byte while the target waits. syscall stops nobody: seen from ' +
				'inside are its interrupts; who stores waits longer, at most for the pause reported (table).',
		spec: {
			data: { values: rows },
			encoding: {
				x: {
					field: 'rssMiB', type: 'quantitative', scale: { type: 'log', nice: false, padding: 12 },
					title: 'resident memory (MiB)', axis: { values: sizes as number[] },
				},
				color: {
					field: 'mechanism', type: 'nominal',
					scale: colourScale([
						...new Set(rows.map((row) => String((row as Record<string, string | number>).mechanism))),
					]),
					title: null,
				},
				strokeDash: { field: 'pages', type: 'nominal', title: null },
			},
			layer: [
				{
					mark: 'rule',
					encoding: { y: { ...y, field: 'low' }, y2: { field: 'high' }, strokeDash: { value: [1, 0] } },
				},
				{ mark: 'line', encoding: { y: { ...y, field: 'median' } } },
				{ mark: 'point', encoding: { y: { ...y, field: 'median' } } },
			],
		},
	};
}

function claims(results: Results, { table5, controlBudget }: Paper): Claim[] {
	return results.where({ target: 'bash' }).filter(({ summary }) => summary.killNs !== undefined)
		.flatMap((variant): Claim[] => {
		const total = of(variant, 'totalNs', 'mean');
		const pause = of(variant, 'pauseNs', 'p95');
		if (total === null || pause === null) return [];
		const { mechanism } = variant.factors;
		return [{
			claim: `Duplicating and ending has little effect on the system: less than ${controlBudget.minMs} ms in ` +
				`all (${mechanism})`,
			where: '5.3, table 5',
			paper: `${table5.totalMeanUs} µs`,
			here: `${time(total)} on the mean; the target's pause is ${time(pause)} at the 95th percentile`,
			holds: total <= controlBudget.minMs * 1e6,
			byTime: true,
		}];
	});
}
