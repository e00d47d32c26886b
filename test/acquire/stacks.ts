/** What targets/stacks.c is known to do: six threads, by number. */
import type { ExecutionContext } from 'ava';
import { state, until, type Target } from '../native/help.ts';
import { startTarget } from './help.ts';

const MARKER = 1, TIDS = 16, FS_BASES = 32, ARRIVED = 48, AVX = 49, RSEQ_OFFSET = 50;

/** The program's own functions on each thread's stack, the innermost first. */
export const FUNCTIONS = [
	['main'],
	['sleeps_inner', 'sleeps_middle', 'sleeps_outer', 'work'],
	['spins', 'work'],
	['library_waits', 'work'],
	['reads_numbers', 'work'],
	['holds_in_call', 'work'],
];

/** What a thread keeps: the n-th has values of its own. */
export const id = (n: number): bigint => 0x5a00000000000000n + 0x100n * BigInt(n);
export const ymm = (n: number, k: number): bigint[] =>
	[0n, 1n, 2n, 3n].map((i) => id(n) + 0x10000n * BigInt(k + 1) + i);

const HELD = { rsi: 0, rbx: 1, r12: 2, r13: 3, r14: 4, r15: 5, r8: 6, r9: 7, r10: 8, rdi: 9, rdx: 10 };
/** Registers of the thread that spins, and of the one in a call, less their id. A call clobbers three. */
export const KEPT: ReadonlyArray<readonly [number, Record<string, number>]> = [
	[2, { ...HELD, rax: 11, rcx: 12, r11: 13 }], [5, HELD],
];

export const tidOf = (target: Target, n: number): number => target.number(TIDS + n);
export const fsBaseOf = (target: Target, n: number): bigint => target.word[FS_BASES + n] ?? 0n;
export const gsBaseOf = (n: number): bigint => 0x7e570000n + BigInt(n);
export const hasAvx = (target: Target): boolean => target.number(AVX) !== 0;

/** All threads are where they belong. */
export async function startStacks(t: ExecutionContext): Promise<Target> {
	const target = await startTarget(t, 'stacks');
	await target.atLeast(ARRIVED, FUNCTIONS.length);
	// A thread's status is found by its tid alone.
	await until('five threads sleep', () => [0, 1, 3, 4, 5].every((n) => state(tidOf(target, n)) === 'S'));
	return target;
}

/** Have the thread in read() keep a number in the variable `marker`. */
export async function mark(target: Target, value: number): Promise<void> {
	target.tell(`${value}\n`);
	await until(`the marker is ${value}`, () => target.number(MARKER) === value);
}

/** struct rseq of a thread. */
export function rseqOf(target: Target, n: number): { start: number; end: number } {
	const first = Number(fsBaseOf(target, n)) + target.number(RSEQ_OFFSET);
	return { start: first, end: first + 32 };
}
