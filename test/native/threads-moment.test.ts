/**
 * A copy is one of all threads at one moment, with the registers of all.
 * The targets' threads (targets/turns.h) keep known values in r12-r15 and
 * ymm1-ymm15, and count their turns in rbx, in a word of their own and in one for
 * all: only where every thread stands still do memory and registers agree.
 */
import test, { type ExecutionContext } from 'ava';
import { readdirSync } from 'node:fs';
import { Tracer, type ThreadRegisters } from '../../native/index.ts';
import { isFree } from '../processes.ts';
import { children, sleep, start, state, until, type Target } from './help.ts';

// Threads that end have to get their CPU first, and the machine may be busy.
const tracer = Tracer.start({ timeoutMs: 15_000 });
test.after.always(() => tracer.close());

const [ROOM, SIZE, COUNT, TOTAL, OWN, LOOP, LOOP_END, AVX, GONE] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
/** In struct turns. */
const [BAD, TID] = [592, 608];
/** Words of struct user_regs_struct. */
const R15 = 0, R14 = 1, R13 = 2, R12 = 3, RBX = 5, RIP = 16;
/** In the XSAVE area's standard format: Intel SDM 1, 13.4. */
const XMM = 160, STATES = 512, YMM_HIGH = 576;

type Memory = (address: bigint, length: number) => DataView;

const memoryOf = (pid: number): Memory => (address, length) => {
	const { bytes } = tracer.read('proc-mem', pid, address, length);
	return new DataView(tracer.data.slice(0, bytes).buffer);
};

const copied: Memory = (address, length) => new DataView(tracer.data.slice(0, tracer.readCopy(address, length)).buffer);

interface Counts { total: bigint; own: bigint[] }

function counts(target: Target, memory: Memory): Counts {
	const view = memory(target.word[OWN]!, target.number(COUNT) * 8);
	return {
		total: memory(target.word[TOTAL]!, 8).getBigUint64(0, true),
		own: Array.from({ length: target.number(COUNT) }, (_, i) => view.getBigUint64(i * 8, true)),
	};
}

const field = (target: Target, memory: Memory, index: number, offset: number): bigint =>
	memory(target.word[ROOM]! + BigInt(index * target.number(SIZE) + offset), 8).getBigInt64(0, true);

const tidOf = (target: Target, index: number): number => Number(field(target, memoryOf(target.pid), index, TID));

/** All of the steady threads are in their loop. */
async function startThreads(t: ExecutionContext, threads: number, ...args: string[]): Promise<Target> {
	const target = await start(t, 'threads', threads, ...args), live = memoryOf(target.pid);
	await until('all threads make turns', () => counts(target, live).own.slice(0, threads).every((one) => one > 1n));
	return target;
}

const aheadOfOwn = ({ total, own }: Counts): bigint => total - own.reduce((sum, one) => sum + one, 0n);

/** A moment that there was: no thread is further on in its own count than in everybody's. */
function assertOneMoment(t: ExecutionContext, copy: Counts): void {
	const ahead = aheadOfOwn(copy);
	t.true(ahead >= 0n && ahead <= BigInt(copy.own.length), `the threads' counts differ from the common one by ${ahead}`);
}

const word64 = (bytes: Uint8Array, offset: number): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true);

/** What is wrong with the registers that thread number `index` had in its loop; '' if nothing is. */
function wrongRegisters({ general, xstate }: ThreadRegisters, index: number, avx: boolean, own: bigint): string {
	for (const [i, register] of [R12, R13, R14, R15].entries())
		if (word64(general, register * 8) !== 0x1111111111111111n * BigInt(i + 1) + BigInt(index))
			return `r${12 + i} is ${word64(general, register * 8).toString(16)}`;
	const turns = word64(general, RBX * 8);
	if (turns !== own && turns !== own + 1n) return `rbx is ${turns}, and the copy's memory has ${own}`;
	if (!avx) return '';
	if ((word64(xstate, STATES) & 6n) !== 6n) return `the XSAVE area has states ${word64(xstate, STATES).toString(2)}: without SSE or AVX`;
	for (let i = 1; i < 16; i++)
		for (let lane = 0; lane < 4; lane++) {
			const offset = (lane < 2 ? XMM : YMM_HIGH - 16) + i * 16 + lane * 8;
			const want = 0xabcd000000000000n | BigInt(index << 16 | i << 8 | lane);
			if (word64(xstate, offset) !== want) return `lane ${lane} of ymm${i} is ${word64(xstate, offset).toString(16)}`;
		}
	return '';
}

/** Every thread that is in the loop has the values of the one that it is. Returns them by their numbers. */
function assertRegisters(t: ExecutionContext, target: Target, threads: number, { own }: Counts): Map<number, ThreadRegisters> {
	const registers = tracer.registers(), found = new Map<number, ThreadRegisters>();
	t.is(registers.length, threads);
	t.is(new Set(registers.map(({ tid }) => tid)).size, threads, 'each thread once');
	for (const thread of registers) {
		const rip = word64(thread.general, RIP * 8);
		if (rip < target.word[LOOP]! || rip >= target.word[LOOP_END]!) continue;
		const index = Number(word64(thread.general, R12 * 8) - 0x1111111111111111n);
		if (index < 0 || index >= own.length) {
			t.fail(`r12 of thread ${thread.tid} is ${word64(thread.general, R12 * 8).toString(16)}`);
			continue;
		}
		t.is(wrongRegisters(thread, index, target.number(AVX) === 1, own[index]!), '', `thread ${thread.tid}, number ${index}`);
		t.false(found.has(index), `two threads have the registers of number ${index}`);
		found.set(index, thread);
	}
	return found;
}

/** Nobody was left stopped or traced, every thread goes on, and none has seen a register change. */
async function assertGoesOn(t: ExecutionContext, target: Target, steady: number): Promise<void> {
	const live = memoryOf(target.pid), before = counts(target, live).own;
	t.true(isFree(target.pid));
	t.deepEqual(children(target.pid), []);
	await until('all threads go on', () => counts(target, live).own.slice(0, steady).every((one, i) => one > before[i]! + 1n));
	for (let i = 0; i < target.number(COUNT); i++) t.is(field(target, live, i, BAD), 0n, `thread ${i} found its registers changed`);
}

for (const threads of [1, 4, 16]) {
	test(`${threads} threads: duplicates`, async (t) => {
		const target = await startThreads(t, threads), tids = new Map<number, number>();
		for (let i = 0; i < threads; i++) tids.set(i, tidOf(target, i));
		for (let round = 0; round < 40; round++) {
			const duplicate = tracer.inject(target.pid), copy = counts(target, memoryOf(duplicate.pid));
			t.is(duplicate.threads, threads);
			assertOneMoment(t, copy);
			const found = assertRegisters(t, target, threads, copy);
			t.deepEqual(new Map([...found].sort(([a], [b]) => a - b).map(([index, { tid }]) => [index, tid])), tids);
			t.deepEqual(counts(target, memoryOf(duplicate.pid)), copy, 'a duplicate stands still');
			t.deepEqual(readdirSync(`/proc/${duplicate.pid}/task`), [String(duplicate.pid)]);
			tracer.end();
			await sleep(round % 3);
		}
		await assertGoesOn(t, target, threads);
	});

	test(`${threads} threads: stop and copy, and hold`, async (t) => {
		const target = await startThreads(t, threads);
		for (let round = 0; round < 8; round++) {
			const { threads: stopped } = tracer.stopCopy(target.pid), copy = counts(target, copied);
			t.is(stopped, threads);
			assertOneMoment(t, copy);
			t.is(assertRegisters(t, target, threads, copy).size, threads);
			tracer.end();
		}
		await assertGoesOn(t, target, threads);
		for (let round = 0; round < 8; round++) {
			t.is(tracer.hold(target.pid), threads);
			const held = counts(target, memoryOf(target.pid));
			assertOneMoment(t, held);
			t.is(assertRegisters(t, target, threads, held).size, threads);
			await sleep(2);
			t.deepEqual(counts(target, memoryOf(target.pid)), held, 'held, and no thread moved');
			tracer.letGo();
		}
		await assertGoesOn(t, target, threads);
	});
}

test('threads that come and go all the time', async (t) => {
	const STEADY = 2;
	const target = await startThreads(t, STEADY, 'churn');
	const begun = target.number(GONE);
	let most = 0, brief = 0;
	for (let round = 0; round < 160; round++) {
		const duplicate = tracer.inject(target.pid), copy = counts(target, memoryOf(duplicate.pid));
		assertOneMoment(t, copy);
		const found = assertRegisters(t, target, duplicate.threads, copy);
		for (let i = 0; i < STEADY; i++) t.true(found.has(i), `thread ${i} is among those read`);
		most = Math.max(most, duplicate.threads);
		if (found.size > STEADY) brief++;
		tracer.end();
		// One that was just being made shows where all are held: it would still run.
		const threads = tracer.hold(target.pid), tids = tracer.registers().map(({ tid }) => tid);
		t.is(tids.length, threads);
		t.deepEqual(tids.sort((a, b) => a - b), readdirSync(`/proc/${target.pid}/task`).map(Number).sort((a, b) => a - b));
		t.deepEqual(tids.filter((tid) => state(tid) !== 't'), [], 'all threads that there are stand still');
		tracer.letGo();
		if (round % 4 === 0) await sleep(1);
	}
	await assertGoesOn(t, target, STEADY);
	const gone = target.number(GONE) - begun;
	t.log(`${gone} threads came and went, up to ${most} at once; ${brief} of 160 duplicates met some in their loop`);
	t.true(gone > 100 && most > 4 && brief > 5, 'there was churn');
	await target.atLeast(GONE, target.number(GONE) + 20);
});

test('the negative control: a running target, read in pieces, is no moment that there was', async (t) => {
	const target = await startThreads(t, 4), live = memoryOf(target.pid);
	let torn = 0;
	for (let round = 0; round < 200 && torn < 5; round++) {
		const { total } = counts(target, live);
		await sleep(1);
		const { own } = counts(target, live), ahead = aheadOfOwn({ total, own });
		if (ahead < 0n || ahead > BigInt(own.length)) torn++;
	}
	t.is(torn, 5);
});
