/** The claims of section 5.5 beside their control: passes without a duplicate. */
import test from 'ava';
import { claims } from '../../../bench/experiments/shared/copy-on-write-claims.ts';
import { tables } from '../../../bench/experiments/shared/copy-on-write-report.ts';
import { collect } from '../../../bench/stats/results.ts';
import { readPaper } from '../../../bench/store/paper.ts';
import type { Block } from '../../../bench/types.ts';

const paper = readPaper(), US = 1000;

/** Four blocks of each size; passes without take `withoutUs`, but the last, which takes `slowestUs`. */
function measured(delayUs: (sizeKiB: number) => number, slowestUs = 100): Block[] {
	return [16, 64, 256, 1024].flatMap((sizeKiB, size) => Array.from({ length: 4 }, (_, i): Block => {
		const without = [100, 101, 99, i === 3 ? slowestUs : 100].map((us) => us * US);
		return {
			seq: size * 4 + i, experiment: 'copy-on-write', variant: `inject ${sizeKiB}`, status: 'ok', startedMs: 0,
			factors: { mechanism: 'inject', sizeKiB }, warmupRounds: 0, failures: [], facts: {},
			samples: {
				withoutNs: without, withNs: [100, 101, 99, 100].map((us) => (us + delayUs(sizeKiB)) * US),
				lostTries: [0, 2, 0, 1],
			},
		};
	}));
}

const verdicts = (blocks: Block[]) =>
	claims(collect(blocks), paper).map(({ holds, undecided }) => (undecided === undefined ? holds : 'undecided'));

test('delays like the paper\'s hold; delays of twice its bound do not', (t) => {
	const theirs = (sizeKiB: number) => sizeKiB / 4 * 1.2;
	t.deepEqual(verdicts(measured(theirs)), [true, true, true, true]);
	t.deepEqual(verdicts(measured((sizeKiB) => 3 * theirs(sizeKiB))), [false, false, true, false]);
	t.deepEqual(verdicts(measured(() => 1)).slice(0, 3), [true, true, false]);
});

test('a longest delay is not held against a duplicate where passes without one are as late', (t) => {
	const spiky = (sizeKiB: number) => (sizeKiB <= 64 ? 1 : 150);
	t.deepEqual(verdicts(measured(spiky, 100)).slice(1, 2), [false]);
	t.deepEqual(verdicts(measured(spiky, 900)).slice(1, 2), ['undecided']);
});

test('duplicates that did not fit between two passes are counted', (t) => {
	const nine = tables(collect(measured(() => 1)), paper).find(({ name }) => name === 'table-9');
	t.deepEqual(nine?.rows.map(({ lost }) => lost).filter((lost) => lost !== '–'), [12, 12, 12, 12]);
});
