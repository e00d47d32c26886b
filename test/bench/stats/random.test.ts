import test from 'ava';
import { createRandom, gamma, normal, shuffle } from '../../../bench/stats/random.ts';

test('the same seed gives the same stream, another seed another', (t) => {
	const draw = (seed: number) => Array.from({ length: 5 }, createRandom(seed));
	t.deepEqual(draw(1), draw(1));
	t.notDeepEqual(draw(1), draw(2));
});

test('numbers are in [0, 1) and evenly spread', (t) => {
	const random = createRandom(3);
	const buckets = new Array<number>(10).fill(0);
	for (let i = 0; i < 10_000; i++) {
		const value = random();
		t.true(value >= 0 && value < 1);
		const bucket = Math.floor(value * 10);
		buckets[bucket] = (buckets[bucket] ?? 0) + 1;
	}
	t.true(buckets.every((count) => count > 880 && count < 1120), buckets.join());
});

test('shuffle keeps every item, leaves its argument alone and depends on the seed alone', (t) => {
	const items = Array.from({ length: 20 }, (_, i) => i);
	const once = shuffle(items, createRandom(5));
	t.deepEqual(items, Array.from({ length: 20 }, (_, i) => i));
	t.deepEqual([...once].sort((a, b) => a - b), items);
	t.deepEqual(once, shuffle(items, createRandom(5)));
	t.notDeepEqual(once, items);
	t.notDeepEqual(once, shuffle(items, createRandom(6)));
});

test('every order is equally likely', (t) => {
	const random = createRandom(11);
	const orders = new Map<string, number>();
	for (let i = 0; i < 6000; i++) {
		const order = shuffle(['a', 'b', 'c'], random).join('');
		orders.set(order, (orders.get(order) ?? 0) + 1);
	}
	t.is(orders.size, 6);
	t.true([...orders.values()].every((count) => count > 880 && count < 1120), [...orders.values()].join());
});

test('gamma and normal have the mean and the variance that they should', (t) => {
	const random = createRandom(13);
	const moments = (draw: () => number) => {
		const values = Array.from({ length: 20_000 }, draw);
		const mean = values.reduce((a, b) => a + b) / values.length;
		return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
	};
	const ofGamma = moments(() => gamma(6, random));
	t.true(Math.abs(ofGamma.mean - 6) < 0.06, String(ofGamma.mean));
	t.true(Math.abs(ofGamma.variance - 6) < 0.3, String(ofGamma.variance));
	const ofNormal = moments(() => normal(random));
	t.true(Math.abs(ofNormal.mean) < 0.03, String(ofNormal.mean));
	t.true(Math.abs(ofNormal.variance - 1) < 0.04, String(ofNormal.variance));
});
