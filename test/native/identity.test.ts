/**
 * A blocked call that is put back is that call and no later one: its timeout
 * does not end the next, and no register of it is changed. And what it is
 * blocked in is not asked, where asking has an effect.
 */
import test from 'ava';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countsOf } from './calls.ts';
import { duplicated, sleep, start, tracerFor, until } from './help.ts';

const [CALLS, CHANGED, WRONG, LONGEST_US] = [1, 2, 3, 4];

test('a call that was put back and then woken does not end the next one', async (t) => {
	const tracer = tracerFor(t);
	for (let tries = 1; ; tries++) {
		const target = await start(t, 'identity', 'woken'), began = Date.now();
		for (const at of [60, 120]) {
			await sleep(Math.max(0, began + at - Date.now()));
			t.true(duplicated(tracer, target.pid));
		}
		const [first, changed, second, changedThen, ns] = (await target.line()).split(' ').map(Number);
		t.deepEqual([first, changed, second, changedThen], [1, 0, 0, 0]);
		t.true((ns ?? 0) > 890e6, `the next call was ended by the timeout of the former, after ${String(ns)} ns`);
		t.log(`the next call took ${((ns ?? 0) / 900e6).toFixed(2)} of its time`);
		if ((ns ?? 0) < 1200e6 || tries === 3) break;
	}
});

test('takes amid calls: no register changes, no call fails', async (t) => {
	const target = await start(t, 'identity', 'loop'), tracer = tracerFor(t);
	let restarted = 0, lengthened = 0, pauseNs = 0;
	for (let i = 0; i < 200; i++) {
		pauseNs = Math.max(pauseNs, tracer.inject(target.pid).pauseNs);
		restarted += countsOf(tracer).restarted;
		lengthened += countsOf(tracer).lengthened;
		pauseNs = Math.max(pauseNs, tracer.end().pauseNs);
		await sleep(i % 5);
	}
	t.true(restarted > 50, `only ${restarted} takes met a blocked call`);
	t.is(target.number(CHANGED), 0, 'argument registers');
	t.is(target.number(WRONG), 0, 'results');
	t.log(
		`${target.number(CALLS)} calls of 20 ms, the longest took ${target.number(LONGEST_US)} us, the longest ` +
			`pause ${pauseNs / 1000} us; ${restarted} put back, ${lengthened} of them perhaps longer`
	);
});

const [FLUSHES, INTERRUPTS, RESULT, ANSWER, RETURNED] = [2, 3, 4, 5, 6];

for (const call of ['read', 'pread'])
	test(`${call}() from a file server that answers an interruption goes on, and its file is not closed for it`,
		async (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-fuse-'));
	const target = await start(t, 'fuse', folder, call), tracer = tracerFor(t);
	try {
		if (target.process.exitCode !== null) {
			t.log(await target.line());
			t.pass();
			return;
		}
		for (let i = 1; i <= 3; i++) {
			t.is(tracer.hold(target.pid), 2);
			tracer.letGo();
			await target.atLeast(INTERRUPTS, i);
			await target.atLeast(1, i + 1);
		}
		t.is(target.number(RETURNED), 0, `${call}() returned ${target.number(RESULT)}`);
		t.is(target.number(FLUSHES), 0, 'the target has closed nothing');
		target.word[ANSWER] = 1n;
		await target.atLeast(RETURNED, 1);
		t.is(target.number(RESULT), 10);
	} finally {
		target.process.stdin?.destroy();
		await until('the file system is gone', () => {
			try {
				rmdirSync(folder);
				return true;
			} catch {
				return false;
			}
		});
	}
});
