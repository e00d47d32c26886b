/** How often an interval holds the truth is counted, on blocks that are as unlike as ours are. */
import test from 'ava';
import { combinedInterval, estimateOf, intervalOf } from '../../../bench/stats/bootstrap.ts';
import { createRandom, normal, type Random } from '../../../bench/stats/random.ts';
import { studentT975 } from '../../../bench/stats/student-t.ts';

/** Log-normal rounds whose logarithms have variance 1, `shared` of it between blocks. Their median is 1. */
function draw(random: Random, blocks: number, rounds: number, shared: number): number[][] {
	return Array.from({ length: blocks }, () => {
		const own = normal(random) * Math.sqrt(shared);
		return Array.from({ length: rounds }, () => Math.exp(own + normal(random) * Math.sqrt(1 - shared)));
	});
}

const SHAPES = [[20, 20, 0.36], [20, 20, 0.1], [8, 10, 0.6], [4, 5, 0.36], [5, 1, 0.36]] as const;
for (const [blocks, rounds, shared] of SHAPES)
	test(`the 95 % interval of ${blocks} blocks of ${rounds}, ${100 * shared} % of the variance between them, holds`,
		(t) => {
		const random = createRandom(99), trials = 200;
		const held = Array.from({ length: trials }, () => intervalOf(draw(random, blocks, rounds, shared), 'median'))
			.filter((interval) => interval !== null && interval.low <= 1 && 1 <= interval.high).length;
		// Of 200 trials that hold in 95 % each, fewer than 180 are one in 700.
		t.true(held >= 180, `${held} of ${trials}`);
	});

test('taken for independent, the same rounds would have an interval that holds in fewer than 80 % of trials', (t) => {
	const random = createRandom(99), trials = 100;
	const held = Array.from({ length: trials }, () =>
		intervalOf(draw(random, 20, 20, 0.36).flat().map((value) => [value]), 'median'))
		.filter((interval) => interval !== null && interval.low <= 1 && 1 <= interval.high).length;
	t.true(held < 80, `${held} of ${trials}`);
});

test('a ratio of two quantities of the same blocks is judged without what slowed both', (t) => {
	const random = createRandom(3);
	const slowness = Array.from({ length: 20 }, () => Math.exp(normal(random)));
	const of = (factor: number) =>
		slowness.map((slow) => Array.from({ length: 10 }, () => factor * slow * (1 + 0.05 * normal(random))));
	const ratio = combinedInterval(of(2), of(1), 'median', (a, b) => a / b);
	t.true(ratio !== null && ratio.low > 1.5 && ratio.high < 2.6, JSON.stringify(ratio));
	const alone = intervalOf(of(1), 'median');
	t.true(alone !== null && alone.high / alone.low > 2, JSON.stringify(alone));
});

test('a difference may be below nothing, a time may not', (t) => {
	const blocks = [[0.01, 3], [0.02, 1], [0.5, 0.1]];
	t.is(intervalOf(blocks, 'median')?.low, 0);
	const difference = combinedInterval(blocks, blocks.toReversed(), 'median', (a, b) => a - b);
	t.true(difference !== null && difference.low < 0 && difference.estimate === 0);
});

test('of two blocks there is no interval, however many rounds; empty blocks count as none', (t) => {
	t.is(intervalOf([[1, 2, 3], [4, 5, 6]], 'median'), null);
	t.is(intervalOf([[1, 2, 3], [], [4, 5, 6]], 'mean'), null);
	t.is(combinedInterval([[1], [2], [3]], [[1], [2]], 'mean', (a, b) => a / b), null);
	t.throws(() => estimateOf([[]], 'median'), { message: /no samples/ });
});

test('the same samples have the same interval, and samples that are all alike that one value', (t) => {
	const blocks = draw(createRandom(1), 6, 10, 0.3);
	t.deepEqual(intervalOf(blocks, 'median'), intervalOf(blocks.map((rounds) => [...rounds]), 'median'));
	t.deepEqual(intervalOf([[3, 3], [3], [3, 3]], 'median'), { low: 3, high: 3 });
});

test('Student\'s t is that of the tables, and joins its expansion without a step', (t) => {
	t.deepEqual([1, 2, 10, 30].map(studentT975), [12.706, 4.303, 2.228, 2.042]);
	t.true(Math.abs(studentT975(31) - 2.0395) < 1e-3);
	t.true(Math.abs(studentT975(120) - 1.9799) < 1e-3);
	t.throws(() => studentT975(0), { message: /0 degrees/ });
});
