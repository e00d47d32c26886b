/** What a stop did to the target's calls, by call, as struct ps_calls has it. */
import test from 'ava';
import { callsIn } from '../../native/index.ts';
import { children, inTheEnd, sleep, start, state, tracerFor, until, type Target } from './help.ts';

const struct = (...numbers: number[]): Uint8Array => {
	const bytes = Buffer.alloc(16 + 64 * 16);
	numbers.forEach((number, i) => bytes.writeInt32LE(number, 4 * i));
	return bytes;
};

test('sums and kinds are read as C has them', (t) => {
	const { cutCalls, calls } = callsIn(struct(5, 1, 3, 2, 0, 1, 0, 3, 9999, 4, 1, 0));
	t.is(cutCalls, 3);
	t.deepEqual(calls.map(({ restarted, lengthened, cut }) => [restarted, lengthened, cut]), [[1, 0, 3], [4, 1, 0]]);
	t.regex(calls[0]?.call ?? '', /^(?:read|syscall 0)$/);
	t.is(calls[1]?.call, 'syscall 9999', 'one without a name');
});

test('no more kinds than there is room for, whatever the number says', (t) => {
	t.is(callsIn(struct(0, 0, 0, 1_000_000)).calls.length, 64);
	t.is(callsIn(struct(0, 0, 0, -1)).calls.length, 0);
	t.is(callsIn(struct(0, 0, 0, 64).subarray(0, 40)).calls.length, 1);
	t.deepEqual(callsIn(new Uint8Array(8)), { cutCalls: 0, calls: [] });
});

test('a blocked call that is put back is told by its number or name, and the sum is that of the kinds', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'vforking', 'threads');
	target.word[2] = 1n;	// its child ends; the second thread waits in epoll_wait()
	await target.runs(1);
	tracer.data.fill(0xff, 0, 4096);	// what an earlier request left there
	const { restartedCalls, lengthenedTimeouts, cutCalls, calls } = tracer.inject(target.pid);
	tracer.end();
	const sum = (of: (count: typeof calls[number]) => number): number =>
		calls.reduce((total, each) => total + of(each), 0);
	t.true(restartedCalls >= 1);
	t.deepEqual(
		[sum(({ restarted }) => restarted), sum(({ lengthened }) => lengthened), sum(({ cut }) => cut)],
		[restartedCalls, lengthenedTimeouts, cutCalls]
	);
	t.true(
		calls.some(({ call, restarted }) =>
			/^(?:epoll_wait|epoll_pwait|syscall (?:232|281))$/.test(call) && restarted === 1),
		JSON.stringify(calls)
	);
});

/** Blocked with a part of what it waits for, whose rest cannot be asked for: the next stop cuts it. */
async function amid(target: Target): Promise<void> {
	target.tell('p');
	await sleep(50);
	await target.asleep();
}

const zombies = (target: Target): number => children(target.pid).filter((pid) => state(pid) === 'Z').length;

test('what the stop at the end does to a blocked call is told by the end', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'partial', 'recvmsg-waitall');
	await target.asleep();
	t.is(tracer.inject(target.pid).cutCalls, 0);
	await amid(target);
	const { cutCalls, calls } = tracer.end();
	t.is(cutCalls, 1);
	t.deepEqual(calls.map(({ cut }) => cut), [1]);
	t.is(tracer.untold().cutCalls, 0, 'nothing is told twice');
});

test('what a hold does to a blocked call is told', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'partial', 'recvmsg-waitall');
	await target.asleep();
	await amid(target);
	tracer.hold(target.pid);
	t.is(tracer.lastCalls.cutCalls, 1);
	tracer.letGo();
});

test('what a burial does that the tracer tries again by itself is told afterwards', async (t) => {
	const tracer = tracerFor(t), rival = tracerFor(t), target = await start(t, 'partial', 'recvmsg-waitall');
	await target.asleep();
	await inTheEnd(() => tracer.inject(target.pid));
	await inTheEnd(() => rival.hold(target.pid));
	t.is(tracer.end().cutCalls, 0);
	t.is(zombies(target), 1, 'not buried yet');
	target.tell('p');
	await sleep(1000);	// so long that the next try is not at once
	rival.letGo();
	let cut = 0, stoppedNs = 0;
	await until('the call is cut, and told', () => {
		const { cutCalls, pauseNs } = tracer.untold();
		[cut, stoppedNs] = [cut + cutCalls, stoppedNs + pauseNs];
		return cut > 0;
	});
	t.is(cut, 1);
	t.true(stoppedNs > 0, 'the stop took its time');
	await until('the zombie has gone', () => zombies(target) === 0);
});

test('what was done to one target is not told by the end of another', async (t) => {
	const tracer = tracerFor(t), rival = tracerFor(t), target = await start(t, 'partial', 'recvmsg-waitall'), other =
		await start(t, 'states', 'idle');
	await target.asleep();
	await inTheEnd(() => tracer.inject(target.pid));
	await inTheEnd(() => rival.hold(target.pid));
	tracer.end();
	target.tell('p');
	await sleep(500);
	rival.letGo();
	await until('the zombie has gone', () => zombies(target) === 0);
	await inTheEnd(() => tracer.inject(other.pid));
	const { cutCalls, unaskedPauseNs } = tracer.end();
	t.deepEqual([cutCalls, unaskedPauseNs], [0, 0], 'of the one that was not stopped for it');
	const untold = tracer.untold();
	t.is(untold.cutCalls, 1);
	t.true(untold.pauseNs > 0);
	t.is(tracer.untold().pauseNs, 0, 'nothing is told twice');
});
