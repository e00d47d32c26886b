import test from 'ava';
import { narrowed, planBlocks, type PlannedBlock } from '../../../bench/runner/plan.ts';
import { fakeExperiment, fakeVariant } from './fakes.ts';

const VARIANTS = [
	fakeVariant('a', { rounds: 1000, blockRounds: 100 }),
	fakeVariant('b', { rounds: 250, blockRounds: 100 }),
	fakeVariant('c', { rounds: 7, blockRounds: 100 }),
	fakeVariant('d', { rounds: 1000, blockRounds: 100 }),
];

const names = (plan: PlannedBlock[]) =>
	plan.map(({ experiment, variant, rounds }) => `${experiment.name}/${variant.id}/${rounds}`);
const planOf = (seed: number, name = 'fake') =>
	planBlocks([{ experiment: fakeExperiment({ name }), variants: VARIANTS }], seed);

test('every variant gets exactly its rounds, in blocks of at most blockRounds', (t) => {
	for (let seed = 0; seed < 50; seed++) {
		const plan = planOf(seed);
		for (const variant of VARIANTS) {
			const own = plan.filter((block) => block.variant === variant);
			t.is(own.reduce((sum, { rounds }) => sum + rounds, 0), variant.rounds);
			t.true(own.every(({ rounds }) => rounds >= 1 && rounds <= variant.blockRounds));
		}
	}
});

test('every pass has each variant that has rounds left, once', (t) => {
	const plan = planOf(3).map(({ variant }) => variant.id);
	const passes = [4, 3, 3, 2, 2, 2, 2, 2, 2, 2];
	const expected = ['abcd', 'abd', 'abd', ...Array.from({ length: 7 }, () => 'ad')];
	for (const [index, size] of passes.entries()) {
		t.is(plan.splice(0, size).sort().join(''), expected[index] ?? '');
	}
	t.is(plan.length, 0);
});

test('the same seed gives the same order, another seed another', (t) => {
	t.deepEqual(names(planOf(7)), names(planOf(7)));
	t.notDeepEqual(names(planOf(7)), names(planOf(8)));
});

test('passes are shuffled, each anew', (t) => {
	const variants = Array.from({ length: 8 }, (_, index) => fakeVariant(String(index), { rounds: 6, blockRounds: 1 }));
	const order = planBlocks([{ experiment: fakeExperiment(), variants }], 1).map(({ variant }) => variant.id).join('');
	const passes = order.match(/.{8}/g) ?? [];
	t.is(passes.length, 6);
	t.is(new Set(passes).size, 6);
});

test('an experiment\'s order does not depend on what else is chosen', (t) => {
	const first = fakeExperiment({ name: 'first' });
	const second = fakeExperiment({ name: 'second' });
	const both = planBlocks([{ experiment: first, variants: VARIANTS }, { experiment: second, variants: VARIANTS }], 5);
	t.notDeepEqual(
		names(planOf(5, 'first')).map((name) => name.slice('first'.length)),
		names(planOf(5, 'second')).map((name) => name.slice('second'.length))
	);
	t.deepEqual(names(both), [...names(planOf(5, 'first')), ...names(planOf(5, 'second'))]);
});

for (const [title, changes] of Object.entries({
	'no rounds': { rounds: 0 },
	'a broken number of rounds': { rounds: 1.5 },
	'empty blocks': { blockRounds: 0 },
	'negative warm-ups': { warmupRounds: -1 },
})) {
	test(`refused: ${title}`, (t) => {
		t.throws(
			() => planBlocks([{ experiment: fakeExperiment(), variants: [fakeVariant('x', changes)] }], 1),
			{ message: /experiment fake, variant x/ }
		);
	});
}

test('refused: two variants with one id', (t) => {
	t.throws(
		() => planBlocks([{ experiment: fakeExperiment(), variants: [fakeVariant('x'), fakeVariant('x')] }], 1),
		{ message: /twice/ }
	);
});

test('some variants alone, with other rounds', (t) => {
	const ids = (texts?: string[]): string => narrowed(VARIANTS, texts === undefined ? {} : { variants: texts })
		.map(({ id }) => id).join('');
	t.deepEqual([ids(), ids([]), ids(['a', 'c']), ids(['x'])], ['abcd', 'abcd', 'ac', '']);
	t.deepEqual(narrowed(VARIANTS, {}), VARIANTS);
	const small = fakeVariant('e', { rounds: 12, blockRounds: 3, warmupRounds: 1 });
	const blockRounds = (rounds: number): number | undefined => narrowed([small], { rounds })[0]?.blockRounds;
	t.deepEqual([1, 60, 100, 1000].map(blockRounds), [3, 3, 5, 25]);
	t.like(narrowed([small], { rounds: 1000 })[0], { id: 'e', rounds: 1000, warmupRounds: 1 });
	t.is(narrowed(VARIANTS, { rounds: 1000 })[0]?.blockRounds, 100, 'never fewer than it asks for');
});
