/** precopy: where the target sleeps in a rhythm, what holds its locks is done while it sleeps. */
import test, { type ExecutionContext } from 'ava';
import { spawnSync } from 'node:child_process';
import { mechanism } from '../../mechanisms/precopy.ts';
import type { Precopy } from '../../native/index.ts';
import { testUnless } from '../unless.ts';
import { program, start, tracerFor, type Target } from './help.ts';

const precopyTest = testUnless(mechanism.unavailable());

test('a rhythm is known from times of waking and going to sleep', (t) => {
	t.is(spawnSync(program('rhythms'), { encoding: 'utf8' }).stdout.trim(), 'ok');
});

test('the log is read as the kernel writes it', (t) => {
	t.is(spawnSync(program('rings'), { encoding: 'utf8' }).stdout.trim(), 'ok');
});

const KEYS = ['steps', 'waits', 'stepsInRhythm', 'stepsAwake', 'waitedNs', 'takeNs'] as const;

type Steps = Pick<Precopy, (typeof KEYS)[number]>;

/** All steps of some copies. */
function stepsOf(t: ExecutionContext, { pid }: Target, copies: number): Steps {
	const tracer = tracerFor(t, { priority: 1 });
	const sum: Steps = { steps: 0, waits: 0, stepsInRhythm: 0, stepsAwake: 0, waitedNs: 0, takeNs: 0 };
	for (let copy = 0; copy < copies; copy++) {
		tracer.precopy(pid);
		let now;
		do now = tracer.precopyGoOn(20); while (!now.done);
		for (const key of KEYS) sum[key] += now[key];
		tracer.end();
	}
	t.log(sum);
	return sum;
}

precopyTest('steps fall into the sleep of a target that works for half of each millisecond', async (t) => {
	const target = await start(t, 'periodic', 500, 500);
	await target.runs(1);
	const { steps, waits, stepsInRhythm, stepsAwake } = stepsOf(t, target, 3);
	t.true(stepsInRhythm >= steps / 2, 'it is seen to have one');
	// Made at any time, more than one in two would meet it awake.
	t.true(stepsAwake <= stepsInRhythm / 5, `${stepsAwake} of ${stepsInRhythm} while it was awake`);
	t.true(waits > 0 && waits < steps, 'its sleep is waited for, and several steps are made in one');
});

precopyTest('a rhythm that is not of the first thread counts', async (t) => {
	const target = await start(t, 'states', 'large');
	const { steps, stepsInRhythm } = stepsOf(t, target, 1);
	t.true(stepsInRhythm >= steps / 4, `${stepsInRhythm} of ${steps}`);
	await target.runs(1);
});

for (const [what, ...args] of [
	['never sleeps', 0, 0], ['sleeps for ten seconds', 10, 10_000_000], ['wakes at any time', 100, 100, 5000],
] as const)
	precopyTest(`nobody waits for a target that ${what}`, async (t) => {
		const { steps, waits } = stepsOf(t, await start(t, 'periodic', ...args), 1);
		t.true(steps > 50);
		t.true(waits <= steps / 10, `${waits} waits for ${steps} steps`);
	});

precopyTest('waiting has an end, where a target sleeps too little', async (t) => {
	// A period is long beside a step, and short beside a copy: five of them are needed to know it.
	const periodUs = 5000, copies = 4, target = await start(t, 'periodic', periodUs - 500, 500);
	await target.runs(1);
	const { waitedNs, takeNs, waits } = stepsOf(t, target, copies);
	t.true(waits > 0);
	// For two periods, and twice as long as all else takes; and as much again where nobody gets a CPU.
	t.true(waitedNs <= takeNs * 0.7 + copies * 4 * periodUs * 1000, `waited for ${waitedNs} of ${takeNs} ns`);
});
