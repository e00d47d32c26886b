/** What is tried where a mechanism gives up, and what is told of that. */
import test, { type ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { allCounts, Attempts } from '../../acquire/attempts.ts';
import { asAsked } from '../../acquire/choice.ts';
import { Survey } from '../../acquire/survey.ts';
import { startTicksOf } from '../../common/proc/process.ts';
import type { Mechanism, Still } from '../../mechanisms/shared/types.ts';
import { NOTHING_DONE, ProcsnapError, type CallCounts } from '../../native/index.ts';
import { fakeMechanism, fakeTracer } from '../bench/runner/fakes.ts';

function aSurvey(t: ExecutionContext): Survey {
	const target = spawn('sleep', ['1000'], { stdio: 'ignore' }), pid = target.pid!;
	const survey = new Survey({ pid, startTicks: startTicksOf(pid) });
	t.teardown(() => {
		survey.close();
		target.kill('SIGKILL');
	});
	return survey;
}

const counts = (restarted: number): CallCounts => ({
	restartedCalls: restarted, lengthenedTimeouts: 0, cutCalls: 1,
	calls: [{ call: 'poll', restarted, lengthened: 0, cut: 1 }],
});

const taking = (name: string, pauseNs: number, calls: CallCounts | null = counts(2)): Mechanism => fakeMechanism({
	name, notForEvidence: null,
	open: (): Still => ({
		figures: { takeNs: 1, pauseNs, calls }, pid: 0, read: () => new Uint8Array(), end: () => NOTHING_DONE,
	}),
});

const refusing = (
	name: string, code: string, pauseNs = 5, changes: Partial<Mechanism> = {}
): Mechanism => fakeMechanism({
	name, notForEvidence: null,
	open: () => { throw new ProcsnapError(code, `${name} says ${code}`, { pauseNs, calls: counts(3) }); },
	...changes,
});

test('where one gives up, the next one is tried; all is in the ledger', async (t) => {
	const attempts = new Attempts(), told: string[] = [];
	const codes = ['E2BIG', 'EAGAIN', 'ENOTSUP', 'EBUSY', 'EMFILE'];
	const refused = codes.map((code, i) => refusing(`r${i}`, code, 10 * i));
	const { mechanism, before } = await attempts.copy(
		fakeTracer(), aSurvey(t), asAsked([refused[0]!, ...refused.slice(1), taking('last', 7)]),
		{ gaveUp: (of) => told.push(`${of.mechanism.name} ${of.next.name}`) }
	);
	t.is(mechanism.name, 'last');
	t.deepEqual(told, ['r0 r1', 'r1 r2', 'r2 r3', 'r3 r4', 'r4 last']);
	t.deepEqual(attempts.made.map(({ mechanism: name, outcome, reason, pauseNs, calls }) =>
		({ mechanism: name, outcome, reason, pauseNs, calls })), [
		...codes.map((code, i) => ({
			mechanism: `r${i}`, outcome: 'refused' as const, reason: `r${i} says ${code}`, pauseNs: 10 * i,
			calls: counts(3).calls,
		})),
		{ mechanism: 'last', outcome: 'taken', reason: null, pauseNs: 7, calls: counts(2).calls },
	]);
	t.true(attempts.made.every(({ startedNs, endedNs }, i) =>
		startedNs <= endedNs && startedNs >= (attempts.made[i - 1]?.endedNs ?? 0)));
	t.is(attempts.made.at(-1)?.startedNs, before.monotonicNs, 'of the attempt that it was taken by');
	t.is(attempts.longestPauseNs, 40);
	t.like(allCounts(counts(2), attempts.inVain), { restartedCalls: 17, cutCalls: 6 });
	t.like(allCounts(null, attempts.inVain), { restartedCalls: 15, cutCalls: 5 });
	t.is(allCounts(null, []), null, 'nobody counts');
});

test('what this machine has not is no attempt at the target', async (t) => {
	let opened = false;
	const absent = refusing('absent', 'E2BIG', 5, {
		unavailable: () => 'no kernel for it', open: () => { opened = true; throw new Error('opened'); },
	});
	const attempts = new Attempts(), choice = asAsked([absent, taking('last', 7)]);
	t.is((await attempts.copy(fakeTracer(), aSurvey(t), choice, {})).mechanism.name, 'last');
	t.false(opened);
	t.like(
		attempts.made[0],
		{ mechanism: 'absent', outcome: 'refused', reason: 'no kernel for it', pauseNs: 0, calls: [] }
	);
});

test('where the target may not be whole, or another one would do no better, none is tried', async (t) => {
	for (const code of ['ESRCH', 'ETIMEDOUT', 'ENOSPC', 'EIO', 'EPERM', 'EPIPE']) {
		const error = await t.throwsAsync(
			new Attempts().copy(fakeTracer(), aSurvey(t), asAsked([refusing('one', code), taking('two', 1)]), {}),
			{ instanceOf: ProcsnapError, message: `one says ${code}` }
		);
		t.is(error.code, code);
	}
	const broken = refusing('one', '', 0, { open: () => { throw new Error('a mistake'); } });
	await t.throwsAsync(
		new Attempts().copy(fakeTracer(), aSurvey(t), asAsked([broken, taking('two', 1)]), {}), { message: 'a mistake' }
	);
	const signal = AbortSignal.abort();
	await t.throwsAsync(
		new Attempts().copy(
			fakeTracer(), aSurvey(t), asAsked([refusing('one', 'EBUSY'), taking('two', 1)]), { signal }
		),
		{ message: 'one says EBUSY' }, 'interrupted'
	);
});

test('if all give up, the error says what each of them has said', async (t) => {
	const attempts = new Attempts();
	await t.throwsAsync(
		attempts.copy(fakeTracer(), aSurvey(t), asAsked([refusing('one', 'E2BIG'), refusing('two', 'ENOMEM')]), {}),
		{ instanceOf: ProcsnapError, code: 'ENOMEM', message: 'by one: one says E2BIG; by two: two says ENOMEM' }
	);
	t.is(attempts.inVain.length, 1);
});
