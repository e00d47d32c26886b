import test from 'ava';
import { discoverExperiments } from '../../../bench/discover.ts';
import { mechanismOf } from '../../../bench/experiments/shared/mechanism.ts';
import { fakeLab, fakeMechanism } from '../runner/fakes.ts';

test('a variant\'s mechanism is the one of that name', (t) => {
	const mechanisms = ['a', 'b'].map((name) => fakeMechanism({ name }));
	t.is(mechanismOf({ factors: { mechanism: 'b' } }, { mechanisms }), mechanisms[1]!);
	t.throws(
		() => mechanismOf({ factors: { mechanism: 'c' } }, { mechanisms }),
		{ message: 'there is no mechanism c here: there are a, b' }
	);
	t.throws(() => mechanismOf({ factors: {} }, { mechanisms: [] }), { message: /\(none named\) here: there are none/ });
});

for (const { name, variants, open } of await discoverExperiments()) {
	// acquire measures by command lines, which refuse it.
	if (name === 'acquire') continue;
	test(`${name}: variants of a mechanism that is not there are refused`, async (t) => {
		for (const variant of variants('smoke', [fakeMechanism({ name: 'magic' })])) {
			if (variant.factors['mechanism'] === 'magic')
				await t.throwsAsync(open(variant, fakeLab()), { message: /no mechanism magic here/ }, variant.id);
		}
	});
}
