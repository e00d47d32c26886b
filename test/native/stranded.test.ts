/**
 * A target whose first thread does not come back from the clone(): its own userfaultfd monitor, in another process, is
 * told of it and does not answer. Nobody gives up a thread that has registers which are not its own.
 */
import test, { type ExecutionContext } from 'ava';
import { setTimeout } from 'node:timers/promises';
import { ProcsnapError, type Tracer } from '../../native/index.ts';
import { isFree } from '../processes.ts';
import { children, failure, start, state, status, tracerFor, until, type Target } from './help.ts';

const [TURNS, ANSWER, PID, BAD, SECOND, ANSWERED, OTHER_PID, ENDED] = [1, 2, 3, 4, 5, 6, 7, 8];

/** null, and it is said why, where there is no userfaultfd. */
async function startMonitored(t: ExecutionContext): Promise<Target | null> {
	const target = await start(t, 'monitored');
	if (target.process.exitCode === null) return target;
	t.log(`not here: ${await target.line()}`);
	t.pass();
	return null;
}

/** Its first thread does not come back: the take is refused, and all else goes on. */
async function strand(t: ExecutionContext, tracer: Tracer, target: Target): Promise<void> {
	const error = failure(t, () => tracer.inject(target.number(PID)));
	t.is(error.code, 'EBUSY');
	t.regex(error.message, /first thread.* does not come back.*userfaultfd/);
	const turns = target.number(TURNS);
	await target.runs(SECOND);
	t.is(target.number(TURNS), turns, 'its first thread waits for the monitor');
	t.is(target.number(ANSWERED), 0);
}

const mask = (target: Target): string => status(target.number(PID), 'SigBlk');

async function assertPutBack(t: ExecutionContext, target: Target, maskBefore: string): Promise<void> {
	await until('nobody traces the target', () => isFree(target.number(PID)));
	await target.runs(TURNS);
	await target.runs(SECOND);
	t.is(target.number(BAD), 0, 'a register has changed');
	t.is(target.number(OTHER_PID), 0, 'code of the target ran in another process');
	t.is(mask(target), maskBefore, 'the signal mask');
	await until('no child is left', () => children(target.number(PID)).length === 0);
}

/** Its monitor answers, but on a busy machine not at once. */
async function takeInTheEnd(t: ExecutionContext, tracer: Tracer, target: Target): Promise<void> {
	for (let tries = 0; ; tries++)
		try {
			const { pid } = tracer.inject(target.number(PID));
			t.is(state(pid), 't');
			tracer.end();
			return;
		} catch (error) {
			if (!(error instanceof ProcsnapError) || error.code !== 'EBUSY' || tries > 100) throw error;
			await setTimeout(50);
		}
}

test('a clone() that waits for the target\'s own monitor: the others go on, and the first thread is put back',
	async (t) => {
	const target = await startMonitored(t), tracer = tracerFor(t), other = await start(t, 'states', 'idle');
	if (target === null) return;
	const before = mask(target);
	for (let round = 1; round <= 3; round++) {
		await strand(t, tracer, target);
		const error = failure(t, () => tracer.inject(other.pid));
		t.is(error.code, 'EBUSY');
		t.true(error.message.includes(`a thread of process ${target.number(PID)} `), error.message);
		t.is(failure(t, () => tracer.hold(other.pid)).code, 'EBUSY');
		await setTimeout(300);
		t.not(status(target.number(PID), 'TracerPid'), '0', 'it is waited for, however long');
		target.word[ANSWER] = 1n;
		await assertPutBack(t, target, before);
		await takeInTheEnd(t, tracer, target);
		await assertPutBack(t, target, before);
		target.word[ANSWER] = 0n;
		target.word[ANSWERED] = 0n;
	}
});

test('the requester closes the tracer meanwhile: that stays until the thread is put back', async (t) => {
	const target = await startMonitored(t), tracer = tracerFor(t);
	if (target === null) return;
	const before = mask(target);
	await strand(t, tracer, target);
	tracer.close();
	await setTimeout(300);
	t.true(['R', 'S', 'D'].includes(state(tracer.pid)), 'the tracer is there');
	t.not(status(target.number(PID), 'TracerPid'), '0', 'it still traces the thread');
	target.word[ANSWER] = 1n;
	await assertPutBack(t, target, before);
	await until('the tracer has gone', () => state(tracer.pid) === '' || state(tracer.pid) === 'Z');
	await takeInTheEnd(t, tracerFor(t), target);
});

test('the target is killed meanwhile: it is gone at once, and the tracer serves the next', async (t) => {
	const target = await startMonitored(t), tracer = tracerFor(t), other = await start(t, 'states', 'idle');
	if (target === null) return;
	await strand(t, tracer, target);
	process.kill(target.number(PID), 'SIGKILL');
	await target.atLeast(ENDED, 1);
	for (let tries = 0; ; tries++)
		try {
			tracer.inject(other.pid);
			break;
		} catch (error) {
			if (tries > 100) throw error;
			await setTimeout(20);
		}
	tracer.end();
	await other.runs(1);
	t.deepEqual(children(target.pid), []);
});
