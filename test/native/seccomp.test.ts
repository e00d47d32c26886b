/** A seccomp filter that kills its process on clone() does not see the core's calls, and goes on seeing the target's. */
import test from 'ava';
import { Tracer } from '../../native/index.ts';
import { sleep, start } from './help.ts';

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
