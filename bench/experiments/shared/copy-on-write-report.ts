/** Tables and charts of copy-on-write. Pure. */
import { BUDGET_COLOUR, colourScale } from '../../report/palette.ts';
import type { ProgramSize } from '../../targets/program.ts';
import type { Chart, Paper, Results, Table, VariantResult } from '../../types.ts';
import { byLongestPage, delay, largestRegionKiB, meanDelay, perPage, rangeOf, scaled } from './copy-on-write-delays.ts';
import { between, levels, MS, of, roundsOf, US } from './figures.ts';
import { differenceOf } from './judging.ts';

const PAGE_KIB = 4;

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
			{ key: 'within', title: '95 % of its mean, ms' },
			{ key: 'control', title: 'without: longest less mean', unit: 'ms' },
			...statistics.map((name) => ({ key: `page${capital(name)}`, title: `a page, ${name}`, unit: 'ms' as const })),
			{ key: 'n', title: 'n', unit: 'count' }, { key: 'lost', title: 'lost', unit: 'count' },
		],
		rows: table9.rows.flatMap((row) => [
			{
				size: row.sizeKiB, who: 'paper', ...given(row), within: '–', control: '–', n: table9.rounds, lost: '–',
			},
			...results.where({ sizeKiB: row.sizeKiB }).map((variant) => ({
				size: row.sizeKiB, who: String(variant.factors.mechanism),
				without: of(variant, 'withoutNs', 'mean', MS), n: roundsOf(variant, 'withNs'),
				within: between(meanDelay(variant), MS), control: scaled(delay(variant, 'max', 'withoutNs'), MS),
				lost: variant.samples.lostTries?.reduce((sum, lost) => sum + lost, 0) ?? null,
				...Object.fromEntries(statistics.flatMap((name) => [
					[`with${capital(name)}`, of(variant, 'withNs', name, MS)],
					[`delay${capital(name)}`, scaled(delay(variant, name), MS)],
					[`page${capital(name)}`, scaled(perPage(delay(variant, name), row.sizeKiB), MS)],
				])),
			})),
		]),
		notes: [
			'With: the first pass after the duplicate was taken, which finds every page shared. Delay: that less ' +
				'the mean without, as in the paper; a page: by 4 KiB pages of the region. Intervals are by blocks.',
			'Without, longest less mean: what the same reckoning gives of passes without a duplicate. A longest ' +
				'delay that is no larger is none. Lost: duplicates that did not fit between two passes, the ' +
				'slowest, were made again and are in no figure.',
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
			{ key: 'copied', title: 'a page copied', unit: 'us' }, { key: 'copiedWithin', title: '95 % of it, µs' },
			{ key: 'reused', title: 'a page reused', unit: 'us' }, { key: 'reusedWithin', title: '95 % of it, µs' },
			{ key: 'n', title: 'n', unit: 'count' }, { key: 'blocks', title: 'blocks', unit: 'count' },
		],
		rows: [...results.variants].sort((a, b) => Number(a.factors.sizeKiB) - Number(b.factors.sizeKiB))
			.map((variant) => {
			const sizeKiB = Number(variant.factors.sizeKiB);
			const copied = differenceOf(variant, variant, 'withNs', 'median', 'withoutNs');
			const reused = differenceOf(variant, variant, 'reuseNs', 'median', 'withoutNs');
			return {
				size: sizeKiB, who: String(variant.factors.mechanism),
				without: of(variant, 'withoutNs', 'median', US), with: of(variant, 'withNs', 'median', US),
				after: of(variant, 'afterNs', 'median', US), reuse: of(variant, 'reuseNs', 'median', US),
				copied: scaled(perPage(copied?.value ?? null, sizeKiB), US),
				copiedWithin: between(copied, US * sizeKiB / PAGE_KIB),
				reused: scaled(perPage(reused?.value ?? null, sizeKiB), US),
				reusedWithin: between(reused, US * sizeKiB / PAGE_KIB),
				n: roundsOf(variant, 'withNs'), blocks: of(variant, 'withNs', 'blocks'),
			};
		}),
		notes: [
			'A page that only the target has left is not copied, but it is still write-protected: the first write ' +
				'to it takes a fault all the same (a page reused).',
		],
	};
}

function limits(results: Results, { controlBudget, largestRegionWithinBudget }: Paper): Table {
	const budgetNs = controlBudget.minMs * MS;
	const written = (found: ReturnType<typeof largestRegionKiB>): string | null => (found === null
		? null
		: found.beyond ? `${found.kib} and more` : Math.floor(found.kib).toString());
	const by = (mechanism: string, nsOf: (variant: VariantResult) => number | null | undefined): string | null =>
		written(largestRegionKiB(results.where({ mechanism }).flatMap((variant) => {
			const ns = nsOf(variant);
			return ns == null ? [] : [{ kib: Number(variant.factors.sizeKiB), ns }];
		}), budgetNs));
	return {
		name: 'largest-region',
		title: `The largest region whose update is delayed by at most ${controlBudget.minMs} ms, in KiB`,
		columns: [
			{ key: 'who', title: 'mechanism' }, { key: 'mean', title: 'by mean' },
			{ key: 'within', title: '95 % of it' },
			{ key: 'p95', title: 'by p95' }, { key: 'max', title: 'by the longest of all' },
			{ key: 'pages', title: 'as the paper, by the longest a page' },
			{ key: 'control', title: 'the same without a duplicate' },
		],
		rows: [
			...results.mechanisms.map((mechanism) => {
				const [least, most] = [
					by(mechanism, (variant) => meanDelay(variant)?.interval?.high),
					by(mechanism, (variant) => meanDelay(variant)?.interval?.low),
				];
				return {
					who: mechanism, mean: by(mechanism, (variant) => meanDelay(variant)?.value),
					within: least === null || most === null ? null : `${least} to ${most}`,
					p95: by(mechanism, (variant) => delay(variant, 'p95')),
					max: by(mechanism, (variant) => delay(variant, 'max')),
					pages: rangeOf(byLongestPage(results, mechanism, budgetNs, 'withNs')),
					control: rangeOf(byLongestPage(results, mechanism, budgetNs, 'withoutNs')),
				};
			}),
			{
				who: 'paper', mean: '–', within: '–', p95: '–', max: '–',
				pages: `${largestRegionWithinBudget.fromKiB} to ${largestRegionWithinBudget.toKiB}`, control: '–',
			},
		],
		notes: [
			'By mean, p95 and longest: straight lines between the sizes measured. As the paper (section 5.5): the ' +
				'budget divided by the longest delay a page of each size, from the least to the most. Without a ' +
				'duplicate: the same of passes without one, which is what the machine alone allows.',
		],
	};
}

export const tables = (results: Results, paper: Paper): Table[] =>
	[tableEight(results, paper), tableNine(results, paper), passes(results), limits(results, paper)];

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

export const charts = (results: Results, paper: Paper): Chart[] => [figureFour(results, paper), perPageChart(results)];
