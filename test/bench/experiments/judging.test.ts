/** Claims are judged by intervals alone. */
import test from 'ava';
import { every, isAbove, isAtMost, ratioOf } from '../../../bench/experiments/shared/judging.ts';
import { collect } from '../../../bench/stats/results.ts';
import type { Block } from '../../../bench/types.ts';

const of = (low: number, value: number, high: number) => ({ value, interval: { low, high }, n: 40, blocks: 8 });

test('a figure is below a limit, above it, or its interval spans the limit: then it is said what would decide', (t) => {
	t.deepEqual(isAtMost(of(8, 9, 10), 10), { holds: true });
	t.deepEqual(isAtMost(of(11, 12, 13), 10), { holds: false });
	t.deepEqual(isAbove(of(11, 12, 13), 10), { holds: true });
	t.deepEqual(isAbove(of(8, 9, 10), 10), { holds: false });
	// Half an interval of 4 is to become 2: four times as many rounds.
	t.deepEqual(isAtMost(of(5, 8, 12), 10), {
		holds: null, undecided: 'some 200 rounds would decide it, this run has 40',
	});
	t.regex(isAbove(of(5, 9.99, 12), 10).undecided ?? '', /too near the limit/);
});

test('what was not measured is not undecided, and what has no interval is', (t) => {
	t.deepEqual(isAtMost(null, 10), { holds: null });
	t.deepEqual(isAtMost({ value: 1, interval: null, n: 50, blocks: 2 }, 10), {
		holds: null, undecided: 'it has no interval: 2 of at least 3 blocks',
	});
});

test('of several the one that fails counts most, then the one that is undecided, then the one not measured', (t) => {
	const yes = { holds: true }, no = { holds: false }, open = { holds: null, undecided: 'x' }, none = { holds: null };
	t.deepEqual(every([yes, open, none, no]), no);
	t.deepEqual(every([yes, none, open]), open);
	t.deepEqual(every([yes, none]), none);
	t.deepEqual(every([yes, yes]), yes);
	t.deepEqual(every([]), none);
});

test('a ratio is of all rounds, its interval by blocks', (t) => {
	const block = (seq: number, variant: string, ns: number[]): Block => ({
		seq, variant, experiment: 'x', factors: {}, status: 'ok', startedMs: 0, warmupRounds: 0, samples: { ns },
		failures: [], facts: {},
	});
	const [a, b] = collect([1, 2, 3, 4].flatMap((seq) =>
		[block(2 * seq, 'a', [20 * seq, 22 * seq]), block(2 * seq + 1, 'b', [10 * seq, 11 * seq])])).variants;
	const ratio = ratioOf(a, b, 'ns', 'mean');
	t.is(ratio?.value, 2);
	t.true(ratio !== null && ratio.interval !== null && ratio.interval.low <= 2 && ratio.interval.high >= 2);
	t.is(ratio?.blocks, 4);
	t.is(ratioOf(a, undefined, 'ns', 'mean'), null);
});
