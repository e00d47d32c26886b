import test from 'ava';
import { collectFailures } from '../../../bench/stats/failures.ts';
import { collect } from '../../../bench/stats/results.ts';
import type { Block } from '../../../bench/types.ts';

function block(seq: number, variant: string, given: Partial<Block>): Block {
	return {
		seq, variant, experiment: 'x', factors: { mechanism: variant }, status: 'ok', startedMs: seq, warmupRounds: 0,
		samples: {}, failures: [], facts: {}, ...given,
	};
}

test('warm-ups of every block, failed rounds and rounds without a value are left out, for each metric by itself',
	(t) => {
	const { variants } = collect([
		block(
			1, 'inject',
			{ warmupRounds: 2, samples: { takeNs: [90, 91, 1, null, 3], killNs: [90, 91, 10, null, null] } }
		),
		block(2, 'inject', { warmupRounds: 1, samples: { takeNs: [92, 4, NaN], killNs: [92, 40, null] } }),
	]);
	t.deepEqual(variants[0]?.samples, { takeNs: [1, 3, 4], killNs: [10, 40] });
	t.is(variants[0]?.summary.takeNs?.n, 3);
	t.is(variants[0]?.summary.killNs?.max, 40);
});

test('blocks of a variant are joined in the order of measuring, and later facts win', (t) => {
	const { variants } = collect([
		block(3, 'inject', { samples: { takeNs: [3] }, facts: { size: 2, late: true } }),
		block(1, 'inject', { samples: { takeNs: [1] }, facts: { size: 1, early: true } }),
	]);
	t.deepEqual(variants[0]?.samples.takeNs, [1, 3]);
	t.deepEqual(variants[0]?.facts, { size: 2, early: true, late: true });
});

test('variants stand in the order of the plan, others behind; those not measured are not there', (t) => {
	const blocks = [block(1, 'stop', {}), block(2, 'inject', {}), block(3, 'fork', {})];
	t.deepEqual(collect(blocks).variants.map(({ id }) => id), ['stop', 'inject', 'fork']);
	const results = collect(blocks, ['fork', 'syscall', 'inject']);
	t.deepEqual(results.variants.map(({ id }) => id), ['fork', 'inject', 'stop']);
	t.deepEqual(results.mechanisms, ['fork', 'inject', 'stop']);
});

test('where finds variants by some of their factors', (t) => {
	const results = collect([
		block(1, 'a', { factors: { mechanism: 'inject', rssMiB: 4 } }),
		block(2, 'b', { factors: { mechanism: 'inject', rssMiB: 28 } }),
		block(3, 'c', { factors: { mechanism: 'stop', rssMiB: 28 } }),
	]);
	t.deepEqual(results.where({ mechanism: 'inject' }).map(({ id }) => id), ['a', 'b']);
	t.deepEqual(results.where({ mechanism: 'inject', rssMiB: 28 }).map(({ id }) => id), ['b']);
	t.deepEqual(results.where({ pages: 1 }), []);
});

test('a metric without one value is left out instead of summarised', (t) => {
	const { variants } = collect([
		block(1, 'inject', { warmupRounds: 1, samples: { takeNs: [1, null], killNs: [1, 2] } }),
	]);
	t.deepEqual(Object.keys(variants[0]?.summary ?? {}), ['killNs']);
	t.deepEqual(Object.keys(variants[0]?.samples ?? {}), ['killNs']);
});

test('failures are counted, a block that failed as a whole among them', (t) => {
	const blocks = [
		block(1, 'inject', { failures: [{ round: 0, message: 'busy' }, { round: 4, message: 'busy' }] }),
		block(2, 'inject', { status: 'failed', error: 'target gone' }),
		block(3, 'stop', { status: 'interrupted' }),
	];
	t.deepEqual(collect(blocks).variants.map(({ failures }) => failures), [3, 0]);
	t.deepEqual(collectFailures(blocks), [
		{ variant: 'inject', message: 'busy', count: 2 },
		{ variant: 'inject', message: 'block failed: target gone', count: 1 },
		{ variant: 'stop', message: 'block interrupted: no reason recorded', count: 1 },
	]);
});

test('an error that a round has told already is not told twice', (t) => {
	const blocks = [block(1, 'inject', { status: 'failed', error: 'gone', failures: [{ round: 2, message: 'gone' }] })];
	t.deepEqual(collectFailures(blocks), [{ variant: 'inject', message: 'gone', count: 1 }]);
});
