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
import { BUDGET_COLOUR, colourScale } from '../report/palette.ts';
import { programSize, type ProgramSize } from '../targets/program.ts';
import { placement, Workload } from '../targets/workload.ts';
import type {
	Chart, Claim, Experiment, Json, Lab, Paper, ProfileName, Results, Session, Table, Still, Variant, VariantResult,
} from '../types.ts';
import { nowNs } from '../../native/index.ts';
import { isFloor, levels, MS, of, roundsOf, time, US } from './shared/figures.ts';
import { mechanismOf } from './shared/mechanism.ts';

const PERIOD_US = 4000;
const PAGE_KIB = 4;
/** The paper's sizes with its rounds; the others, for the largest region that stays within the budget, with fewer. */
const ROUNDS: Record<ProfileName, Record<number, number>> = {
	paper: { 16: 500, 32: 100, 64: 500, 128: 100, 256: 500, 512: 100, 1024: 500 },
	smoke: { 16: 12, 64: 12, 256: 12, 1024: 12 },
};
/** Some seconds: a neighbour can keep a CPU from us for hundreds of milliseconds, and a block should outlast it. */
const MOST_TRIES = 500;

/** Run `action` between two passes of the updater: the pass before it, and the number of the next. */
function betweenPasses<T>(
	updater: Workload, action: () => T, undo: (value: T) => void, periodUs: number
): { before: number; value: T; next: number } {
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
		if (found) return { before, value, next: last + 1 };
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
		return { withNs, withoutNs: shared.before, afterNs, reuseNs: updater.pass(reuse.next).durationNs };
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
	},
	variants: (profile, mechanisms) => mechanisms.filter(({ duplicates }) => duplicates).flatMap(({ name }) =>
		Object.entries(ROUNDS[profile]).map(([size, rounds]): Variant => ({
			id: `${name} region=${size}KiB`,
			factors: { mechanism: name, sizeKiB: Number(size) },
			rounds, warmupRounds: 2, blockRounds: Math.ceil(rounds / (profile === 'paper' ? 4 : 1)),
		}))),
	open,
	tables: (results, paper) =>
		[tableEight(results, paper), tableNine(results, paper), passes(results), limits(results, paper)],
	charts: (results, paper) => [figureFour(results, paper), perPageChart(results)],
	claims,
};

/** Delay of one statistic of the passes with a duplicate, against the mean without, as the paper computes it. In ns. */
function delay(
	variant: VariantResult | undefined, statistic: 'min' | 'mean' | 'median' | 'max' | 'p95', metric = 'withNs'
): number | null {
	const value = of(variant, metric, statistic);
	const without = of(variant, 'withoutNs', 'mean');
	return value === null || without === null ? null : value - without;
}

const perPage = (ns: number | null, sizeKiB: number): number | null => (ns === null ? null : ns / (sizeKiB / PAGE_KIB));
const scaled = (ns: number | null, divisor: number): number | null => (ns === null ? null : ns / divisor);

function tableEight(results: Results, { table8 }: Paper): Table {
	const program = results.variants.map(({ facts }) => facts.program as unknown as ProgramSize | undefined)
		.find((each) => each !== undefined);
	return {
		name: 'table-8',
		title: 'Table 8: size of the program that updates a region',
		columns: [
			{ key: 'part', title: 'segment' }, { key: 'here', title: 'here', unit: 'B' },
			{ key: 'paper', title: 'paper', unit: 'B', paper: true },
		],
		rows: ([
			['text', table8.textBytes], ['data', table8.dataBytes], ['bss', table8.bssBytes],
			['total', table8.totalBytes],
		] as const).map(([part, paper]) => ({ part, here: program?.[part] ?? null, paper })),
		notes: [
			'Read from the program of the process that was measured, by size(1). Ours is larger by its options and ' +
				'its log; neither is in a timed pass.',
		],
	};
}

function tableNine(results: Results, { table9 }: Paper): Table {
	const statistics = ['min', 'mean', 'max'] as const;
	const given = (row: (typeof table9.rows)[number]) => ({
		without: row.withoutMeanMs, withMin: row.withMinMs, withMean: row.withMeanMs, withMax: row.withMaxMs,
		delayMin: row.delayMinMs, delayMean: row.delayMeanMs, delayMax: row.delayMaxMs,
		pageMin: row.delayPerPageMinMs, pageMean: row.delayPerPageMeanMs, pageMax: row.delayPerPageMaxMs,
	});
	const capital = (word: string) => word.slice(0, 1).toUpperCase() + word.slice(1);
	return {
		name: 'table-9',
		title: 'Table 9: time to update a region, without and with a duplicate, and the delay',
		columns: [
			{ key: 'size', title: 'region', unit: 'KiB' }, { key: 'who', title: 'mechanism' },
			{ key: 'without', title: 'without, mean', unit: 'ms' },
			...statistics.map((name) => ({ key: `with${capital(name)}`, title: `with, ${name}`, unit: 'ms' as const })),
			...statistics.map((name) => ({ key: `delay${capital(name)}`, title: `delay, ${name}`, unit: 'ms' as const })),
			...statistics.map((name) => ({ key: `page${capital(name)}`, title: `a page, ${name}`, unit: 'ms' as const })),
			{ key: 'n', title: 'n', unit: 'count' },
		],
		rows: table9.rows.flatMap((row) => [
			{ size: row.sizeKiB, who: 'paper', ...given(row), n: table9.rounds },
			...results.where({ sizeKiB: row.sizeKiB }).map((variant) => ({
				size: row.sizeKiB, who: String(variant.factors.mechanism),
				without: of(variant, 'withoutNs', 'mean', MS), n: roundsOf(variant, 'withNs'),
				...Object.fromEntries(statistics.flatMap((name) => [
					[`with${capital(name)}`, of(variant, 'withNs', name, MS)],
					[`delay${capital(name)}`, scaled(delay(variant, name), MS)],
					[`page${capital(name)}`, scaled(perPage(delay(variant, name), row.sizeKiB), MS)],
				])),
			})),
		]),
		notes: [
			'With: the first pass after the duplicate was taken, which finds every page shared. Delay: that less ' +
				'the mean without, as in the paper; a page: by 4 KiB pages of the region.',
		],
	};
}

function passes(results: Results): Table {
	return {
		name: 'copy-on-write',
		title: 'A pass in each situation, medians',
		columns: [
			{ key: 'size', title: 'region', unit: 'KiB' }, { key: 'who', title: 'mechanism' },
			{ key: 'without', title: 'without', unit: 'us' }, { key: 'with', title: 'first with', unit: 'us' },
			{ key: 'after', title: 'after its end', unit: 'us' },
			{ key: 'reuse', title: 'first after one came and went', unit: 'us' },
			{ key: 'copied', title: 'a page copied', unit: 'us' },
			{ key: 'reused', title: 'a page reused', unit: 'us' }, { key: 'n', title: 'n', unit: 'count' },
		],
		rows: [...results.variants].sort((a, b) => Number(a.factors.sizeKiB) - Number(b.factors.sizeKiB))
			.map((variant) => {
			const sizeKiB = Number(variant.factors.sizeKiB);
			return {
				size: sizeKiB, who: String(variant.factors.mechanism),
				without: of(variant, 'withoutNs', 'median', US), with: of(variant, 'withNs', 'median', US),
				after: of(variant, 'afterNs', 'median', US), reuse: of(variant, 'reuseNs', 'median', US),
				copied: scaled(perPage(delay(variant, 'median'), sizeKiB), US),
				reused: scaled(perPage(delay(variant, 'median', 'reuseNs'), sizeKiB), US),
				n: roundsOf(variant, 'withNs'),
			};
		}),
		notes: [
			'A page that only the target has left is not copied, but it is still write-protected: the first write ' +
				'to it takes a fault all the same (a page reused).',
		],
	};
}

/** The region at which a statistic of the delay reaches the budget, by straight lines between the sizes measured. */
function largestRegionKiB(
	results: Results, mechanism: string, statistic: 'median' | 'p95' | 'max', budgetNs: number
): { kib: number; beyond: boolean } | null {
	const points = results.where({ mechanism }).flatMap((variant) => {
		const ns = delay(variant, statistic);
		return ns === null ? [] : [{ kib: Number(variant.factors.sizeKiB), ns }];
	}).sort((a, b) => a.kib - b.kib);
	let last = { kib: 0, ns: 0 };
	for (const point of points) {
		if (point.ns > budgetNs)
			return {
				kib: last.kib + ((budgetNs - last.ns) / (point.ns - last.ns)) * (point.kib - last.kib), beyond: false,
			};
		last = point;
	}
	return points.length === 0 ? null : { kib: last.kib, beyond: true };
}

function limits(results: Results, { controlBudget, largestRegionWithinBudget }: Paper): Table {
	const budgetNs = controlBudget.minMs * MS;
	const cell = (mechanism: string, statistic: 'median' | 'p95' | 'max') => {
		const found = largestRegionKiB(results, mechanism, statistic, budgetNs);
		return found === null ? null : found.beyond ? `${found.kib} and more` : Math.floor(found.kib).toString();
	};
	return {
		name: 'largest-region',
		title: `The largest region whose update is delayed by at most ${controlBudget.minMs} ms, in KiB`,
		columns: [
			{ key: 'who', title: 'mechanism' }, { key: 'median', title: 'by median' }, { key: 'p95', title: 'by p95' },
			{ key: 'max', title: 'by the longest of all' },
		],
		rows: [
			...results.mechanisms.map((mechanism) =>
				({
					who: mechanism, median: cell(mechanism, 'median'), p95: cell(mechanism, 'p95'),
					max: cell(mechanism, 'max'),
				})),
			{
				who: 'paper', median: '–', p95: '–',
				max: `${largestRegionWithinBudget.fromKiB} to ${largestRegionWithinBudget.toKiB}`,
			},
		],
		notes: [
			'Straight lines between the sizes measured. The paper has it from its largest delays a page (section 5.5).',
		],
	};
}

function figureFour(results: Results, { table9, controlBudget }: Paper): Chart {
	const rows = [
		...table9.rows.map((row) =>
			({ who: 'paper', size: row.sizeKiB, low: row.delayMinMs, mid: row.delayMeanMs, high: row.delayMaxMs })),
		...results.variants.flatMap((variant) => {
			const size = Number(variant.factors.sizeKiB);
			const [low, mid, high] = [delay(variant, 'min'), delay(variant, 'mean'), delay(variant, 'max')];
			if (low === null || mid === null || high === null || !table9.rows.some(({ sizeKiB }) => sizeKiB === size))
				return [];
			// A log axis has no place for a pass that happened to be quicker than the mean without.
			return [
				{
					who: String(variant.factors.mechanism), size, low: Math.max(low, US) / MS,
					mid: Math.max(mid, US) / MS, high: Math.max(high, US) / MS,
				},
			];
		}),
	];
	const names = [...new Set(rows.map(({ who }) => who))];
	const y = { type: 'quantitative' as const, scale: { type: 'log' as const }, title: 'delay (ms)' };
	return {
		name: 'figure-4',
		title: 'Figure 4: delay of the first update after a duplicate was taken',
		caption: `Means, with lines from the shortest to the longest of all. The dashed line is the budget of ` +
			`${controlBudget.minMs} ms, the shortest time from sending to response in control communication.`,
		spec: {
			data: { values: rows },
			encoding: {
				x: { field: 'size', type: 'ordinal', title: 'region updated (KiB)', axis: { labelAngle: 0 } },
				xOffset: { field: 'who', sort: names, scale: { paddingOuter: 0.6 } },
				color: { field: 'who', type: 'nominal', scale: colourScale(names), title: null },
			},
			layer: [
				{ mark: 'rule', encoding: { y: { ...y, field: 'low' }, y2: { field: 'high' } } },
				{ mark: 'point', encoding: { y: { ...y, field: 'mid' } } },
				{
					data: { values: [{ budget: controlBudget.minMs }] },
					mark: { type: 'rule', strokeDash: [5, 4] },
					encoding: {
						y: { field: 'budget', type: 'quantitative' }, x: { value: 0 }, x2: { value: 'width' },
						xOffset: { value: 0 }, color: { value: BUDGET_COLOUR },
					},
				},
			],
		},
	};
}

function perPageChart(results: Results): Chart {
	const kinds = [['first with a duplicate', 'withNs'], ['first after one came and went', 'reuseNs']] as const;
	const rows = results.variants.flatMap((variant) => kinds.flatMap(([kind, metric]) => {
		const page = perPage(delay(variant, 'median', metric), Number(variant.factors.sizeKiB));
		return page === null
			? []
			: [
				{
					mechanism: String(variant.factors.mechanism), size: Number(variant.factors.sizeKiB), kind,
					page: page / US,
				},
			];
	}));
	return {
		name: 'copy-on-write',
		title: 'Delay for each 4 KiB page of the region',
		caption: 'Medians. A page that is shared is copied at its first write; one that is shared no more takes a ' +
			'fault all the same.',
		spec: {
			data: { values: rows },
			encoding: {
				x: {
					field: 'size', type: 'quantitative', scale: { type: 'log', base: 2, nice: false, padding: 12 },
					title: 'region updated (KiB)', axis: { values: levels(results, 'sizeKiB') as number[] },
				},
				y: { field: 'page', type: 'quantitative', title: 'µs a page', scale: { zero: true } },
				color: {
					field: 'mechanism', type: 'nominal',
					scale: colourScale([...new Set(rows.map(({ mechanism }) => mechanism))]), title: null,
				},
				strokeDash: { field: 'kind', type: 'nominal', title: null },
			},
			layer: [{ mark: 'line' }, { mark: { type: 'point' } }],
		},
	};
}

function claims(results: Results, { table9, controlBudget }: Paper): Claim[] {
	const budgetNs = controlBudget.minMs * MS;
	const paperMax = (sizeKiB: number) => `at most ${table9.rows.find((row) => row.sizeKiB === sizeKiB)?.delayMaxMs} ms`;
	return results.mechanisms.filter((mechanism) => !isFloor({ factors: { mechanism } })).flatMap((mechanism) => {
		const at = (sizeKiB: number) => results.where({ mechanism, sizeKiB })[0];
		const small =
			[16, 64, 256].map((size) => ({ size, mean: delay(at(size), 'mean'), max: delay(at(size), 'max') }));
		const large = delay(at(1024), 'mean');
		const known = small.every(({ mean, max }) => mean !== null && max !== null);
		return [{
			claim: `Updating up to 256 KiB is delayed by less than ${controlBudget.minMs} ms (${mechanism})`,
			where: '5.5, table 9, figure 4',
			paper: paperMax(256),
			here: small.map(({ size, mean, max }) =>
				(mean === null || max === null
					? `${size} KiB: not measured`
					: `${size} KiB: ${time(mean)} on the mean, ${time(max)} at most`)).join('; '),
			holds: known ? small.every(({ max }) => (max as number) <= budgetNs) : null,
			byTime: true,
		}, {
			claim: `Updating 1,024 KiB is delayed by more than that (${mechanism})`,
			where: '5.5, table 9, figure 4',
			paper: `${table9.rows.find(({ sizeKiB }) => sizeKiB === 1024)?.delayMeanMs} ms on the mean`,
			here: large === null ? 'not measured' : `${time(large)} on the mean`,
			holds: large === null ? null : large > budgetNs,
			byTime: true,
		}];
	});
}
