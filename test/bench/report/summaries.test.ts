import test from 'ava';
import { summaryTables } from '../../../bench/report/summaries.ts';
import { collect } from '../../../bench/stats/results.ts';
import type { Block, Metric } from '../../../bench/types.ts';

const METRICS: Record<string, Metric> = {
	takeNs: { title: 'Time to duplicate', unit: 'ns' },
	copied: { title: 'Copied', unit: 'bytes' },
	speed: { title: 'Bandwidth', unit: 'bytes/s' },
	never: { title: 'Never measured', unit: 'count' },
};

function summarized(rounds: number) {
	const all = (value: number) => new Array<number>(rounds).fill(value);
	const block: Block = {
		seq: 1, experiment: 'x', variant: 'inject', factors: {}, status: 'ok', startedMs: 0, warmupRounds: 0,
		samples: { takeNs: all(42_240), copied: all(2048), speed: all(3.5e9) },
		failures: [{ round: 0, message: 'busy' }], facts: {},
	};
	return summaryTables(collect([block]), METRICS);
}

test('every quantity that was measured has a table, in a unit that people read', (t) => {
	const tables = summarized(3);
	t.deepEqual(tables.map(({ title, rows, columns }) =>
		[title, rows[0]?.median, columns.find(({ key }) => key === 'median')?.unit]), [
		['Time to duplicate', 42.24, 'us'], ['Copied', 2, 'KiB'], ['Bandwidth', 3.5, 'GB/s'],
	]);
	t.like(tables[0]?.rows[0], { variant: 'inject', n: 3, blocks: 1, min: 42.24, max: 42.24, failures: 1 });
});

test('what is not given says why: a percentile that nothing bounds, an interval of too few blocks', (t) => {
	const row = (rounds: number) => summarized(rounds)[0]?.rows[0];
	t.like(row(71), { p95: 'n < 72', p99: 'n < 368', medianLow: 'blocks < 3', meanHigh: 'blocks < 3' });
	t.like(row(367), { p95: 42.24, p99: 'n < 368' });
	t.is(row(368)?.p99, 42.24);
});
