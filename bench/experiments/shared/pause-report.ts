/** Tables, charts and claims of pause-over-size. Pure. */
import { quantileSorted } from 'simple-statistics';
import { colourScale, PAPER_COLOUR } from '../../report/palette.ts';
import { P95_NEEDS, P99_NEEDS } from '../../stats/summarize.ts';
import type { CellValue, Chart, Claim, Results, Table, VariantResult } from '../../types.ts';
import { between, levels, medianOf, MIB, MS, of, size, timeWithin, US } from './figures.ts';
import { isAtMost, ratioOf } from './judging.ts';
import { isInPhases, NOTHING, phasesOf, refusalOf, waysOf } from './phase-log.ts';

const HOT_KIB = 64;
const PAGES: Record<string, string> = { '4k': '4 KiB', thp: 'huge' };

const sizeOf = (variant: VariantResult): number => Number(variant.factors['rssMiB']);
const wayOf = (variant: VariantResult): string => String(variant.factors['way']);

/** By pages, hot set and size; ways in the order of the plan. */
function inOrder(results: Results): VariantResult[] {
	const key = ({ factors }: VariantResult): number[] => [
		Number(factors['pages'] === 'thp'), Number(factors['hotKiB'] !== HOT_KIB), Number(factors['rssMiB']),
		Number(factors['hotKiB']),
	];
	return [...results.variants].sort((a, b) => {
		const [left, right] = [key(a), key(b)];
		return left.map((value, i) => value - (right[i] ?? 0)).find((difference) => difference !== 0) ?? 0;
	});
}


const quantile = (values: readonly number[], share: number): number | null =>
	(values.length === 0 ? null : quantileSorted([...values].sort((a, b) => a - b), share));

const scaled = (value: number | null, divisor: number): number | null => (value === null ? null : value / divisor);
/** What a way has not at all is no gap in the measurement. */
const orDash = (value: CellValue): CellValue => value ?? '–';

const PLACE = [
	{ key: 'size', title: 'resident' }, { key: 'pages', title: 'pages' },
	{ key: 'hot', title: 'written to a ms', unit: 'KiB' as const }, { key: 'way', title: 'way' },
];
const placeOf = (variant: VariantResult): Record<string, CellValue> => ({
	size: size(sizeOf(variant) * MIB), pages: PAGES[String(variant.factors['pages'])] ?? null,
	hot: Number(variant.factors['hotKiB']), way: wayOf(variant),
});

const sum = (values: readonly number[] = []): number => values.reduce((total, value) => total + value, 0);

function stops(results: Results): Table {
	return {
		name: 'pause-over-size',
		title: 'How long a copy stops its target, and what it costs, by size',
		columns: [
			...PLACE,
			{ key: 'first', title: 'first stop', unit: 'us' }, { key: 'last', title: 'last stop', unit: 'us' },
			{ key: 'longest', title: 'longest stop', unit: 'us' }, { key: 'interval', title: '95 % of it, µs' },
			{ key: 'p95', title: 'p95', unit: 'us' }, { key: 'p99', title: 'p99', unit: 'us' },
			{ key: 'max', title: 'worst', unit: 'us' }, { key: 'total', title: 'in all', unit: 'ms' },
			{ key: 'faults', title: 'faults', unit: 'count' }, { key: 'work', title: 'work longer', unit: 'us' },
			{ key: 'cpu', title: 'collector\'s CPU', unit: 'ms' }, { key: 'memory', title: 'its memory', unit: 'MiB' },
			{ key: 'n', title: 'n', unit: 'count' }, { key: 'refused', title: 'refused', unit: 'count' },
		],
		rows: inOrder(results).filter((variant) => wayOf(variant) !== NOTHING).map((variant) => {
			const told = (metric: string, statistic: 'median' | 'p95' | 'p99' | 'max', divisor: number): CellValue =>
				orDash(of(variant, metric, statistic, divisor));
			return {
				...placeOf(variant), first: told('firstStopNs', 'median', US),
				last: told('lastStopNs', 'median', US),
				longest: told('stopNs', 'median', US), interval: orDash(between(medianOf(variant, 'stopNs'), US)),
				p95: told('stopNs', 'p95', US), p99: told('stopNs', 'p99', US), max: told('stopNs', 'max', US),
				total: of(variant, 'totalNs', 'median', MS), faults: of(variant, 'extraFaults', 'median'),
				work: of(variant, 'extraWorkNs', 'median', US), cpu: of(variant, 'collectorNs', 'median', MS),
				memory: told('copyBytes', 'median', MIB), n: of(variant, 'totalNs', 'n'),
				refused: sum(variant.samples['refused']),
			};
		}),
		notes: [
			'Every page is written to before each copy. Stops are as the mechanism reports them, medians of rounds; ' +
				'the longest is of all stops of a round, that of its end too. What makes a copy in one act has no ' +
				'first and last stop; gcore reports none: the next table says what is seen from inside. p95 and p99 ' +
				`are given for ${P95_NEEDS} and ${P99_NEEDS} rounds or more.`,
			'Intervals of medians are drawn by blocks, then by rounds: rounds of one target are more alike than ' +
				'those of two. In all: made, read once, and given up; gcore writes to a disk instead. Faults, and ' +
				'work longer: of the target\'s own loop, in all that time. CPU: of tracer, harness and gcore. ' +
				'Memory: the tracer\'s, its files in memory, page tables of a duplicate; pages that are copied on ' +
				'write are the target\'s.',
			...refusals(results),
		],
	};
}

const refusals = (results: Results): string[] => results.variants.flatMap((variant) => {
	const refusal = refusalOf(variant);
	return refusal === null ? [] : [`${variant.id}: refused: ${refusal}`];
});

/** Phases in which the target may stand still for a part. */
const IN_ONE = new Set(['copy', 'end']);

const percent = (part: number, whole: number): number | null => (whole === 0 ? null : 100 * part / whole);

function lateness(results: Results): Table {
	return {
		name: 'lateness-over-size',
		title: 'How late a loop of 1 kHz in the target is while it is copied, by size',
		columns: [
			...PLACE,
			{ key: 'late', title: 'latest period', unit: 'us' }, { key: 'interval', title: '95 % of it, µs' },
			{ key: 'p95', title: 'p95', unit: 'us' }, { key: 'max', title: 'worst', unit: 'us' },
			{ key: 'control', title: 'nothing done', unit: 'us' }, { key: 'between', title: '95 % of it, µs' },
			{ key: 'controlMax', title: 'its worst', unit: 'us' },
			{ key: 'share', title: 'late or missed', unit: 'percent' },
			{ key: 'controlShare', title: 'nothing done', unit: 'percent' },
			{ key: 'periods', title: 'periods in all', unit: 'count' }, { key: 'n', title: 'n', unit: 'count' },
		],
		rows: inOrder(results).map((variant) => ({
			...placeOf(variant), late: of(variant, 'lateNs', 'median', US),
			interval: between(medianOf(variant, 'lateNs'), US), p95: orDash(of(variant, 'lateNs', 'p95', US)),
			max: of(variant, 'lateNs', 'max', US), control: of(variant, 'controlLateNs', 'median', US),
			between: between(medianOf(variant, 'controlLateNs'), US),
			controlMax: of(variant, 'controlLateNs', 'max', US),
			share: percent(sum(variant.samples['latePeriods']), sum(variant.samples['periods'])),
			controlShare: percent(sum(variant.samples['controlLatePeriods']), sum(variant.samples['controlPeriods'])),
			periods: sum(variant.samples['periods']), n: of(variant, 'lateNs', 'n'),
		})),
		notes: [
			'A period is late by as much as its work is done later after it was due than is usual: the median with ' +
				'nothing done. Latest: of a round, from the call until 20 ms after the copy\'s end. Nothing done: ' +
				'of the same target for as long, at most 4 s, right after that. Late: by more than a tenth of a ' +
				'period.',
			'The row of nothing done is a round in which no copy is made: what it has more than its control is what ' +
				'this comparison cannot tell.',
		],
	};
}

function byPhase(results: Results): Table {
	const rows = inOrder(results)
		.filter(({ factors }) => factors['hotKiB'] === HOT_KIB && factors['pages'] === '4k')
		.flatMap((variant) => phasesOf(variant).map((phase) => ({
			size: size(sizeOf(variant) * MIB), way: wayOf(variant), phase: phase.name,
			stands: phase.stopped ? 'stands still' : IN_ONE.has(phase.name) ? '–' : 'runs',
			length: scaled(quantile(phase.lengthNs, 0.5), MS),
			longest: scaled(quantile(phase.longestNs, 1), MS),
			step: orDash(scaled(quantile(phase.longestStepNs, 1), US)),
			late: orDash(scaled(quantile(phase.lateNs, 0.5), US)),
			p95: orDash(phase.lateNs.length < P95_NEEDS ? null : scaled(quantile(phase.lateNs, 0.95), US)),
			max: orDash(scaled(quantile(phase.lateNs, 1), US)),
			control: orDash(scaled(quantile(phase.controlLateNs, 0.5), US)),
			controlMax: orDash(scaled(quantile(phase.controlLateNs, 1), US)),
			share: orDash(percent(phase.late, phase.periods)),
			controlShare: orDash(percent(phase.controlLate, phase.controlPeriods)), periods: phase.periods,
			n: phase.lengthNs.length,
		})));
	return {
		name: 'lateness-by-phase',
		title: 'How late the loop is in each phase of a copy',
		columns: [
			{ key: 'size', title: 'resident' }, { key: 'way', title: 'way' }, { key: 'phase', title: 'phase' },
			{ key: 'stands', title: 'the target' }, { key: 'length', title: 'in a copy', unit: 'ms' },
			{ key: 'longest', title: 'longest', unit: 'ms' }, { key: 'step', title: 'longest step', unit: 'us' },
			{ key: 'late', title: 'latest period', unit: 'us' }, { key: 'p95', title: 'p95', unit: 'us' },
			{ key: 'max', title: 'worst', unit: 'us' }, { key: 'control', title: 'nothing done', unit: 'us' },
			{ key: 'controlMax', title: 'its worst', unit: 'us' },
			{ key: 'share', title: 'late or missed', unit: 'percent' },
			{ key: 'controlShare', title: 'nothing done', unit: 'percent' },
			{ key: 'periods', title: 'periods', unit: 'count' }, { key: 'n', title: 'n', unit: 'count' },
		],
		rows,
		notes: [
			'4 KiB pages, 64 KiB written to in each millisecond. A period is of the phase in which most of it lay, ' +
				'from when it was due until it was done: short phases have few, or none (–). Nothing done: the same ' +
				'phases laid over as long a time in which nothing is done to the target, of the same rounds. ' +
				'Longest step: of those that hold the lock of the target\'s mappings, in all rounds, as the ' +
				'mechanism tells. Of a copy in one act nobody tells when in it the target stands still.',
			'In a pass, protecting and reading take turns, every 50 µs or so: they are one phase.',
		],
	};
}

export const tables = (results: Results): Table[] => [stops(results), lateness(results), byPhase(results)];

/** One chart of medians with intervals by size, both axes logarithmic. */
function growth(
	results: Results, name: string, title: string, caption: string, metric: string, divisor: number, unit: string
): Chart {
	const rows = results.where({ hotKiB: HOT_KIB, pages: '4k' }).flatMap((variant) => {
		const estimate = medianOf(variant, metric);
		// A log axis has no place for what is not late at all.
		const shown = (value: number): number => Math.max(value, US) / divisor;
		return estimate === null ? [] : [{
			way: wayOf(variant), rssMiB: sizeOf(variant), median: shown(estimate.value),
			...(estimate.interval === null
				? {}
				: { low: shown(estimate.interval.low), high: shown(estimate.interval.high) }),
		}];
	});
	const ways = [...new Set(rows.map(({ way }) => way))], colours = colourScale(ways.filter((way) => way !== NOTHING));
	const y = { type: 'quantitative' as const, scale: { type: 'log' as const }, title: unit };
	return {
		name, title, caption,
		spec: {
			data: { values: rows },
			encoding: {
				x: {
					field: 'rssMiB', type: 'quantitative', scale: { type: 'log', base: 2, nice: false, padding: 16 },
					title: 'resident memory (MiB)',
					axis: { values: levels(results, 'rssMiB') as number[], format: 'd' },
				},
				color: {
					field: 'way', type: 'nominal', title: null,
					scale: ways.includes(NOTHING)
						? { domain: [...colours.domain, NOTHING], range: [...colours.range, PAPER_COLOUR] }
						: colours,
				},
			},
			layer: [
				{ mark: 'rule', encoding: { y: { ...y, field: 'low' }, y2: { field: 'high' } } },
				{ mark: 'line', encoding: { y: { ...y, field: 'median' } } },
				{ mark: 'point', encoding: { y: { ...y, field: 'median' } } },
			],
		},
	};
}

export const charts = (results: Results): Chart[] => [
	growth(
		results, 'pause-over-size', 'Longest stop of a copy, by the target\'s memory',
		'4 KiB pages; medians with their 95 % intervals, both axes logarithmic, as the mechanisms report them. ' +
			'What copies page tables or bytes in a stop grows with the target.',
		'stopNs', MS, 'ms'
	),
	growth(
		results, 'lateness-over-size', 'Latest period of a loop in the target, by its memory',
		'4 KiB pages; medians with their 95 % intervals, both axes logarithmic, seen from inside the target, from ' +
			'the call until 20 ms after the copy\'s end. Grey: a watch of a second a GiB in which nothing is done.',
		'lateNs', MS, 'ms'
	),
];

/** More than twice as long at eight times the size or more is growth; less than that is none. */
const GROWTH = 2;
const LEAST_SPREAD = 8;

export function claims(results: Results): Claim[] {
	const own = { where: 'beyond the paper', paper: 'not in it', ours: true as const, byTime: true as const };
	const at = (way: string, rssMiB: number): VariantResult | undefined =>
		results.where({ way, rssMiB, pages: '4k', hotKiB: HOT_KIB })[0];
	return waysOf(results).flatMap((way): Claim[] => {
		const variants = results.where({ way, pages: '4k', hotKiB: HOT_KIB });
		if (!variants.some(isInPhases)) return [];
		const sizes = variants.filter(({ summary }) => summary['stopNs'] !== undefined).map(sizeOf);
		const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
		if (most < LEAST_SPREAD * least) return [];
		const [small, large] = [medianOf(at(way, least), 'stopNs'), medianOf(at(way, most), 'stopNs')];
		const flat: Claim = {
			...own, claim: `The longest stop does not grow with the target's memory (${way})`,
			here: small === null || large === null
				? 'not measured'
				: `${timeWithin(small)} at ${size(least * MIB)}, ${timeWithin(large)} at ${size(most * MIB)}`,
			...isAtMost(ratioOf(at(way, most), at(way, least), 'stopNs', 'median'), GROWTH),
		};
		const late = medianOf(at(way, most), 'lateNs'), control = medianOf(at(way, most), 'controlLateNs');
		const others = waysOf(results).filter((other) => other !== way && other !== NOTHING);
		return [flat, ...others.flatMap((other): Claim[] => {
			const theirs = medianOf(at(other, most), 'lateNs');
			return theirs === null || late === null || control === null ? [] : [{
				...own,
				claim: `A loop of 1 kHz in a target of ${size(most * MIB)} is late by less under ${way} than under ${other}`,
				here: `${timeWithin(late)} and ${timeWithin(theirs)} at its latest period; with nothing done ` +
					timeWithin(control),
				...isAtMost(ratioOf(at(way, most), at(other, most), 'lateNs', 'median'), 1),
			}];
		})];
	});
}
