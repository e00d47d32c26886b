import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { layOut } from '../../../acquire/evidence/core.ts';
import { allNotes, NT, note, type FileNote } from '../../../acquire/evidence/notes.ts';
import type { ProcessNote } from '../../../common/proc/process.ts';
import type { ThreadRegisters } from '../../../native/index.ts';

const PROCESS: ProcessNote = {
	pid: 0x11223344, ppid: 2, pgrp: 3, sid: 4, uid: 70_000, gid: 80_000, nice: -7, state: 'S',
	command: 'a command longer than fits', commandLine: 'x'.repeat(200),
};
const FILES: FileNote[] = [
	{ start: 0x400000, end: 0x402000, fileOffset: 0, name: '/bin/x' },
	{ start: 0x7f0000000000, end: 0x7f0000001000, fileOffset: 0x3000, name: '/tmp/ä b (deleted)' },
];
const AUXV = Buffer.alloc(32, 6);
/** An area in which nothing is in use beyond x87 and SSE goes as it is; xsave.test.ts has the others. */
const AREA_BYTES = 576;

const thread = (tid: number): ThreadRegisters => ({
	tid, skewNs: 0, running: false, partial: false,
	general: Uint8Array.from({ length: 216 }, (_, i) => (i + tid) & 0xff),
	xstate: Uint8Array.from(
		{ length: AREA_BYTES }, (_, i) => (i < 416 ? (i * 3 + tid) & 0xff : i === 464 || i === 512 ? 3 : 0)
	),
});
const notesOf = (threads: ThreadRegisters[], process = PROCESS, files = FILES): Buffer =>
	allNotes(threads, process, AUXV, files, []);

function aFolder(t: ExecutionContext): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

/** Notes one after the other, as elf(5) has them. */
function split(notes: Buffer): Array<{ type: number; owner: string; content: Buffer }> {
	const found = [];
	for (let at = 0; at < notes.length;) {
		const [nameBytes, bytes, type] =
			[0, 4, 8].map((offset) => notes.readUInt32LE(at + offset)) as [number, number, number];
		const start = at + 12 + Math.ceil(nameBytes / 4) * 4;
		found.push({
			type, owner: notes.toString('latin1', at + 12, at + 12 + nameBytes),
			content: notes.subarray(start, start + bytes),
		});
		at = start + Math.ceil(bytes / 4) * 4;
	}
	return found;
}

test('every thread has its registers, the first one the process\'s notes as well', (t) => {
	const found = split(notesOf([thread(0x11223344), thread(77)]));
	t.deepEqual(
		found.map(({ type }) => type),
		[
			NT.PRSTATUS, NT.PRPSINFO, NT.SIGINFO, NT.AUXV, NT.FILE, NT.FPREGSET, NT.X86_XSTATE, NT.PRSTATUS,
			NT.FPREGSET, NT.X86_XSTATE, NT.X86_XSAVE_LAYOUT,
		]
	);
	t.deepEqual(
		found.map(({ owner }) => owner),
		found.map(({ type }) => (type === NT.X86_XSTATE || type === NT.X86_XSAVE_LAYOUT ? 'LINUX\0' : 'CORE\0'))
	);
	t.deepEqual(found[3]?.content, AUXV);
	t.deepEqual(found[9]?.content, Buffer.from(thread(77).xstate));
	t.deepEqual(
		found[8]?.content.subarray(0, 416), Buffer.from(thread(77).xstate.subarray(0, 416)), 'x87 and SSE registers'
	);
	t.true(found[2]?.content.every((byte) => byte === 0), 'no signal');
});

type Place = 'prstatus' | 'prpsinfo' | 'siginfo' | 'fpregs' | 'regs' | 'pr_pid' | 'pr_sid' | 'pr_reg' | 'pr_fpvalid' |
	'pr_state' | 'pr_sname' | 'pr_zomb' | 'pr_nice' | 'pr_uid' | 'pr_gid' | 'pr_fname' | 'pr_psargs';

/** Where the C library's structures have what, by the compiler. */
function structures(t: ExecutionContext): Record<Place, number> {
	const program = join(aFolder(t), 'offsets');
	const of = (name: string, type: string, ...fields: string[]): string =>
		[
			`"${name} %zu\\n", sizeof(${type})`,
			...fields.map((field) => `"${field} %zu\\n", offsetof(${type}, ${field})`),
		].map((args) => `printf(${args});`).join('\n');
	writeFileSync(`${program}.c`, `#include <stddef.h>\n#include <stdio.h>\n#include <signal.h>\n#include <sys/procfs.h>\n#include <sys/user.h>\nint main(void)\n{\n
		${of('prstatus', 'struct elf_prstatus', 'pr_info', 'pr_cursig', 'pr_pid', 'pr_ppid', 'pr_pgrp', 'pr_sid', 'pr_reg', 'pr_fpvalid')}
		${of('prpsinfo', 'struct elf_prpsinfo', 'pr_state', 'pr_sname', 'pr_zomb', 'pr_nice', 'pr_uid', 'pr_gid', 'pr_fname', 'pr_psargs')}
		${of('siginfo', 'siginfo_t')}\n${of('fpregs', 'struct user_fpregs_struct')}\n${of('regs', 'struct user_regs_struct')}\n}\n`);
	execFileSync('gcc', ['-o', program, `${program}.c`]);
	return Object.fromEntries(execFileSync(program, { encoding: 'utf8' }).trim().split('\n')
		.map((line) => line.split(' ')).map(([name = '', value]) => [name, Number(value)])) as Record<Place, number>;
}

test('sizes and places are those of the C library\'s structures', (t) => {
	const s = structures(t);
	const [status, info, siginfo, , , fpregs, , second] = split(notesOf([thread(0x11223344), thread(77)]))
		.map(({ content }) => content) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
	t.deepEqual(
		[status.length, info.length, siginfo.length, fpregs.length, thread(1).general.length],
		[s.prstatus, s.prpsinfo, s.siginfo, s.fpregs, s.regs]
	);
	t.deepEqual([0, 4, 8, 12].map((at) => status.readInt32LE(s.pr_pid + at)), [0x11223344, 2, 3, 4]);
	t.is(s.pr_sid, s.pr_pid + 12);
	t.deepEqual(status.subarray(s.pr_reg, s.pr_reg + s.regs), Buffer.from(thread(0x11223344).general));
	t.is(status.readInt32LE(s.pr_fpvalid), 1);
	t.true(status.subarray(0, s.pr_pid).every((byte) => byte === 0), 'no signal ended it');
	t.is(second.readInt32LE(s.pr_pid), 77, 'a thread\'s own id');
	t.is(second.readInt32LE(s.pr_pid + 4), 2);
	t.deepEqual(
		[
			info.readInt8(s.pr_state), info.toString('latin1', s.pr_sname, s.pr_sname + 1), info.readInt8(s.pr_zomb),
			info.readInt8(s.pr_nice),
		],
		[1, 'S', 0, -7]
	);
	t.deepEqual([info.readUInt32LE(s.pr_uid), info.readUInt32LE(s.pr_gid)], [70_000, 80_000]);
	t.is(info.toString('latin1', s.pr_fname, s.pr_fname + 16), 'a command longe\0', 'ends with a 0');
	t.is(info.toString('latin1', s.pr_psargs), `${'x'.repeat(79)}\0`);
});

test('a thread whose id is not known has the process\'s', (t) => {
	t.is(split(notesOf([thread(0)]))[0]?.content.readInt32LE(32), 0x11223344);
});

test('texts that are no ASCII are cut at a whole character, and states are numbers', (t) => {
	const [, info] = split(notesOf([thread(1)], { ...PROCESS, command: 'ääääääää', state: 'Z', commandLine: '' }));
	t.is(info?.content.toString('utf8', 40, 56), `${'ä'.repeat(7)}\0\0`);
	t.deepEqual([info?.content.readInt8(0), info?.content.readInt8(2)], [4, 1]);
	const states = 'RSDTZW?'.match(/./g)!.map((state) =>
		split(notesOf([thread(1)], { ...PROCESS, state }))[1]?.content.readInt8(0));
	t.deepEqual(states, [0, 1, 2, 3, 4, 5, 0]);
});

test('contents of any length: the next note begins at a multiple of 4', (t) => {
	for (let bytes = 0; bytes < 9; bytes++) {
		const found = split(Buffer.concat([
			note(NT.AUXV, Buffer.alloc(bytes, 9)), note(NT.X86_XSTATE, Buffer.alloc(bytes, 8)),
		]));
		t.deepEqual(
			found.map(({ type, content }) => [type, [...content]]),
			[[NT.AUXV, Array(bytes).fill(9)], [NT.X86_XSTATE, Array(bytes).fill(8)]]
		);
	}
});

test('readelf finds the notes in a core, each of its size', (t) => {
	const path = join(aFolder(t), 'core');
	const { head } = layOut([], notesOf([thread(0x11223344), thread(77)]));
	writeFileSync(path, head);
	const said = execFileSync(
		'readelf', ['-nW', path], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C.UTF-8' } }
	);
	t.deepEqual([...said.matchAll(/^ +(CORE|LINUX) +0x(\w+)\t(NT_\w+)/gm)].map(([, owner, bytes = '', name]) =>
		`${owner} ${name} ${parseInt(bytes, 16)}`), [
		'CORE NT_PRSTATUS 336', 'CORE NT_PRPSINFO 136', 'CORE NT_SIGINFO 128', 'CORE NT_AUXV 32',
		`CORE NT_FILE ${16 + 2 * 24 + Buffer.byteLength('/bin/x\0/tmp/ä b (deleted)\0')}`,
		'CORE NT_FPREGSET 512', `LINUX NT_X86_XSTATE ${AREA_BYTES}`, 'CORE NT_PRSTATUS 336', 'CORE NT_FPREGSET 512',
		`LINUX NT_X86_XSTATE ${AREA_BYTES}`,
	]);
});

test('the table of files: how many, the page\'s size, where each is in memory and, in pages, in its file; then the ' +
	'names', (t) => {
	const table = split(notesOf([thread(1)]))[4]!.content;
	const words = Array.from({ length: 2 + 3 * FILES.length }, (_, i) => Number(table.readBigUInt64LE(8 * i)));
	t.deepEqual(words, [2, 4096, 0x400000, 0x402000, 0, 0x7f0000000000, 0x7f0000001000, 3]);
	t.is(table.toString('utf8', 8 * words.length), '/bin/x\0/tmp/ä b (deleted)\0');
	t.deepEqual(
		[...split(notesOf([thread(1)], PROCESS, []))[4]!.content], [...Buffer.alloc(8), 0, 16, 0, 0, 0, 0, 0, 0],
		'no files'
	);
});
