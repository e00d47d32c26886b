/**
 * A seccomp filter that kills its process on clone() does not see the core's calls, and goes on seeing the target's.
 */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { Tracer } from '../../native/index.ts';
import { countsOf } from './calls.ts';
import { duplicated, failure, program, sleep, start, tracerFor } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const [TURNS, LET_THROUGH, CALL_CLONE] = [1, 2, 3];

test('a filter that kills on clone, wait4 and close_range', async (t) => {
	const target = await start(t, 'filtered');
	await target.runs(TURNS);
	for (let i = 0; i < 300; i++) {
		tracer.inject(target.pid);
		tracer.end();
		if (i % 8 === 0) await sleep(0);
	}
	tracer.hold(target.pid);
	tracer.letGo();
	tracer.stopCopy(target.pid);
	tracer.end();
	await target.runs(TURNS);
	t.is(target.number(LET_THROUGH), 0, 'the filter was off while the target ran');
	target.word[CALL_CLONE] = 1n;
	await target.ended();
	t.is(target.process.signalCode, 'SIGSYS', 'the filter still kills');
});

test('strict mode', async (t) => {
	const target = await start(t, 'filtered', 'strict');
	await target.runs(TURNS);
	for (let i = 0; i < 20; i++) {
		tracer.inject(target.pid);
		tracer.end();
	}
	await target.runs(TURNS);
	target.word[CALL_CLONE] = 1n;
	await target.ended();
	t.is(target.process.signalCode, 'SIGKILL');
});

test('filters are judged as the kernel judges them', (t) => {
	const [judged, different, stricter] = execFileSync(program('filter-results'), { encoding: 'utf8' }).trim()
		.split(' ').map(Number);
	t.is(judged, 400);
	t.is(different, 0, 'one filter');
	t.is(stricter, 0, 'two filters');
});

const EXPIRED: Record<string, number> = { nanosleep: 0, poll: 0, futex: -110, epoll_pwait2: 0 };

for (const [kind, expired] of Object.entries(EXPIRED))
	test(`${kind}: a filter forbids the call by which it would go on, and it goes on in its time`, async (t) => {
		for (let tries = 1; ; tries++) {
			const target = await start(t, 'restricted', kind), began = Date.now();
			for (const part of [0.25, 0.5, 0.75]) {
				await sleep(Math.max(0, began + part * 800 - Date.now()));
				// false where it has ended: this machine is busy, and it is tried again
				duplicated(tracer, target.pid);
			}
			const [result, ns] = (await target.line()).split(' ').map(Number);
			t.is(result, expired);
			const ratio = (ns ?? 0) / 800e6;
			t.log(`${kind} took ${ratio.toFixed(2)} of its time`);
			if (ratio > 0.98 && ratio < 1.35) break;
			if (tries === 3) t.fail(`it took ${ratio.toFixed(2)} of its time`);
			if (tries === 3) break;
		}
	});

const TAKES = 60;
const [CALLS, ANSWERS, DELAY, REFUSED, WRONG] = [1, 2, 3, 4, 5];

test('a supervisor acts once for each call that it answers', async (t) => {
	const target = await start(t, 'restricted', 'notified'), own = tracerFor(t, { priority: 1 });
	if (own.notGot.length > 0) t.log(`not here: ${own.notGot.join(', ')}`);
	target.word[DELAY] = 2n;
	await target.atLeast(CALLS, 3);
	let restarted = 0;
	for (let i = 0; i < TAKES; i++) {
		own.inject(target.pid);
		restarted += countsOf(own).restarted;
		own.end();
	}
	await target.atLeast(CALLS, target.number(CALLS) + 3);
	t.log(
		`${target.number(ANSWERS)} answers, ${target.number(REFUSED)} to nobody, ${restarted} calls counted in ` +
			`${TAKES} takes`
	);
	// Where the tracer is kept from its CPU between the look and the interruption, another call may begin.
	if (own.notGot.length === 0) t.true(target.number(REFUSED) <= TAKES / 6, 'answers that came to nothing');
	t.is(target.number(WRONG), 0);
});

test('a supervisor that does not answer: refused, and nothing is touched', async (t) => {
	const target = await start(t, 'restricted', 'notified'), own = tracerFor(t, { timeoutMs: 200 });
	await target.atLeast(CALLS, 3);
	target.word[DELAY] = -1n;
	await sleep(50);
	const error = failure(t, () => own.inject(target.pid));
	t.regex(error.message, /supervisor/);
	t.regex(failure(t, () => own.hold(target.pid)).message, /supervisor of its seccomp filter/);
	const calls = target.number(CALLS);
	target.word[DELAY] = 0n;
	await target.atLeast(CALLS, calls + 3);
	t.is(target.number(REFUSED), 0);
	t.is(own.inject(target.pid).threads, 1);
	t.is(countsOf(own).cut, 0);
	own.end();
});
