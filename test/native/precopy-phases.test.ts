/** precopy: what was done to the target when, as the tracer tells it. */
import test from 'ava';
import { mechanism } from '../../mechanisms/precopy.ts';
import { nowNs } from '../../native/index.ts';
import { testUnless } from '../unless.ts';
import { start, tracerFor } from './help.ts';
import { addon } from '../../native/addon.ts';
import { spellsIn } from '../../native/figures.ts';

const ORDER = ['first stop', 'first pass', 'further passes', 'second stop', 'check', 'unprotecting', 'unregistering'];

testUnless(mechanism.unavailable())('all of it is in a phase, in order, each where the last one ends', async (t) => {
	const target = await start(t, 'states', 'idle'), tracer = tracerFor(t);
	for (let copy = 0; copy < 3; copy++) {
		const begun = Number(nowNs()), still = mechanism.open(tracer, target), ended = Number(nowNs());
		const phases = still.phases ?? [], names = phases.map(({ name }) => name), { takeNs, pauseNs } = still.figures;
		still.end();
		t.deepEqual([...new Set(names)], ORDER, 'of an idle target each is there');
		t.deepEqual(['unprotecting', 'unregistering'].map((name) => names.indexOf(name) - names.length), [-2, -1]);
		t.true((phases[0]?.startNs ?? 0) >= begun && (phases.at(-1)?.endNs ?? Infinity) <= ended);
		for (const [i, { startNs, endNs, name, stopped, longestStepNs }] of phases.entries()) {
			t.true(endNs > startNs, name);
			t.is(startNs, phases[i - 1]?.endNs ?? startNs, `${name} begins where the last one ends`);
			t.is(stopped, name.endsWith(' stop'));
			t.true((longestStepNs ?? -1) >= 0 && (longestStepNs ?? 0) <= endNs - startNs, `${name}: a step of it`);
		}
		const lengths = phases.map(({ startNs, endNs }) => endNs - startNs);
		t.true(lengths.reduce((sum, ns) => sum + ns, 0) <= takeNs);
		t.is(Math.max(...lengths.filter((_, i) => phases[i]?.stopped)), pauseNs, 'the longest stop is reported');
	}
});

test('more phases than there is room for are not read beyond their end', (t) => {
	const { spellsOffset, spellBytes, spellStartOffset } = addon().constants;
	const bytes = new Uint8Array(spellsOffset + 2 * spellBytes), view = new DataView(bytes.buffer);
	view.setInt32(0, 1000, true);
	view.setInt32(spellsOffset + spellBytes, 4, true);
	view.setBigInt64(spellsOffset + spellBytes + spellStartOffset, 5n, true);
	view.setBigInt64(spellsOffset + spellBytes + spellStartOffset + 8, 7n, true);
	view.setBigInt64(spellsOffset + spellBytes + spellStartOffset + 16, 1n, true);
	const spells = spellsIn(bytes);
	t.is(spells.length, 2);
	t.deepEqual(spells[1], { name: 'check', startNs: 5, endNs: 7, longestStepNs: 1, stopped: false });
	t.deepEqual(spellsIn(new Uint8Array(2)), []);
});
