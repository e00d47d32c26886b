/** gdb, elfutils and lldb read registers of processors that are not here, whatever the layout of their XSAVE area. */
import test, { type ExecutionContext } from 'ava';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layOut } from '../../acquire/evidence/core.ts';
import { allNotes, NT, RAW } from '../../acquire/evidence/notes.ts';
import type { ProcessNote } from '../../common/proc/process.ts';
import { testUnless } from '../unless.ts';
import {
	areaOf, AVX, AVX512, has, k, LAYOUTS, MXCSR, pkru, PKRU, ZMM_HI256, zmm, type Layout,
} from './evidence/xsave-areas.ts';
import { CoreFile } from './core-file.ts';
import { noTools, run, startTarget, takeEvidence, temporaryFolder } from './help.ts';

const PROCESS: ProcessNote = {
	pid: 1001, ppid: 2, pgrp: 3, sid: 4, uid: 0, gid: 0, nice: 0, state: 'S', command: 'synthetic',
	commandLine: 'synthetic',
};
const TIDS = [1001, 1002];
const ENTRIES = Object.entries<Layout>(LAYOUTS);
/** In struct user_regs_struct. */
const RIP = 16, CS = 17, SS = 20;

/** A core of two threads and no memory, of a processor with that layout. */
function coreOf(t: ExecutionContext, shape: Layout, initial: number[] = []): string {
	const threads = TIDS.map((tid, i) => {
		const general = new BigUint64Array(27);
		[general[RIP], general[CS], general[SS]] = [0x1000n * BigInt(tid), 0x33n, 0x2bn];
		return {
			tid, skewNs: 0, running: false, partial: false, general: new Uint8Array(general.buffer),
			xstate: areaOf(shape, i + 1, initial),
		};
	});
	const path = join(temporaryFolder(t), 'core');
	writeFileSync(path, layOut([], allNotes(threads, PROCESS, Buffer.alloc(0), [], shape.components)).head);
	return path;
}

const hex = (words: bigint[]): string => `{${words.map((value) => `0x${value.toString(16)}`).join(', ')}}`;

/** What gdb says of each expression in each thread; it may complain of nothing that has to do with registers. */
function gdb(t: ExecutionContext, core: string, expressions: string[]): string[][] {
	const commands = TIDS.flatMap((_, i) =>
		[`thread ${i + 1}`, ...expressions.map((each) => `output/x ${each}`).flatMap((each) => ['echo \\n@', each])]);
	const { status, stdout, stderr } = run(
		'gdb', ['-nx', '-batch', ...commands.flatMap((command) => ['-ex', command]), '-c', core]
	);
	t.is(status, 0, stderr);
	t.notRegex(stderr, /xstate|too small|section|size/i);
	t.notRegex(stdout, /unavailable/);
	return stdout.split(/\[Switching to thread \d.*/).slice(1)
		.map((part) => [...part.matchAll(/^@(.*)$/gm)].map(([, value]) => value ?? ''));
}

for (const [name, shape] of ENTRIES) {
	testUnless(noTools('gdb'))(`gdb, ${name}: all vector registers, masks and PKRU of both threads`, (t) => {
		const wide = AVX512.every((number) => has(shape, number));
		const all = Array.from({ length: wide ? 32 : 16 }, (_, i) => i);
		const asked: Array<readonly [string, (thread: number) => string]> = [
			...all.map((i) => [`$xmm${i}.v2_int64`, (n: number) => hex(zmm(n, i).slice(0, 2))] as const),
			...(has(shape, AVX)
				? all.map((i) => [`$ymm${i}.v4_int64`, (n: number) => hex(zmm(n, i).slice(0, 4))] as const)
				: []),
			...(wide ? all.map((i) => [`$zmm${i}.v8_int64`, (n: number) => hex(zmm(n, i))] as const) : []),
			...(wide
				? [0, 1, 2, 3, 4, 5, 6, 7].map((i) => [`$k${i}`, (n: number) => `0x${k(n, i).toString(16)}`] as const)
				: []),
			...(has(shape, PKRU) ? [['$pkru', (n: number) => `0x${pkru(n).toString(16)}`] as const] : []),
			['$mxcsr', () => `0x${MXCSR.toString(16)}`], ['$st0 == 1', () => '0x1'],
		];
		const said = gdb(t, coreOf(t, shape), asked.map(([expression]) => expression));
		t.is(said.length, 2);
		said.forEach((values, i) => {
			t.deepEqual(
				values.map((value, j) => `${asked[j]?.[0]} = ${value}`),
				asked.map(([expression, expected]) => `${expression} = ${expected(i + 1)}`)
			);
		});
	});
}

testUnless(noTools('gdb'))('gdb: what a thread has not used is zeros', (t) => {
	const said = gdb(t, coreOf(t, LAYOUTS['AMD, AVX-512'], [ZMM_HI256]), ['$zmm3.v8_int64', '$zmm20.v8_int64']);
	t.deepEqual(said, [1, 2].map((n) => [hex([...zmm(n, 3).slice(0, 4), 0n, 0n, 0n, 0n]), hex(zmm(n, 20))]));
});

for (const [name, shape] of ENTRIES) {
	testUnless(noTools('eu-readelf'))(`elfutils, ${name}: SSE registers, and no note is a fault`, (t) => {
		const { status, stdout, stderr } = run('eu-readelf', ['-n', coreOf(t, shape)]);
		t.deepEqual([status, stderr], [0, '']);
		t.notRegex(stdout, /invalid|corrupt|bad/i);
		const found = [...stdout.matchAll(/^ +xmm(\d+): +0x([0-9a-f]+)$/gm)].map(([, index, value]) =>
			`${index} ${value}`);
		const low = (n: number, i: number): string =>
			zmm(n, i).slice(0, 2).reverse().map((value) => value.toString(16).padStart(16, '0')).join('');
		t.deepEqual(found, [1, 2].flatMap((n) => Array.from({ length: 16 }, (_, i) => `${i} ${low(n, i)}`)));
		t.is([...stdout.matchAll(/X86_XSTATE$/gm)].length, 2);
	});
}

for (const [name, shape] of ENTRIES) {
	// lldb reads no more than x87 and SSE of any core, the kernel's own neither: LLVM's
	// RegisterContextPOSIXCore_x86_64.cpp.
	testUnless(noTools('lldb'))(`lldb, ${name}: both threads, with x87 and SSE registers`, (t) => {
		const { status, stdout, stderr } = run('lldb', ['--no-lldbinit', '--batch', '--core', coreOf(t, shape),
			...TIDS.flatMap((_, i) =>
				['--one-line', `thread select ${i + 1}`, '--one-line', 'register read rip mxcsr xmm0 xmm15'])]);
		t.is(status, 0, stderr);
		const bytes = (n: number, i: number): string =>
			[...Buffer.from(new BigUint64Array(zmm(n, i).slice(0, 2)).buffer)].map((byte) =>
				`0x${byte.toString(16).padStart(2, '0')}`).join(' ');
		const registers = [...stdout.matchAll(/^ +(rip|mxcsr|xmm\d+) = (.*)$/gm)].map(([, register, value]) =>
			`${register} = ${value}`);
		t.deepEqual(registers, TIDS.flatMap((tid, i) => [
			`rip = 0x${(0x1000 * tid).toString(16).padStart(16, '0')}`,
			`mxcsr = 0x${MXCSR.toString(16).padStart(8, '0')}`, `xmm0 = {${bytes(i + 1, 0)}}`,
			`xmm15 = {${bytes(i + 1, 15)}}`,
		]), stdout);
	});
}

test('a process of this machine: what was read is as long as the layout says, and has all of XCR0', async (t) => {
	const target = await startTarget(t, 'reserve', 1, 1, 1);
	const { notes } = CoreFile.open(t, (await takeEvidence(t, target.pid)).core);
	const content = (owner: string, type: number): Buffer | undefined =>
		notes.find((each) => each.owner === owner && each.type === type)?.content;
	const read = content('procsnap', RAW.XSTATE) ?? content('LINUX', NT.X86_XSTATE)!;
	const layout = content('procsnap', RAW.XSAVE_LAYOUT) ?? content('LINUX', NT.X86_XSAVE_LAYOUT)!;
	const xcr0 = read.readBigUInt64LE(464);
	const components = Array.from(
		{ length: layout.length / 16 },
		(_, i) => [0, 4, 8].map((at) => layout.readUInt32LE(16 * i + at)) as [number, number, number]
	)
		.filter(([number]) => (xcr0 >> BigInt(number) & 1n) !== 0n);
	t.log(
		`XCR0 is 0x${xcr0.toString(16)}, the area ${read.length} bytes, ` +
			`${content('procsnap', RAW.XSTATE) === undefined ? 'as' : 'not as'} readers expect it`
	);
	t.is(components.reduce((sum, [number]) => sum | 1n << BigInt(number), 3n), xcr0, 'each component');
	t.is(Math.max(576, ...components.map(([, bytes, offset]) => offset + bytes)), read.length);
});
