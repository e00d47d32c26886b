/** Tables, charts and claims of clone-kill. Pure. Runs from before rounds had parts have only figures of "again". */
import { P95_NEEDS } from '../../stats/summarize.ts';
import { colourScale } from '../../report/palette.ts';
import type { CellValue, Chart, Claim, Paper, Results, Table, VariantResult } from '../../types.ts';
import {
	between, isFloor, meanOf, medianOf, medianPoints, MIB, of, roundsOf, size, timesWithin, timeWithin, US,
	type Estimate,
} from './figures.ts';
import { isAbove, isAtMost, ratioOf } from './judging.ts';

const orDash = (variant: VariantResult, metric: string, value: CellValue): CellValue =>
	(variant.summary[metric] === undefined ? '–' : value);

function tableFive(results: Results, { table5 }: Paper): Table {
	const mean = (variant: VariantResult, metric: string): CellValue => of(variant, metric, 'mean', US);
	return {
		name: 'table-5',
		title: 'Table 5: time to duplicate bash and to end the duplicate, mean',
		columns: [
			{ key: 'mechanism', title: 'mechanism' }, { key: 'memory', title: 'virtual memory', unit: 'KiB' },
			{ key: 'resident', title: 'resident', unit: 'KiB' },
			{ key: 'take', title: 'duplicate, first', unit: 'us' }, { key: 'takeWithin', title: '95 % of it, µs' },
			{ key: 'again', title: 'again', unit: 'us' }, { key: 'kill', title: 'kill', unit: 'us' },
			{ key: 'gone', title: 'until gone', unit: 'us' },
			{ key: 'total', title: 'total', unit: 'us' }, { key: 'totalWithin', title: '95 % of it, µs' },
			{ key: 'pause', title: 'pause, first', unit: 'us' },
			{ key: 'n', title: 'n', unit: 'count' }, { key: 'blocks', title: 'blocks', unit: 'count' },
		],
		rows: [
			{
				mechanism: 'paper: create_proc_snap()', memory: table5.memoryKiB, resident: '–',
				take: table5.cloneMeanUs, takeWithin: '–', again: '–', kill: table5.killMeanUs, gone: '–',
				total: table5.totalMeanUs, totalWithin: '–', pause: '–', n: table5.rounds, blocks: '–',
			},
			...results.where({ target: 'bash' }).map((variant) => ({
				mechanism: String(variant.factors.mechanism),
				memory: (variant.facts.virtualKiB as number | undefined) ?? null,
				resident: (variant.facts.residentKiB as number | undefined) ?? null,
				take: mean(variant, 'firstTakeNs'), takeWithin: between(meanOf(variant, 'firstTakeNs'), US),
				again: mean(variant, 'takeNs'),
				kill: orDash(variant, 'killNs', mean(variant, 'firstKillNs')),
				gone: orDash(variant, 'reapNs', mean(variant, 'firstReapNs')),
				total: mean(variant, 'wholeNs'), totalWithin: between(meanOf(variant, 'wholeNs'), US),
				pause: mean(variant, 'firstPauseNs'), n: roundsOf(variant, 'takeNs'),
				blocks: of(variant, 'takeNs', 'blocks'),
			})),
		],
		notes: [
			'As the paper: means, the call that duplicates and the kill() call. First: a copy of pages that have ' +
				'just been written to, as those of a process at work. Again: one more, when pages are ' +
				'write-protected already. Until gone: from kill() until the duplicate has left the process table. ' +
				'Total: the first copy, until it is gone.',
			'Pause: how long the target was paused at most, as the mechanism reports it. stop copies all of the ' +
				'memory and leaves nothing to kill.',
			'The cost follows resident pages; the paper\'s memory must be virtual size, since an idle bash has ' +
				'about 4 MiB resident. Intervals are of the mean, by blocks.',
		],
	};
}

const bySize = (a: VariantResult, b: VariantResult): number =>
	Number(a.factors.rssMiB) - Number(b.factors.rssMiB) ||
	String(a.factors.pages).localeCompare(String(b.factors.pages));

const pagesOf = ({ factors }: VariantResult): string => (factors.pages === 'thp' ? 'huge' : '4 KiB');

/** Of the two pauses the one whose median is larger: what a target at work may feel of the first copy. */
function longerPause(variant: VariantResult): string {
	const reported = of(variant, 'firstPauseNs', 'median'), inside = of(variant, 'firstTargetPauseNs', 'median');
	return (inside ?? 0) > (reported ?? 0) ? 'firstTargetPauseNs' : 'firstPauseNs';
}

const toFloor = (variant: VariantResult): Estimate | null => (isFloor(variant)
	? null
	: ratioOf(variant, variant, longerPause(variant), 'median', 'floorNs'));

const timesBetween = (estimate: Estimate | null): CellValue => between(estimate, 1);

function growth(results: Results): Table {
	const cell = (variant: VariantResult, metric: string) => of(variant, metric, 'median', US);
	return {
		name: 'clone-kill',
		title: 'Taking and ending by resident memory, medians',
		columns: [
			{ key: 'rss', title: 'resident', unit: 'MiB' }, { key: 'pages', title: 'pages' },
			{ key: 'mechanism', title: 'mechanism' },
			{ key: 'take', title: 'take, first', unit: 'us' }, { key: 'again', title: 'again', unit: 'us' },
			{ key: 'pause', title: 'pause, reported', unit: 'us' },
			{ key: 'inside', title: 'pause, inside', unit: 'us' },
			{ key: 'within', title: '95 % of it, µs' }, { key: 'worst', title: 'p95, inside', unit: 'us' },
			{ key: 'nothing', title: 'nothing done', unit: 'us' },
			{ key: 'gone', title: 'kill until gone', unit: 'us' },
			{ key: 'end', title: 'pause at end, inside', unit: 'us' },
			{ key: 'ownFork', title: 'own fork()', unit: 'us' },
			{ key: 'floor', title: 'pause to fork()', unit: 'ratio' },
			{ key: 'floorWithin', title: '95 % of it' },
			{ key: 'n', title: 'n', unit: 'count' }, { key: 'blocks', title: 'blocks', unit: 'count' },
		],
		rows: [...results.where({ target: 'resident' })].sort(bySize).map((variant) => {
			const floor = toFloor(variant);
			return {
				rss: Number(variant.factors.rssMiB), pages: pagesOf(variant),
				mechanism: String(variant.factors.mechanism),
				take: cell(variant, 'firstTakeNs'), again: cell(variant, 'takeNs'),
				pause: cell(variant, 'firstPauseNs'), inside: cell(variant, 'firstTargetPauseNs'),
				within: between(medianOf(variant, 'firstTargetPauseNs'), US),
				worst: of(variant, 'firstTargetPauseNs', 'p95', US) ?? '–',
				nothing: cell(variant, 'nothingPauseNs') ?? '–',
				gone: orDash(variant, 'reapNs', cell(variant, 'firstReapNs')),
				end: orDash(variant, 'targetEndPauseNs', cell(variant, 'firstTargetEndPauseNs')),
				ownFork: cell(variant, 'floorNs'), floor: floor?.value ?? '–', floorWithin: timesBetween(floor) ?? '–',
				n: roundsOf(variant, 'takeNs'), blocks: of(variant, 'takeNs', 'blocks'),
			};
		}),
		notes: [
			'All but "again" is of a copy of pages that have just been written to. Again: of one more, right after ' +
				'it, when pages are write-protected already: cheaper, and not what a target at work pays.',
			'Pause, inside: the longest time for which the target, reading the clock in a loop, could not run. ' +
				'fork: the call itself, timed in the target. Nothing done: the same watch, in the same round, for as ' +
				'long as the copy took: what the pause has more than this is the copy\'s. ' +
				`p95: for ${P95_NEEDS} rounds or more.`,
			'Pause at end: inject has the target reap the duplicate, which stops it a second time.',
			'Pause to fork(): what a copy from outside costs the target, as a ratio to the fork() that it makes ' +
				'itself, of as much memory just written to, in the same round. Of the two pauses the larger: syscall ' +
				'stops nobody, so a target that only reads its clock sees little of it, but one that stores to ' +
				'private memory may wait for as long as is reported. Where both share the only CPU the target cannot ' +
				'watch itself.',
		],
	};
}

export const tables = (results: Results, paper: Paper): Table[] => [tableFive(results, paper), growth(results)];

function growthChart(results: Results, metric: string, name: string, title: string): Chart {
	const rows = medianPoints(results.where({ target: 'resident' }), metric, US)
		.map((row) => ({ ...row, pages: row['pages'] === 'thp' ? 'huge pages' : '4 KiB pages' }));
	const sizes = [...new Set(rows.map((row) => (row as Record<string, string | number>).rssMiB))];
	const y = { type: 'quantitative' as const, scale: { type: 'log' as const }, title: 'µs' };
	return {
		name,
		title,
		caption: 'Of pages just written to. Medians with their 95 % intervals by blocks, both axes logarithmic. ' +
			'fork is the floor: the target duplicating itself. stop copies every byte while the target waits. ' +
			'syscall stops nobody: seen from inside are its interrupts; who stores waits longer, at most for the ' +
			'pause reported (table).',
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

export const charts = (results: Results): Chart[] => [
	growthChart(results, 'firstTakeNs', 'clone-kill', 'Time to take the copy, by resident memory'),
	growthChart(
		results, 'firstTargetPauseNs', 'target-pause', 'How long the target stood still, seen from inside it'
	),
];

/** The way without copy-on-write: every byte is copied while the target waits. */
const copiesAll = (results: Results): VariantResult | undefined => results.where({ target: 'bash' })
	.find(({ summary }) => summary.killNs === undefined && summary.firstTakeNs !== undefined);

export function claims(results: Results, { table5 }: Paper): Claim[] {
	const control = copiesAll(results);
	return results.where({ target: 'bash' }).filter(({ summary }) => summary.killNs !== undefined)
		.flatMap((variant): Claim[] => {
		const { mechanism } = variant.factors;
		return [{
			claim: `Copy-on-write makes duplicating fast (${mechanism}): faster than to copy all bytes`,
			where: '5.3, table 5',
			paper: `${table5.cloneMeanUs} µs`,
			here: `${timeWithin(meanOf(variant, 'firstTakeNs'))}; all bytes ` +
				`(${control?.factors.mechanism ?? 'no such way'}): ${timeWithin(meanOf(control, 'firstTakeNs'))}`,
			...isAbove(ratioOf(control, variant, 'firstTakeNs', 'mean'), 1),
			byTime: true,
		}, {
			claim: `Duplicating and releasing presumably affects the system little (${mechanism})`,
			where: '5.3, table 5',
			paper: `${table5.totalMeanUs} µs`,
			here: `${timeWithin(meanOf(variant, 'wholeNs'))} until the duplicate is gone; the target's pause is ` +
				timeWithin(meanOf(variant, 'firstPauseNs')),
			holds: null,
			unjudged: 'not judged: the paper gives no bound',
			byTime: true,
		}];
	}).concat(nearFork(results));
}

/** So many times the target's own fork() at most, from 256 MiB on: there copying page tables is all that counts. */
const NEAR_FORK = 1.1;
const LARGE_MIB = 256;

function nearFork(results: Results): Claim[] {
	return results.where({ target: 'resident', rssMiB: LARGE_MIB, pages: '4k' })
		.filter((variant) => variant.summary.killNs !== undefined && !isFloor(variant))
		.map((variant): Claim => ({
		claim: `At ${size(LARGE_MIB * MIB)} a copy from outside pauses its target for at most ${NEAR_FORK} times its ` +
			`own fork() (${variant.factors.mechanism})`,
		where: 'beyond the paper', paper: 'not in it', ours: true,
		here: timesWithin(toFloor(variant)),
		...isAtMost(toFloor(variant), NEAR_FORK),
		byTime: true,
	}));
}
