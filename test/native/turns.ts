/**
 * Threads that tell by themselves whether a copy is one of all of them at one
 * moment (targets/threads.c, targets/turns.h): they keep known values in r12-r15
 * and ymm1-ymm15, and count their turns in rbx, in a word of their own and in one
 * for all.
 */
import type { ExecutionContext } from 'ava';
import type { ThreadRegisters, Tracer } from '../../native/index.ts';
import { isFree } from '../processes.ts';
import { children, start, until, type Target } from './help.ts';

const [ROOM, SIZE, COUNT, TOTAL, OWN, LOOP, LOOP_END, AVX] = [1, 2, 3, 4, 5, 6, 7, 8];
/** In struct turns. */
const [BAD, TID] = [592, 608];
/** Words of struct user_regs_struct. */
const R15 = 0, R14 = 1, R13 = 2, R12 = 3, RBX = 5, RIP = 16;
/** In the XSAVE area's standard format: Intel SDM 1, 13.4. */
const XMM = 160, STATES = 512, YMM_HIGH = 576;

/** Who reads memory, and from where. */
export type Memory = (address: bigint, length: number) => DataView;

export const memoryOf = (tracer: Tracer, pid: number): Memory => (address, length) => {
	const { bytes } = tracer.read('proc-mem', pid, address, length);
	return new DataView(tracer.data.slice(0, bytes).buffer);
};

export interface Counts { total: bigint; own: bigint[] }

export function counts(target: Target, memory: Memory): Counts {
	const view = memory(target.word[OWN]!, target.number(COUNT) * 8);
	return {
		total: memory(target.word[TOTAL]!, 8).getBigUint64(0, true),
		own: Array.from({ length: target.number(COUNT) }, (_, i) => view.getBigUint64(i * 8, true)),
	};
}

const field = (target: Target, memory: Memory, index: number, offset: number): bigint =>
	memory(target.word[ROOM]! + BigInt(index * target.number(SIZE) + offset), 8).getBigInt64(0, true);

/** The threads' tids, by their numbers. */
export const tidsOf = (tracer: Tracer, target: Target, threads: number): Map<number, number> =>
	new Map(Array.from({ length: threads }, (_, i) =>
		[i, Number(field(target, memoryOf(tracer, target.pid), i, TID))]));

/** All of the steady threads are in their loop. */
export async function startThreads(
	t: ExecutionContext, tracer: Tracer, threads: number, ...args: string[]
): Promise<Target> {
	const target = await start(t, 'threads', threads, ...args), live = memoryOf(tracer, target.pid);
	await until('all threads make turns', () => counts(target, live).own.slice(0, threads).every((one) => one > 1n));
	return target;
}

export const aheadOfOwn = ({ total, own }: Counts): bigint => total - own.reduce((sum, one) => sum + one, 0n);

/** A moment that there was: no thread is further on in its own count than in everybody's. */
export function assertOneMoment(t: ExecutionContext, copy: Counts): void {
	const ahead = aheadOfOwn(copy);
	t.true(
		ahead >= 0n && ahead <= BigInt(copy.own.length), `the threads' counts differ from the common one by ${ahead}`
	);
}

const word64 = (bytes: Uint8Array, offset: number): bigint =>
	new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true);

/** What is wrong with the registers that thread number `index` had in its loop; '' if nothing is. */
function wrongRegisters({ general, xstate }: ThreadRegisters, index: number, avx: boolean, own: bigint): string {
	for (const [i, register] of [R12, R13, R14, R15].entries())
		if (word64(general, register * 8) !== 0x1111111111111111n * BigInt(i + 1) + BigInt(index))
			return `r${12 + i} is ${word64(general, register * 8).toString(16)}`;
	const turns = word64(general, RBX * 8);
	if (turns !== own && turns !== own + 1n) return `rbx is ${turns}, and the copy's memory has ${own}`;
	if (!avx) return '';
	if ((word64(xstate, STATES) & 6n) !== 6n)
		return `the XSAVE area has states ${word64(xstate, STATES).toString(2)}: without SSE or AVX`;
	for (let i = 1; i < 16; i++)
		for (let lane = 0; lane < 4; lane++) {
			const offset = (lane < 2 ? XMM : YMM_HIGH - 16) + i * 16 + lane * 8;
			const want = 0xabcd000000000000n | BigInt(index << 16 | i << 8 | lane);
			if (word64(xstate, offset) !== want)
				return `lane ${lane} of ymm${i} is ${word64(xstate, offset).toString(16)}`;
		}
	return '';
}

/** Every thread that is in the loop has the values of the one that it is. Returns them by their numbers. */
export function assertRegisters(
	t: ExecutionContext, tracer: Tracer, target: Target, threads: number, { own }: Counts
): Map<number, ThreadRegisters> {
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
		t.is(
			wrongRegisters(thread, index, target.number(AVX) === 1, own[index]!), '',
			`thread ${thread.tid}, number ${index}`
		);
		t.false(found.has(index), `two threads have the registers of number ${index}`);
		found.set(index, thread);
	}
	return found;
}

/** The tids of those found, by their numbers, in order. */
export const tidsFound = (found: Map<number, ThreadRegisters>): Map<number, number> =>
	new Map([...found].sort(([a], [b]) => a - b).map(([index, { tid }]) => [index, tid]));

/** Nobody was left stopped or traced, every thread goes on, and none has seen a register change. */
export async function assertGoesOn(t: ExecutionContext, tracer: Tracer, target: Target, steady: number): Promise<void> {
	const live = memoryOf(tracer, target.pid), before = counts(target, live).own;
	t.true(isFree(target.pid));
	t.deepEqual(children(target.pid), []);
	await until(
		'all threads go on', () => counts(target, live).own.slice(0, steady).every((one, i) => one > before[i]! + 1n)
	);
	for (let i = 0; i < target.number(COUNT); i++)
		t.is(field(target, live, i, BAD), 0n, `thread ${i} found its registers changed`);
}
