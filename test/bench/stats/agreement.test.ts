/** A run that disagrees with itself is found; one whose cells are what they are said to be is not. */
import test from 'ava';
import { agreementOf, isUnfit } from '../../../bench/stats/agreement.ts';
import { createRandom, normal } from '../../../bench/stats/random.ts';
import { collect } from '../../../bench/stats/results.ts';
import type { Block } from '../../../bench/types.ts';

/** Cells of `blocks` blocks of ten rounds; `centre` is that of each block. */
function run(cells: number, blocks: number, centre: (block: number, random: () => number) => number) {
	const random = createRandom(7);
	const list = Array.from({ length: cells }, (_, cell) => Array.from({ length: blocks }, (__, block): Block => {
		const middle = centre(block, random);
		return {
			seq: cell * blocks + block, experiment: 'x', variant: `cell ${cell}`, factors: {}, status: 'ok',
			startedMs: 0, warmupRounds: 0, failures: [], facts: {},
			samples: { ns: Array.from({ length: 10 }, () => middle + normal(random)) },
		};
	}));
	return collect(list.flat());
}

test('of cells whose blocks differ by chance the halves are apart in few splits', (t) => {
	const agreement = agreementOf([run(60, 12, (_, random) => 100 + normal(random))]);
	t.deepEqual([agreement.atRandom.made, agreement.inTime.made], [60, 60]);
	t.true(agreement.atRandom.apart <= 2, `${agreement.atRandom.apart} of 60`);
	t.true(agreement.inTime.apart <= 2, `${agreement.inTime.apart} of 60`);
	t.false(isUnfit(agreement));
});

test('a machine that changed while a run went on is found, and which cells it changed', (t) => {
	const changed = run(40, 12, (block, random) => (block < 6 ? 100 : 130) + normal(random));
	const agreement = agreementOf([changed]);
	t.is(agreement.inTime.apart, 40);
	t.true(isUnfit(agreement));
	t.is(agreement.drifted[0], 'cell 0: ns');
});

test('cells of fewer than six blocks cannot be parted, and are counted', (t) => {
	t.like(agreementOf([run(3, 5, () => 1)]), { atRandom: { made: 0, apart: 0 }, drifted: [], unparted: 3 });
	t.false(isUnfit(agreementOf([])));
});
