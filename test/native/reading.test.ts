/** The contract of every way of reading: the same bytes, the same short reads, the same clear errors. */
import test, { type ExecutionContext } from 'ava';
import { allowedCpus } from '../../bench/environments/isolation.ts';
import { WAYS, type Tracer, type Way } from '../../native/index.ts';
import { failure, start, tracerFor, until, type Target } from './help.ts';

const [ADDRESS, LENGTH, HASH] = [1, 2, 3];
/** Of targets/pattern.c. */
const AGAIN = 3;
/** memcpy reads nobody. */
const READING = WAYS.filter((way) => way !== 'memcpy');
const MIB = 1 << 20;
const SIZES = [1, 7, 8, 4096, 5000, MIB];
/** Within a page, over its end, and not a multiple of 8. */
const OFFSETS = [0, 3, 4093, 5 * 4096 + 8];

/** As targets/region.c has it. */
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => Math.imul(i, 2654435761) >>> 13);

interface Region { target: Target; tracer: Tracer; address: bigint; bytes: Uint8Array; end: bigint }

async function startRegion(t: ExecutionContext): Promise<Region> {
	const target = await start(t, 'region'), bytes = pattern(target.number(LENGTH));
	let hash = 2166136261;
	for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619);
	t.is(hash >>> 0, target.number(HASH), 'the target knows of other bytes');
	const address = target.word[ADDRESS]!;
	return { target, tracer: tracerFor(t), address, bytes, end: address + BigInt(bytes.length) };
}

/** What a running target, but for peek, a held one and a duplicate give. */
function each(
	t: ExecutionContext, { target, tracer }: Region, check: (way: Way, pid: number, whose: string) => void
): void {
	for (const way of READING) if (way !== 'peek') check(way, target.pid, `${way}, running`);
	tracer.hold(target.pid);
	for (const way of READING) check(way, target.pid, `${way}, held`);
	tracer.letGo();
	const { pid } = tracer.inject(target.pid);
	for (const way of READING) check(way, pid, `${way}, duplicate`);
	tracer.end();
	t.pass();
}

test('the same bytes in every way', async (t) => {
	const region = await startRegion(t), { tracer, address, bytes } = region;
	each(t, region, (way, pid, whose) => {
		for (const size of SIZES)
			for (const offset of OFFSETS) {
				tracer.data.fill(0xee, 0, size + 16);
				t.is(
					tracer.read(way, pid, address + BigInt(offset), size).bytes, size,
					`${whose}: ${size} bytes at ${offset}`
				);
				t.is(
					Buffer.compare(tracer.data.subarray(0, size), bytes.subarray(offset, offset + size)), 0,
					`${whose}: ${size} bytes at ${offset} differ`
				);
				t.true(
					tracer.data.subarray(size, size + 16).every((byte) => byte === 0xee),
					`${whose}: more than ${size} bytes were written`
				);
			}
	});
});

test('a read is short where the region ends, in every way', async (t) => {
	const region = await startRegion(t), { tracer, bytes, end } = region;
	each(t, region, (way, pid, whose) => {
		for (const left of [1, 4, 7, 8, 100, 4096, 4099])
			for (const size of [left, left + 1, 8192]) {
				t.is(
					tracer.read(way, pid, end - BigInt(left), size).bytes, left,
					`${whose}: ${size} bytes, ${left} before the end`
				);
				t.is(
					Buffer.compare(tracer.data.subarray(0, left), bytes.subarray(bytes.length - left)), 0,
					`${whose}: ${left} bytes differ`
				);
			}
	});
});

test('unmapped memory: an error that names address and process', async (t) => {
	const region = await startRegion(t), { tracer, address, end } = region;
	each(t, region, (way, pid, whose) => {
		for (const at of [end, address - 8n, 0n, 0xffff_8000_0000_0000n]) {
			const { code, message } = failure(t, () => tracer.read(way, pid, at, 16));
			t.true(['EFAULT', 'EIO'].includes(code), `${whose}: ${code}`);
			t.true(
				message.includes(`0x${at.toString(16)}`) && message.includes(`process ${pid}`), `${whose}: ${message}`
			);
		}
		t.is(tracer.read(way, pid, address, 16).bytes, 16, `${whose}: and reads again`);
	});
});

test('peek reads nobody but duplicates and held processes, and says so', async (t) => {
	const { target, tracer, address } = await startRegion(t);
	const assertRefused = (): void => {
		const { message } = failure(t, () => tracer.read('peek', target.pid, address, 16));
		t.regex(message, /hold it first/);
		t.true(message.includes(`process ${target.pid}`), message);
	};
	assertRefused();
	tracer.hold(target.pid);
	t.is(tracer.read('peek', target.pid, address, 16).bytes, 16);
	tracer.letGo();
	assertRefused();
	const { pid } = tracer.inject(target.pid);
	t.is(tracer.read('peek', pid, address, 16).bytes, 16);
	assertRefused();
	tracer.end();
});

test('a process that has ended: an error that names it', async (t) => {
	for (const way of READING) {
		const { target, tracer, address } = await startRegion(t), { pid } = tracer.inject(target.pid);
		const assertRefused = (ended: number): void => {
			const { message } = failure(t, () => tracer.read(way, ended, address, 64));
			t.true(message.includes(`process ${ended}`), `${way}: ${message}`);
		};
		t.is(tracer.read(way, pid, address, 64).bytes, 64);
		tracer.end();
		assertRefused(pid);
		if (way !== 'peek') t.is(tracer.read(way, target.pid, address, 64).bytes, 64, 'and what that opened is kept');
		target.process.kill('SIGKILL');
		await target.ended();
		assertRefused(target.pid);
		assertRefused(target.pid);
	}
});

test('lengths that do not fit: an error that says which do', async (t) => {
	const { target, address } = await startRegion(t), tracer = tracerFor(t, { dataBytes: 8192 });
	for (const way of WAYS)
		for (const length of [8193, 2 ** 40, 0, -1]) {
			const { code, message } = failure(t, () => tracer.read(way, target.pid, address, length));
			t.is(code, 'EINVAL');
			t.regex(message, /1 to 8192 .*dataBytes/, `${way}, ${length}`);
		}
	for (const way of WAYS) if (way !== 'peek') t.is(tracer.read(way, target.pid, address, 8192).bytes, 8192);
	tracer.stopCopy(target.pid);
	t.regex(failure(t, () => tracer.readCopy(address, 8193)).message, /1 to 8192/);
	t.is(tracer.readCopy(address, 8192), 8192);
});

test('stop and copy has the same bytes', async (t) => {
	const { target, tracer, address, bytes, end } = await startRegion(t);
	failure(t, () => tracer.readCopy(address, 8));		// there is no copy yet
	const copy = tracer.stopCopy(target.pid);
	t.true(copy.bytes >= bytes.length && copy.regions > 3);
	for (const size of [...SIZES, bytes.length])
		for (const offset of OFFSETS) {
			const there = Math.min(size, bytes.length - offset);
			t.is(tracer.readCopy(address + BigInt(offset), size), there);
			t.is(
				Buffer.compare(tracer.data.subarray(0, there), bytes.subarray(offset, offset + there)), 0,
				`${size} bytes at ${offset} differ`
			);
		}
	t.is(tracer.readCopy(end - 7n, 4096), 7);
	for (const at of [end, address - 1n, 0n])
		t.regex(failure(t, () => tracer.readCopy(at, 8)).message, new RegExp(`0x${at.toString(16)}`));
	tracer.end();
	failure(t, () => tracer.readCopy(address, 8));
	t.is(failure(t, () => tracer.end()).code, 'ENOENT');
});

for (const way of READING.filter((name) => name !== 'peek'))
	test(`${way}: a running target, and again after its exec()`, async (t) => {
		const target = await start(t, 'pattern'), tracer = tracerFor(t);
		const same = (): boolean => {
			const { bytes } = tracer.read(way, target.pid, target.word[ADDRESS]!, 1000);
			return bytes === 1000 &&
				tracer.data.subarray(0, bytes).every((byte, i) => byte === ((i * 7 + (i >> 8) * 13) & 0xff));
		};
		t.true(same());
		target.word[ADDRESS] = 0n;
		target.word[AGAIN] = 1n;
		await until('it runs again', () => target.number(ADDRESS) !== 0 && target.number(AGAIN) === 0);
		// The way that keeps a file open says that it was the old program's, once.
		if (way === 'proc-mem') t.is(failure(t, same).code, 'ESRCH');
		t.true(same());
	});

test('one thing at a time', async (t) => {
	const target = await start(t, 'pattern'), tracer = tracerFor(t);
	tracer.inject(target.pid);
	t.is(failure(t, () => tracer.inject(target.pid)).code, 'EBUSY');
	t.is(failure(t, () => tracer.stopCopy(target.pid)).code, 'EBUSY');
	tracer.hold(target.pid);
	t.is(failure(t, () => tracer.end()).code, 'EBUSY', 'its target has to run to end a duplicate');
	tracer.letGo();
	tracer.end();
	t.is(failure(t, () => tracer.letGo()).code, 'ENOENT');
});

const SYSCALLS = { read: 0, close: 3, lseek: 8, pread64: 17, ptrace: 101, openat: 257, process_vm_readv: 310 };

/** The paper's table 7 for its two ways; one call each for the others, whatever the length. */
const calls = (way: Way, length: number): Partial<typeof SYSCALLS> => ({
	'proc-mem-paper': { openat: 1, lseek: 1, read: 1, close: 1 },
	'proc-mem': { pread64: 1 },
	peek: { ptrace: length / 8 },
	'vm-readv': { process_vm_readv: 1 },
	memcpy: {},
})[way];

const named = (counted: Map<number, number>): Record<string, number> => Object.fromEntries(
	[...counted].map(([number, count]) =>
		[Object.entries(SYSCALLS).find(([, value]) => value === number)?.[0] ?? String(number), count]));

for (const way of WAYS)
	test(`the system calls of one read: ${way}`, (t) => {
		// Observer and observed on one CPU: for peek there are 160,000 switches between them.
		const tracer = tracerFor(t, { cpu: allowedCpus()[0] ?? 0 });
		for (const kib of [1, 64, 256])
			t.deepEqual(named(tracer.countCalls(way, kib * 1024)), calls(way, kib * 1024), `${kib} KiB`);
		for (const mib of [1, 4, 16]) if (way !== 'peek')
			t.deepEqual(named(tracer.countCalls(way, mib * MIB)), calls(way, mib * MIB), `${mib} MiB`);
		if (way === 'peek') t.deepEqual(named(tracer.countCalls(way, 13)), { ptrace: 2 });
		for (const length of [0, -1]) t.regex(failure(t, () => tracer.countCalls(way, length)).message, /1 or more/);
	});

test('counts of system calls that do not fit are an error', (t) => {
	t.is(failure(t, () => tracerFor(t, { dataBytes: 1024 }).countCalls('proc-mem', 1024)).code, 'EINVAL');
});
