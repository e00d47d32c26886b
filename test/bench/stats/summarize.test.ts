import test from 'ava';
import { createRandom } from '../../../bench/stats/random.ts';
import { summarize } from '../../../bench/stats/summarize.ts';

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

test('quantiles are those computed by hand', (t) => {
	// Position (n - 1) * p: the median of four is between the second and the third, p95 of 101 at 95.
	const summary = summarize([[4, 1], [3, 2]]);
	t.is(summary.n, 4);
	t.is(summary.blocks, 2);
	t.is(summary.min, 1);
	t.is(summary.median, 2.5);
	t.is(summary.mean, 2.5);
	t.is(summary.max, 4);
	t.is(summarize([[7, 9, 30]]).median, 9);
	t.true(Math.abs((summarize([upTo(101)]).p95 ?? 0) - 96) < 1e-9);
	t.true(Math.abs((summarize([upTo(401)]).p99 ?? 0) - 397) < 1e-9);
});

test('the samples keep their order', (t) => {
	const blocks = [[3, 1, 2], [9, 8]];
	summarize(blocks);
	t.deepEqual(blocks, [[3, 1, 2], [9, 8]]);
});

test('a percentile is given from as many samples on as bound it from above in 97.5 % of cases', (t) => {
	t.is(summarize([upTo(71)]).p95, null);
	t.not(summarize([upTo(72)]).p95, null);
	t.is(summarize([upTo(367)]).p99, null);
	t.not(summarize([upTo(368)]).p99, null);
	t.true(1 - 0.95 ** 72 >= 0.975 && 1 - 0.95 ** 71 < 0.975);
	t.true(1 - 0.99 ** 368 >= 0.975 && 1 - 0.99 ** 366 < 0.975);
});

test('one sample has no interval, and no sample has no summary', (t) => {
	t.deepEqual(summarize([[5]]), {
		n: 1, blocks: 1, min: 5, median: 5, medianLow: null, medianHigh: null, mean: 5, meanLow: null, meanHigh: null,
		p95: null, p99: null, max: 5,
	});
	t.throws(() => summarize([[]]), { message: /no samples/ });
	t.throws(() => summarize([[1], [NaN]]), { message: /NaN, not a number/ });
});

test('a thousand samples in 20 blocks take under 300 ms', (t) => {
	const random = createRandom(2), blocks = Array.from({ length: 20 }, () => Array.from({ length: 50 }, random));
	summarize(blocks);
	// The best of many: a loaded machine may take longer now and then.
	const times = Array.from({ length: 10 }, () => {
		const start = performance.now();
		summarize(blocks);
		return performance.now() - start;
	});
	const each = Math.min(...times);
	t.true(each < 300, `${each} ms`);
});
