/** One contract for all ways of reading another process: the same bytes, the same ends, clear errors. */
import test from 'ava';
import { Tracer, WAYS, type Way } from '../../native/index.ts';
import { failure, start, until, type Target } from './help.ts';

let tracer: Tracer;
test.beforeEach(() => { tracer = Tracer.start(); });
test.afterEach.always(() => tracer.close());

const [ADDRESS, LENGTH, AGAIN] = [1, 2, 3];
/** memcpy is the floor under the others, and reads nobody's memory. */
const ways = WAYS.filter((way) => way !== 'memcpy');

const pattern = (offset: number, length: number): Buffer =>
	Buffer.from(Uint8Array.from({ length }, (_, i) => (offset + i) * 7 + ((offset + i) >> 8) * 13));
const address = (target: Target, offset: number): bigint => (target.word[ADDRESS] ?? 0n) + BigInt(offset);

function read(way: Way, pid: number, from: bigint, length: number): Buffer {
	tracer.data.fill(0xee, 0, length);
	return Buffer.from(tracer.data.subarray(0, tracer.read(way, pid, from, length).bytes));
}

for (const way of ways) {
	test(`${way}: any length at any offset`, async (t) => {
		const target = await start(t, 'pattern'), { pid } = tracer.inject(target.pid);
		for (const [offset, length] of [[0, 1], [0, 8], [3, 7], [5, 8], [4090, 12], [0, 4096], [1, 65_539], [0, 262_144], [7, 290_001]] as const)
			t.true(read(way, pid, address(target, offset), length).equals(pattern(offset, length)), `${length} bytes at ${offset}`);
		tracer.end();
	});

	test(`${way}: a read is short where the region ends`, async (t) => {
		const target = await start(t, 'pattern'), { pid } = tracer.inject(target.pid), end = target.number(LENGTH);
		for (const left of [1, 4, 8, 100, 4096, 5001]) {
			const got = read(way, pid, address(target, end - left), 8192);
			t.is(got.length, left);
			t.true(got.equals(pattern(end - left, left)), `the last ${left} bytes`);
			t.is(read(way, pid, address(target, end - left), left).length, left, 'and none is missing where no more is asked for');
		}
		tracer.end();
	});

	test(`${way}: what cannot be read is an error, not an empty result`, async (t) => {
		const target = await start(t, 'pattern'), { pid } = tracer.inject(target.pid);
		for (const nowhere of [address(target, target.number(LENGTH)), 0n, 8n, 0xffff_8000_0000_0000n]) {
			const error = failure(t, () => read(way, pid, nowhere, 64));
			t.true(['EIO', 'EFAULT'].includes(error.code), error.code);
			t.true(error.message.includes(`0x${nowhere.toString(16)} of process ${pid} cannot be read`), error.message);
		}
		t.is(failure(t, () => read(way, pid, address(target, 0), 0)).code, 'EINVAL');
		t.is(failure(t, () => tracer.read(way, pid, address(target, 0), tracer.data.length + 1)).code, 'EINVAL');
		tracer.end();
		t.true(['ESRCH', 'ENOENT', 'EIO'].includes(failure(t, () => read(way, pid, address(target, 0), 64)).code), 'an ended duplicate');
	});

	test(`${way}: a held target`, async (t) => {
		const target = await start(t, 'pattern');
		tracer.hold(target.pid);
		t.true(read(way, target.pid, address(target, 0), 100_000).equals(pattern(0, 100_000)));
		tracer.letGo();
	});
}

test('peek of a process that is not held: the error says what is wanted', async (t) => {
	const target = await start(t, 'pattern');
	const error = failure(t, () => read('peek', target.pid, address(target, 0), 64));
	t.is(error.code, 'ESRCH');
	t.regex(error.message, /neither a duplicate nor held/);
});

for (const way of ways.filter((name) => name !== 'peek'))
	test(`${way}: a running target, and again after its exec()`, async (t) => {
		const target = await start(t, 'pattern');
		t.true(read(way, target.pid, address(target, 0), 1000).equals(pattern(0, 1000)));
		target.word[ADDRESS] = 0n;
		target.word[AGAIN] = 1n;
		await until('it runs again', () => target.number(ADDRESS) !== 0 && target.number(AGAIN) === 0);
		// The way that keeps a file open says that it was the old program's, once.
		if (way === 'proc-mem') t.is(failure(t, () => read(way, target.pid, address(target, 0), 1000)).code, 'ESRCH');
		t.true(read(way, target.pid, address(target, 0), 1000).equals(pattern(0, 1000)));
	});

test('a copy by stopCopy has the same bytes', async (t) => {
	const target = await start(t, 'pattern'), end = target.number(LENGTH);
	tracer.stopCopy(target.pid);
	t.is(tracer.readCopy(address(target, 1), 290_000), 290_000);
	t.true(Buffer.from(tracer.data.subarray(0, 290_000)).equals(pattern(1, 290_000)));
	t.is(tracer.readCopy(address(target, end - 100), 4096), 100, 'short at the end');
	t.is(failure(t, () => tracer.readCopy(8n, 64)).code, 'EFAULT');
	tracer.end();
	t.is(failure(t, () => tracer.end()).code, 'ENOENT');
});

test('one thing at a time', async (t) => {
	const target = await start(t, 'pattern');
	tracer.inject(target.pid);
	t.is(failure(t, () => tracer.inject(target.pid)).code, 'EBUSY');
	t.is(failure(t, () => tracer.stopCopy(target.pid)).code, 'EBUSY');
	tracer.hold(target.pid);
	t.is(failure(t, () => tracer.end()).code, 'EBUSY', 'its target has to run to end a duplicate');
	tracer.letGo();
	tracer.end();
	t.is(failure(t, () => tracer.letGo()).code, 'ENOENT');
});

test('system calls of one read: the paper\'s table 7, counted', (t) => {
	const [READ, CLOSE, LSEEK, PREAD, PTRACE, OPENAT, VM_READV] = [0, 3, 8, 17, 101, 257, 310];
	for (const kib of [1, 64, 256]) {
		const counts = (way: Way): Record<string, number> => Object.fromEntries(tracer.countCalls(way, kib * 1024));
		t.deepEqual(counts('proc-mem-paper'), { [READ]: 1, [CLOSE]: 1, [LSEEK]: 1, [OPENAT]: 1 });
		t.deepEqual(counts('peek'), { [PTRACE]: kib * 128 });
		t.deepEqual(counts('proc-mem'), { [PREAD]: 1 });
		t.deepEqual(counts('vm-readv'), { [VM_READV]: 1 });
		t.deepEqual(counts('memcpy'), {});
	}
	const small = Tracer.start({ dataBytes: 1024 });
	t.is(failure(t, () => small.countCalls('proc-mem', 1024)).code, 'EINVAL', 'the counts do not fit');
	small.close();
});
