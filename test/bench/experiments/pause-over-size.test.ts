/** pause-over-size: what is made of periods and phases, and which variants there are. */
import test from 'ava';
import { variantsFor } from '../../../bench/experiments/pause-over-size.ts';
import { claims, tables } from '../../../bench/experiments/shared/pause-report.ts';
import {
	extraOf, filled, latenessIn, movedTo, periodsOf, sumOf, usualNs,
} from '../../../bench/experiments/shared/periods.ts';
import { isInPhases, PhaseLog, phasesOf } from '../../../bench/experiments/shared/phase-log.ts';
import { collect } from '../../../bench/stats/results.ts';
import type { Block, Phase } from '../../../bench/types.ts';
import { fakeMechanism } from '../runner/fakes.ts';

const PERIOD = 1000;
/** Of periods that are due at multiples of PERIOD, begin 10 later and take 20; `late`: by how much more, by number. */
const ticksOf = (numbers: number[], late: Record<number, number> = {}) => numbers.map((number, i) => ({
	dueNs: number * PERIOD, beganNs: number * PERIOD + 10 + (late[number] ?? 0),
	endedNs: number * PERIOD + 30 + (late[number] ?? 0), faults: 2 * i,
}));
const span = (name: string, startNs: number, endNs: number, stopped = false): Phase =>
	({ name, startNs, endNs, stopped });

test('a period counts in the phase in which most of it lay, with those that it kept from being begun', (t) => {
	// A stop from 2,900 to 6,500: period 3 ends at 6,530, 4 to 6 are missed.
	const ticks = ticksOf([1, 2, 3, 7, 8], { 3: 3500, 8: 101 });
	t.is(usualNs(ticks), 30);
	const phases = [span('pass', 0, 2900), span('stop', 2900, 6500), span('check', 6500, 9000)];
	const found = latenessIn(periodsOf(ticks, PERIOD, 30), phases, 100);
	t.deepEqual(found, [
		{ periods: 2, late: 0, worstNs: 0 }, { periods: 4, late: 4, worstNs: 3500 },
		{ periods: 2, late: 1, worstNs: 101 },
	]);
	t.deepEqual(sumOf(found), { periods: 8, late: 5, worstNs: 3500 });
	t.deepEqual(latenessIn(periodsOf(ticks, PERIOD, 30), [span('between two', 1500, 1900)], 100), [
		{ periods: 0, late: 0, worstNs: null },
	]);
});

test('phases are laid over another time, and cut off where that ends', (t) => {
	const moved = movedTo([span('a', 100, 300), span('b', 300, 900)], 1000, 1500);
	t.deepEqual(moved, [span('a', 1000, 1200), span('b', 1200, 1500)]);
	t.deepEqual(movedTo([span('a', 0, 10), span('b', 10, 20)], 5, 9), [span('a', 5, 9), span('b', 9, 9)]);
});

test('what is between phases is a phase too', (t) => {
	const between = (startNs: number, endNs: number) => span('around', startNs, endNs);
	t.deepEqual(
		filled([span('a', 10, 20), span('b', 20, 30), span('c', 35, 40)], 5, 40, between).map(({ name }) => name),
		['around', 'a', 'b', 'around', 'c']
	);
	t.deepEqual(filled([], 5, 6, between), [span('around', 5, 6)]);
});

test('extra faults and work are those of the time given, less what is usual', (t) => {
	const ticks = ticksOf([1, 2, 3, 4])
		.map((tick) => (tick.dueNs === 3000 ? { ...tick, endedNs: tick.endedNs + 50 } : tick));
	t.deepEqual(extraOf(ticks, ticksOf([9, 10]), 1500, 3500), { faults: 4, workNs: 50 });
	t.deepEqual(extraOf(ticks, [], 9000, 9500), { faults: 0, workNs: 0 });
});

/** A block with so many rounds of a copy in phases. */
function block(seq: number, way: string, rssMiB: number, stopNs: number[], lateNs: number[]): Block {
	const log = new PhaseLog(1);
	for (const ns of [1e9, ...stopNs]) log.add({
		phases: [
			span('first', 0, ns, true), span('pass', ns, 2 * ns), span('last', 2 * ns, 3 * ns, true),
			span('pass', 3 * ns, 5 * ns),
		],
		during: [1, 2, 3, 4].map((worst) => ({ periods: worst, late: 1, worstNs: worst })),
		control: [0, 0, 0, 0].map(() => ({ periods: 0, late: 0, worstNs: null })),
	});
	return {
		seq, experiment: 'pause-over-size', variant: `${way} ${rssMiB}`, status: 'ok', startedMs: 0, warmupRounds: 0,
		factors: { mechanism: way, way, rssMiB, pages: '4k', hotKiB: 64 }, failures: [], facts: log.facts(),
		samples: { stopNs, lateNs, controlLateNs: lateNs.map(() => 1) },
	};
}

test('phases of one name are one in a round, and those of all blocks are together; warm-ups are not there', (t) => {
	const [variant] = collect([block(1, 'x', 4, [10, 20], [1, 1]), block(2, 'x', 4, [30], [1])]).variants;
	const phases = phasesOf(variant!);
	t.deepEqual(phases.map(({ name, stopped }) => [name, stopped]), [['first', true], ['pass', false], ['last', true]]);
	t.deepEqual(phases[1], {
		name: 'pass', stopped: false, lengthNs: [30, 60, 90], longestNs: [20, 40, 60], longestStepNs: [],
		lateNs: [4, 4, 4], controlLateNs: [], periods: 18, late: 6, controlPeriods: 0, controlLate: 0,
	});
	t.true(isInPhases(variant!));
	const pass = tables(collect([block(1, 'x', 4, [10e6, 20e6], [1, 1])]))[2]?.rows[1];
	t.deepEqual([pass?.['phase'], pass?.['length'], pass?.['longest'], pass?.['periods']], ['pass', 45, 40, 12]);
});

test('growth is claimed or denied only where intervals tell, and of copies in phases alone', (t) => {
	const measured = (large: number[], blocks = 8) => claims(collect(Array.from({ length: blocks }, (_, i) => [
		block(3 * i + 1, 'x', 4, [10, 11, 12], [5, 5, 5]), block(3 * i + 2, 'x', 1024, large, [5, 5, 5]),
		block(3 * i + 3, 'y', 1024, [900, 900, 900], [700, 700, 700]),
	]).flat())).filter(({ claim }) => claim.endsWith('(x)'));
	t.deepEqual(measured([12, 13, 14]).map(({ holds }) => holds), [true]);
	t.deepEqual(measured([120, 130, 140]).map(({ holds }) => holds), [false]);
	const untold = measured([12, 30, 60])[0];
	t.is(untold?.holds, null);
	t.truthy(untold?.undecided);
	t.deepEqual(measured([12, 13, 14], 2).map(({ holds }) => holds), [null], 'of two blocks');
});

test('a copy that was refused is counted, with the reason, and its other cells are empty', (t) => {
	const log = new PhaseLog(0);
	log.refuse('process 17 writes faster than it can be read');
	const samples = { refused: [1, 1], stopNs: [null, null] };
	const refused = { ...block(1, 'x', 4, [], []), facts: log.facts(), samples };
	const [stops] = tables(collect([refused]));
	t.is(stops?.rows[0]?.['refused'], 2);
	t.is(stops?.rows[0]?.['n'], null);
	t.true(stops?.notes.some((note) => note.includes('refused: the target writes faster')));
});

test('large targets are left out where memory is short; gcore has few; who copies nothing is always there', (t) => {
	const mechanisms = [fakeMechanism()];
	const sizes = (memoryMiB: number) =>
		[...new Set(variantsFor('paper', mechanisms, memoryMiB).map(({ factors }) => Number(factors['rssMiB'])))];
	t.deepEqual(sizes(1e6), [4, 28, 256, 1024, 4096, 16384]);
	t.deepEqual(sizes(4 * 4096), [4, 28, 256, 1024, 4096]);
	t.deepEqual(sizes(1000), [4, 28, 256]);
	t.deepEqual(sizes(1), []);
	const ways = (memoryMiB: number, some = mechanisms) =>
		new Set(variantsFor('paper', some, memoryMiB).map(({ factors }) => factors['way']));
	t.true(ways(1e6).has('nothing done') && ways(1e6).has('fake'));
	t.deepEqual([...ways(1e6, [])], ['nothing done']);
});
