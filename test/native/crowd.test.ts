/** Targets with thousands of threads: all of them are taken, up to a figure that the refusal names. */
import test from 'ava';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { isFree } from '../processes.ts';
import { failure, inTheEnd, PATIENT, program, start, tracerFor } from './help.ts';

const TURNS = 1, RIP = 16;

test('10,000 threads: registers of all, and the target goes on', async (t) => {
	const COUNT = 10_000, target = await start(t, 'crowd', COUNT), tracer = tracerFor(t, PATIENT);
	if (target.process.exitCode !== null) {
		t.log(`not here: ${await target.line()}`);
		return t.pass();
	}
	const tids = readdirSync(`/proc/${target.pid}/task`).map(Number).sort((a, b) => a - b);
	for (let i = 0; i < 2; i++) {
		const { threads, takeNs, pauseNs } = await inTheEnd(() => tracer.inject(target.pid));
		t.is(threads, COUNT);
		const registers = tracer.registers();
		t.deepEqual(registers.map(({ tid }) => tid).sort((a, b) => a - b), tids);
		t.true(registers.every(({ general, xstate }) =>
			new BigUint64Array(general.slice().buffer)[RIP]! > 0n && xstate.length > 512));
		const { pauseNs: again } = tracer.end();
		t.log(
			`take ${(takeNs / 1e6).toFixed(0)} ms, pause ${(pauseNs / 1e6).toFixed(0)} ms, at the end ` +
				`${(again / 1e6).toFixed(0)} ms`
		);
		await target.runs(TURNS);
	}
	t.true(isFree(target.pid));
	t.is(readdirSync(`/proc/${target.pid}/task`).length, COUNT);
	return undefined;
});

test('more than 16,384 threads are refused, with the figure', async (t) => {
	const target = await start(t, 'crowd', 16_500), tracer = tracerFor(t);
	if (target.process.exitCode !== null) {
		t.log(`not here: ${await target.line()}`);
		return t.pass();
	}
	for (const ask of ['inject', 'hold', 'stopCopy'] as const) {
		const error = failure(t, () => tracer[ask](target.pid));
		t.is(error.code, 'E2BIG');
		t.regex(error.message, /more than 16384 threads/);
	}
	t.true(isFree(target.pid));
	return target.runs(TURNS);
});

test('the set of thread ids', (t) => {
	t.is(spawnSync(program('tidset'), { encoding: 'utf8' }).stdout.trim(), 'ok');
});
