import { LEAST_BLOCKS } from '../stats/bootstrap.ts';
import { P95_NEEDS, P99_NEEDS } from '../stats/summarize.ts';
import type { CellValue, Column, Metric, Results, Summary, Table, Unit } from '../types.ts';

/** How a metric's unit is shown: samples are nanoseconds and bytes, which nobody reads. */
const SHOWN: Record<Unit, { unit: NonNullable<Column['unit']>; divisor: number }> = {
	ns: { unit: 'us', divisor: 1e3 },
	bytes: { unit: 'KiB', divisor: 1024 },
	count: { unit: 'count', divisor: 1 },
	'bytes/s': { unit: 'GB/s', divisor: 1e9 },
};

type Shown = Exclude<keyof Summary, 'n' | 'blocks'>;

const STATISTICS: ReadonlyArray<[Shown, string]> = [
	['min', 'min'], ['median', 'median'], ['medianLow', 'from'], ['medianHigh', 'to'],
	['mean', 'mean'], ['meanLow', 'from'], ['meanHigh', 'to'], ['p95', 'p95'], ['p99', 'p99'], ['max', 'max'],
];

/** Why a statistic is not given. */
const missing = (key: Shown): string =>
	(key === 'p95' ? `n < ${P95_NEEDS}` : key === 'p99' ? `n < ${P99_NEEDS}` : `blocks < ${LEAST_BLOCKS}`);

/** Every variant's summary, one table for each metric: what the paper's tables leave out. */
export function summaryTables(results: Results, metrics: Record<string, Metric>): Table[] {
	return Object.entries(metrics).flatMap(([name, metric]) => {
		const measured = results.variants.filter((variant) => variant.summary[name] !== undefined);
		return measured.length === 0 ? [] : [summaryTable(name, metric, measured)];
	});
}

function summaryTable(name: string, metric: Metric, variants: Results['variants']): Table {
	const { unit, divisor } = SHOWN[metric.unit];
	return {
		name: `summary-${name}`,
		title: metric.title,
		columns: [
			{ key: 'variant', title: 'variant' },
			{ key: 'n', title: 'n', unit: 'count' }, { key: 'blocks', title: 'blocks', unit: 'count' },
			...STATISTICS.map(([key, title]): Column => ({ key, title, unit })),
			{ key: 'failures', title: 'failures', unit: 'count' },
		],
		rows: variants.map((variant) => {
			const summary = variant.summary[name] as Summary;
			const shown = STATISTICS.map(([key]): [string, CellValue] => {
				const value = summary[key];
				return [key, value === null ? missing(key) : value / divisor];
			});
			return {
				variant: variant.id, n: summary.n, blocks: summary.blocks, ...Object.fromEntries(shown),
				failures: variant.failures,
			};
		}),
		notes: [],
	};
}
