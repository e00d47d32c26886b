/** A target inside vfork() cannot stop before its child ends: the wait is bounded, and nothing comes of it. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { readFileSync } from 'node:fs';
import type { Tracer } from '../../native/index.ts';
import { failure, start, status, tracerFor, until } from './help.ts';

const [TURNS, END_CHILD, INTERRUPTED, EXIT_CODE] = [1, 2, 3, 4];

const asks: Array<[string, (tracer: Tracer, pid: number) => unknown]> = [
	['inject', (tracer, pid) => tracer.inject(pid)],
	['hold', (tracer, pid) => tracer.hold(pid)],
	['stopCopy', (tracer, pid) => tracer.stopCopy(pid)],
];

const inCall = (pid: number): string => readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ')[0] ?? '';

/** The tracer gives up the thread that traced: it is let go of before the error is told, or at once after it. */
async function untraced(t: ExecutionContext, pid: number): Promise<void> {
	await until('nobody traces the target', () => status(pid, 'TracerPid') === '0');
	t.pass();
}

for (const [name, ask] of asks)
	test(`${name}: ETIMEDOUT, the target goes on, and so does the tracer`, async (t) => {
		const tracer = tracerFor(t, { timeoutMs: 100 }), target = await start(t, 'vforking'), other = await start(
			t, 'states', 'idle'
		);
		await until('it is in vfork()', () => inCall(target.pid) === '58');
		const error = failure(t, () => ask(tracer, target.pid));
		t.is(error.code, 'ETIMEDOUT');
		t.regex(error.message, /vfork/);
		await untraced(t, target.pid);
		tracer.inject(other.pid);
		t.is(tracer.end().pauseNs > 0, true, 'the tracer serves the next request');
		target.word[END_CHILD] = 1n;
		await target.runs(TURNS);
		t.is(target.number(EXIT_CODE), 7, 'its child was waited for');
		tracer.inject(target.pid);
		tracer.end();
		await target.runs(TURNS);
	});

test('its other threads do not see the attempt', async (t) => {
	const tracer = tracerFor(t, { timeoutMs: 100 }), target = await start(t, 'vforking', 'threads');
	await until('it is in vfork()', () => inCall(target.pid) === '58');
	for (let i = 0; i < 3; i++) {
		t.is(failure(t, () => tracer.inject(target.pid)).code, 'ETIMEDOUT');
		await untraced(t, target.pid);
	}
	t.is(target.number(INTERRUPTED), 0, 'epoll_wait() of another thread returned EINTR');
	target.word[END_CHILD] = 1n;
	await target.runs(TURNS);
});
