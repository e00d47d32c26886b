/** What `procsnap info` shows: not verified, and says so first; registers as the core has them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { layOut } from '../../acquire/evidence/core.ts';
import { FILES } from '../../acquire/evidence/folder.ts';
import { allNotes, note, NT } from '../../acquire/evidence/notes.ts';
import { NODE } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { areaOf, AVX, has, k, LAYOUTS, MXCSR, PKRU, pkru, zmm, type Layout } from './evidence/xsave-areas.ts';
import { CoreFile, NOTE } from './core-file.ts';
import { noTools, run } from './help.ts';
import { aFolder, aSealed, atTheEnd, copyOf, type Sealed } from './sealed.ts';

const shared = atTheEnd((end) => test.after.always(end));
let whole: Sealed;
test.before(async () => {
	whole = await aSealed(shared);
});

const info = (...args: string[]) =>
	spawnSync(NODE[0], [...NODE.slice(1), 'acquire/cli.ts', 'info', ...args], { encoding: 'utf8', timeout: 240_000 });

interface Thread {
	tid: number; general: Record<string, string>; extended: Record<string, string> | null;
	raw?: {
		bytes: number; xcr0: string; legacySame: boolean;
		parts: Array<{ number: number; offset: number; expectedAt: number | null; content: string | null }>;
	} | null;
}
const told = (dir: string, ...options: string[]) =>
	(JSON.parse(info(dir, '--json', '--registers', ...options).stdout) as { registers: Thread[] }).registers;

test('that nothing of it is verified is said first, and no manifest can say otherwise', (t) => {
	const { dir, manifest } = copyOf(t, whole);
	const { status, stdout, stderr } = info(dir);
	t.deepEqual([status, stderr], [0, '']);
	t.is(
		stdout.split('\n')[0],
		`NOT VERIFIED: this is what the folder says, and anybody may have written it: procsnap verify ${dir} --key FILE`
	);
	const forged = { ...manifest, verified: true, id: 'mine', registers: [] };
	writeFileSync(join(dir, FILES.manifest), JSON.stringify(forged));
	const said = JSON.parse(info(dir, '--json').stdout) as Record<string, unknown>;
	t.like(said, { ...manifest, verified: false });
	t.deepEqual(Object.keys(said).slice(0, 2), ['verified', 'id']);
	t.regex(String(said['id']), /^[0-9a-f]{16}$/);
	t.is(told(dir).length, 1, 'registers are the core\'s');
});

/** struct user_regs_struct */
const NAMES = [
	'r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10', 'r9', 'r8', 'rax', 'rcx', 'rdx', 'rsi', 'rdi', 'orig_rax',
	'rip', 'cs', 'eflags', 'rsp', 'ss', 'fs_base', 'gs_base', 'ds', 'es', 'fs', 'gs',
];

test('general registers of a real process are those of its core, under their names', (t) => {
	const [thread, ...others] = told(whole.dir);
	t.deepEqual(others, []);
	const { content } = CoreFile.open(t, join(whole.dir, FILES.core)).notes.find(({ type }) => type === NOTE.prstatus)!;
	t.is(thread!.tid, whole.manifest.target.pid);
	t.deepEqual(
		Object.entries(thread!.general),
		NAMES.map((name, i) => [name, `0x${content.readBigUInt64LE(112 + 8 * i).toString(16).padStart(16, '0')}`])
	);
	const lines = info(whole.dir, '--registers').stdout.split('\n');
	const at = lines.indexOf(`thread ${thread!.tid}`);
	t.true(at > 0);
	t.is(lines[at + 17], `  rip        ${thread!.general['rip']!}`);
	t.false(info(whole.dir).stdout.includes('\nthread '), 'only where asked for');
});

testUnless(noTools('gdb'))('gdb reads the same', (t) => {
	const [{ general } = { general: {} as Record<string, string> }] = told(whole.dir);
	const names = ['rip', 'rsp', 'rax', 'rdi', 'fs_base', 'cs'];
	const { stdout } = run('gdb', [
		'-nx', '-batch', ...names.flatMap((name) => ['-ex', `printf "@%lx\\n", (unsigned long)$${name}`]), '-c',
		join(whole.dir, FILES.core),
	]);
	t.deepEqual(
		[...stdout.matchAll(/^@(.*)$/gm)].map(([, value]) => Number(`0x${value!}`)),
		names.map((name) => Number(general[name]))
	);
});

const TIDS = [1001, 1002];

/** The folder of a process with two threads, of a processor with that layout. */
function folderOf(t: ExecutionContext, shape: Layout, notes?: Buffer): string {
	const { dir } = copyOf(t, whole);
	const threads = TIDS.map((tid, i) => ({
		tid, skewNs: 0, running: false, partial: false, general: new Uint8Array(27 * 8).fill(i + 1),
		xstate: areaOf(shape, i + 1),
	}));
	const process = {
		pid: 1001, ppid: 2, pgrp: 3, sid: 4, uid: 0, gid: 0, nice: 0, state: 'S', command: 'x', commandLine: 'x',
	};
	const all = notes ?? allNotes(threads, process, Buffer.alloc(0), [], shape.components);
	writeFileSync(join(dir, FILES.core), layOut([], all).head);
	return dir;
}

const hex = (words: bigint[]): string =>
	`0x${words.toReversed().map((word) => word.toString(16).padStart(16, '0')).join('')}`;

for (const [name, shape] of Object.entries<Layout>(LAYOUTS)) {
	test(`XSAVE registers in the layout that readers expect, and what was raw: ${name}`, (t) => {
		const dir = folderOf(t, shape), threads = told(dir, '--raw');
		t.deepEqual(threads.map(({ tid }) => tid), TIDS);
		threads.forEach(({ extended, raw, general }, i) => {
			const n = i + 1, wide = has(shape, 5);
			t.is(general['rax'], `0x${String(n).padStart(2, '0').repeat(8)}`);
			t.is(extended!['mxcsr'], `0x${MXCSR.toString(16).padStart(8, '0')}`);
			t.is(extended!['st0'], '0x3fff8000000000000000');
			t.is(extended!['fcw'], '0x037f');
			for (const index of [0, 7, 15]) {
				t.is(extended![`xmm${index}`], has(shape, AVX) ? undefined : hex(zmm(n, index).slice(0, 2)));
				t.is(extended![`ymm${index}`], has(shape, AVX) && !wide ? hex(zmm(n, index).slice(0, 4)) : undefined);
				t.is(extended![`zmm${index}`], wide ? hex(zmm(n, index)) : undefined);
			}
			for (const index of [16, 31]) t.is(extended![`zmm${index}`], wide ? hex(zmm(n, index)) : undefined);
			for (const index of [0, 7]) t.is(extended![`k${index}`], wide ? hex([k(n, index)]) : undefined);
			t.is(extended!['pkru'], has(shape, PKRU) ? `0x${pkru(n).toString(16).padStart(8, '0')}` : undefined);
			if (raw === null || raw === undefined) return;
			t.true(raw.legacySame);
			t.is(raw.bytes, shape.bytes);
			const numbers = (parts: ReadonlyArray<{ number: number }>) => parts.map(({ number }) => number).sort();
			t.deepEqual(numbers(raw.parts), numbers(shape.components));
			const area = areaOf(shape, n);
			for (const { number, offset, expectedAt, content } of raw.parts) {
				const { bytes } = shape.components.find((each) => each.number === number)!;
				// AMX alone has no place that readers expect.
				t.is(expectedAt === null, number === 17 || number === 18, `component ${number}`);
				t.is(content, expectedAt === null ? area.toString('hex', offset, offset + bytes) : null);
			}
		});
		const isRaw = /AMX|AMD|nobody/.test(name);
		t.is(threads.every(({ raw }) => raw !== null), isRaw);
		const text = info(dir, '--registers', '--raw').stdout;
		t.is(text.includes('raw: its XSAVE area was read as it is shown'), !isRaw);
		const tiles = /^ {4}component 18 \(AMX tiles\), 8192 bytes at 2816: only here; .*\n {6}2816: \w{64}$/m;
		t.is(tiles.test(text), has(shape, 18));
		t.notRegex(info(dir, '--registers').stdout, /raw/);
	});
}

test('raw that is not what it was made to is shown', (t) => {
	const dir = folderOf(t, LAYOUTS['AMD, AVX-512']), path = join(dir, FILES.core), core = readFileSync(path);
	const mark = Buffer.alloc(8);
	mark.writeBigUInt64LE(zmm(1, 20)[3]!);
	const at = core.lastIndexOf(mark, core.indexOf('procsnap') + 2600);
	t.true(at > core.indexOf('procsnap'));
	core[at]! ^= 0xff;
	writeFileSync(path, core);
	const [{ raw } = { raw: null }] = told(dir, '--raw');
	t.deepEqual(raw!.parts.filter(({ content }) => content !== null).map(({ number }) => number), [7]);
	t.regex(
		info(dir, '--registers', '--raw').stdout,
		/^ {4}component 7 \(AVX-512 zmm16 to zmm31\), .*: NOT as shown\n {6}1408: /m
	);
});

test('a core that is none, or made to harm: one line that says what is wrong', (t) => {
	const refused = (dir: string, message: RegExp): void => {
		const { status, stdout, stderr } = info(dir, '--registers');
		t.deepEqual([status, stdout], [1, ''], String(message));
		t.regex(stderr, /^procsnap: [^\n]+: core: its registers cannot be read: [^\n]+\n$/);
		t.regex(stderr, message);
	};
	const changed = (change: (core: Buffer) => void): string => {
		const dir = folderOf(t, LAYOUTS['AVX']), path = join(dir, FILES.core), core = readFileSync(path);
		change(core);
		writeFileSync(path, core);
		return dir;
	};
	refused(changed((core) => core.fill(0)), /no ELF core/);
	refused(changed((core) => core.writeUInt16LE(57, 54)), /no ELF core/);
	refused(changed((core) => core.writeBigUInt64LE(2n ** 64n - 1n, 32)), /cut off/);
	refused(changed((core) => core.writeUInt32LE(1, 64)), /no notes/);
	refused(changed((core) => core.writeBigUInt64LE(2n ** 60n, 64 + 32)), /cut off/);
	refused(changed((core) => core.writeUInt32LE(0xffff_ffff, 64 + 56 + 4)), /a note is longer than all notes/);
	const layout = Buffer.alloc(32);
	[2, 256, 576, 0, 9, 8, 600, 0].forEach((field, i) => layout.writeUInt32LE(field, 4 * i));
	for (const [notes, message] of [
		[note(NT.PRSTATUS, Buffer.alloc(300)), /a thread's note is too short/],
		[note(NT.X86_XSAVE_LAYOUT, layout), /the layout of its XSAVE areas is none/],
		[
			Buffer.concat([note(NT.PRSTATUS, Buffer.alloc(336)), note(NT.X86_XSTATE, Buffer.alloc(100_000))]),
			/an XSAVE area has 100000 bytes/,
		],
	] as const) refused(folderOf(t, LAYOUTS['AVX'], notes), message);
	const short = folderOf(t, LAYOUTS['AVX']);
	truncateSync(join(short, FILES.core), 10);
	refused(short, /cut off/);
	const huge = changed((core) => core.writeBigUInt64LE(2n ** 31n, 64 + 32));
	truncateSync(join(huge, FILES.core), 2 ** 40);
	refused(huge, /2147483648 bytes of notes/);
	const linked = folderOf(t, LAYOUTS['AVX']), path = join(linked, FILES.core);
	rmSync(path);
	refused(linked, /ENOENT/);
	symlinkSync(join(whole.dir, FILES.core), path);
	refused(linked, /ELOOP/);
	rmSync(path);
	mkdirSync(path);
	refused(linked, /no ordinary file/);
	rmSync(path, { recursive: true });
	t.is(spawnSync('mkfifo', [path]).status, 0);
	refused(linked, /no ordinary file/);
});

test('--raw is of registers', (t) => {
	const { status, stderr } = info(aFolder(t), '--raw');
	t.is(status, 2);
	t.regex(stderr, /--raw is of registers: give --registers too/);
});
