import test from 'ava';
import { medianInterval, medianIntervalOfBlocks, resampledMedian } from '../../../bench/stats/bootstrap.ts';
import { createRandom, normal, type Random } from '../../../bench/stats/random.ts';
import { summarize } from '../../../bench/stats/summarize.ts';

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const sorted = (values: number[]) => [...values].sort((a, b) => a - b);

test('quantiles are those computed by hand', (t) => {
	// Position (n - 1) * p: the median of four is between the second and the third, p95 at 2.85.
	const summary = summarize([4, 1, 3, 2]);
	t.is(summary.n, 4);
	t.is(summary.min, 1);
	t.is(summary.median, 2.5);
	t.is(summary.mean, 2.5);
	t.true(Math.abs(summary.p95 - 3.85) < 1e-12);
	t.is(summary.max, 4);
	t.is(summarize([7, 9, 30]).median, 9);
	t.true(Math.abs((summarize(upTo(101)).p99 ?? 0) - 100) < 1e-9);
});

test('the samples keep their order', (t) => {
	const samples = [3, 1, 2];
	summarize(samples);
	t.deepEqual(samples, [3, 1, 2]);
});

test('p99 needs 100 samples', (t) => {
	t.is(summarize(upTo(99)).p99, null);
	t.true(Math.abs((summarize(upTo(100)).p99 ?? 0) - 99.01) < 1e-9);
});

test('one sample is its own summary, and no sample has none', (t) => {
	t.deepEqual(
		summarize([5]), { n: 1, min: 5, median: 5, medianLow: 5, medianHigh: 5, mean: 5, p95: 5, p99: null, max: 5 }
	);
	t.throws(() => summarize([]), { message: /no samples/ });
	t.throws(() => summarize([1, NaN]), { message: /sample 1 is NaN/ });
});

test('the same samples have the same summary', (t) => {
	const samples = Array.from({ length: 200 }, createRandom(1));
	t.deepEqual(summarize(samples), summarize([...samples]));
});

test('the interval is of samples that are all alike that one value', (t) => {
	t.deepEqual(medianInterval(new Array<number>(50).fill(3)), { low: 3, high: 3 });
});

for (const [name, draw, median] of [
	['skewed', (random: Random) => Math.exp(normal(random)), 1],
	['uniform', (random: Random) => random(), 0.5],
] as const) {
	for (const n of [21, 60]) {
		test(`the 95 % interval of ${n} ${name} samples holds the true median in 90 to 99 % of trials`, (t) => {
			const random = createRandom(99);
			let held = 0;
			for (let trial = 0; trial < 300; trial++) {
				const { low, high } = medianInterval(sorted(Array.from({ length: n }, () => draw(random))));
				held += low <= median && median <= high ? 1 : 0;
			}
			t.true(held >= 270 && held <= 297, `${held} of 300`);
		});
	}
}

for (const n of [24, 25]) {
	test(`it is the interval that resampling all ${n} samples gives`, (t) => {
		const samples = sorted(Array.from({ length: n }, createRandom(17)));
		const random = createRandom(23);
		const medians = Array.from({ length: 20_000 }, () => {
			const drawn = sorted(samples.map(() => samples[Math.floor(random() * n)] as number));
			return ((drawn[Math.floor((n - 1) / 2)] as number) + (drawn[Math.floor(n / 2)] as number)) / 2;
		});
		const share = (bound: number) => medians.filter((median) => median <= bound).length / medians.length;
		const { low, high } = medianInterval(samples);
		t.true(share(low) > 0.01 && share(low) < 0.07, String(share(low)));
		t.true(share(high) > 0.955 && share(high) < 0.995, String(share(high)));
	});
}

test('a resample of two samples has the medians that its four cases have', (t) => {
	const random = createRandom(31);
	const medians = Array.from({ length: 8000 }, () => resampledMedian([0, 1], random));
	for (const [median, share] of [[0, 0.25], [0.5, 0.5], [1, 0.25]] as const) {
		const got = medians.filter((value) => value === median).length / medians.length;
		t.true(Math.abs(got - share) < 0.02, `${median}: ${got}`);
	}
});

test('a thousand samples take under 10 ms', (t) => {
	const samples = Array.from({ length: 1000 }, createRandom(2));
	summarize(samples);
	// The best of many: a loaded machine may take longer now and then.
	const times = Array.from({ length: 50 }, () => {
		const start = performance.now();
		summarize(samples);
		return performance.now() - start;
	});
	const each = Math.min(...times);
	t.true(each < 10, `${each} ms`);
});

test('an interval by blocks is wider where a block\'s rounds are alike, and that of rounds where there is one', (t) => {
	const random = createRandom(41);
	const width = ({ low, high }: { low: number; high: number }): number => high - low;
	const alike = Array.from({ length: 5 }, (_, block) => Array.from({ length: 20 }, () => 10 * block + random()));
	t.true(width(medianIntervalOfBlocks(alike)) >= 20);
	t.true(width(medianInterval(sorted(alike.flat()))) < 15);
	const [one] = alike as [number[]];
	t.true(Math.abs(width(medianIntervalOfBlocks([one])) - width(medianInterval(sorted(one)))) < 0.15);
	t.deepEqual(medianIntervalOfBlocks([[], [3]]), { low: 3, high: 3 });
	t.deepEqual(medianIntervalOfBlocks(alike), medianIntervalOfBlocks(alike));
	t.throws(() => medianIntervalOfBlocks([[]]), { message: /no samples/ });
});
