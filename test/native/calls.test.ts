/** What a stop did to the target's calls, by call, as struct ps_calls has it. */
import test from 'ava';
import { callsIn } from '../../native/index.ts';
import { start, tracerFor } from './help.ts';

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
	const sum = (of: (count: typeof calls[number]) => number): number => calls.reduce((total, each) => total + of(each), 0);
	t.true(restartedCalls >= 1);
	t.deepEqual([sum(({ restarted }) => restarted), sum(({ lengthened }) => lengthened), sum(({ cut }) => cut)], [restartedCalls, lengthenedTimeouts, cutCalls]);
	t.true(calls.some(({ call, restarted }) => /^(?:epoll_wait|epoll_pwait|syscall (?:232|281))$/.test(call) && restarted === 1), JSON.stringify(calls));
});
