/**
 * The notes of an ELF core of an x86-64 process, as the kernel (fs/binfmt_elf.c, include/uapi/linux/elfcore.h) and
 * gdb's gcore write them. Pure. Sizes are those of struct elf_prstatus, elf_prpsinfo and siginfo of <sys/procfs.h>.
 */
import { bytesOfText } from '../../common/bytes-text.ts';
import type { ThreadRegisters, XsaveComponent } from '../../native/index.ts';
import { PAGE_BYTES } from '../../common/proc/pagemap.ts';
import type { ProcessNote } from '../../common/proc/process.ts';
import { expectedXsave } from './xsave.ts';

/** <elf.h>, <linux/elf.h> */
export const NT = {
	PRSTATUS: 1, FPREGSET: 2, PRPSINFO: 3, AUXV: 6, SIGINFO: 0x5349_4749, FILE: 0x4649_4c45, X86_XSTATE: 0x202,
	X86_XSAVE_LAYOUT: 0x205,
} as const;
/**
 * Notes of our own, whose owner is `procsnap`: a thread's XSAVE area as it was read, and that area's layout. `RAWX`,
 * `RAWL`.
 */
export const RAW = { XSTATE: 0x5241_5758, XSAVE_LAYOUT: 0x5241_574c } as const;

const PRSTATUS_BYTES = 336;
const PRPSINFO_BYTES = 136;
const SIGINFO_BYTES = 128;
/**
 * The legacy part of the XSAVE area is struct user_fpregs_struct, but for its last bytes: there the kernel keeps
 * XCR0, which is no register of the thread's.
 */
const FPREGS_BYTES = 512;
const FPREGS_USED_BYTES = 464;

export interface FileNote {
	start: number;
	end: number;
	fileOffset: number;
	name: string;
}

/** Readers tell what a note is by its owner and its type. */
function ownerOf(type: number): string {
	if (type === RAW.XSTATE || type === RAW.XSAVE_LAYOUT) return 'procsnap';
	return type === NT.X86_XSTATE || type === NT.X86_XSAVE_LAYOUT ? 'LINUX' : 'CORE';
}

export function note(type: number, content: Uint8Array): Buffer {
	const owner = ownerOf(type);
	const head = Buffer.alloc(12 + align4(owner.length + 1));
	head.writeUInt32LE(owner.length + 1, 0);
	head.writeUInt32LE(content.length, 4);
	head.writeUInt32LE(type, 8);
	head.write(owner, 12, 'latin1');
	return Buffer.concat([head, content, Buffer.alloc(align4(content.length) - content.length)]);
}

const align4 = (bytes: number): number => (bytes + 3) & ~3;

/**
 * Every thread's own; the first thread's are followed by those of the process, as the kernel has them. `components` is
 * what the machine has where in an XSAVE area. Where that is not what readers expect, the area is there twice. Of a
 * thread whose registers are not known there is no note: there is no way to say so of one (gdb calls those of such a
 * process unavailable), and zeros would be taken for registers.
 */
export function allNotes(
	threads: readonly ThreadRegisters[], process: ProcessNote, auxv: Uint8Array, files: readonly FileNote[],
	components: readonly XsaveComponent[]
): Buffer {
	const all = threads.map((thread) => ({ thread, ...expectedXsave(thread.xstate, components) }));
	const ofProcess = [
		note(NT.PRPSINFO, prpsinfo(process)),
		note(NT.SIGINFO, Buffer.alloc(SIGINFO_BYTES)),	// no signal ended it: it goes on
		note(NT.AUXV, auxv),
		note(NT.FILE, fileTable(files)),
	];
	const layout = all.find(({ area }) => area.length > 0)?.components;
	return Buffer.concat([
		...(all.length === 0 ? ofProcess : []),
		...all.flatMap(({ thread, area }, index) => [
			note(NT.PRSTATUS, prstatus(thread, process)),
			...(index > 0 ? [] : ofProcess),
			note(NT.FPREGSET, fpregset(thread)),
			note(NT.X86_XSTATE, area),
			...(area === thread.xstate ? [] : [note(RAW.XSTATE, thread.xstate)]),
		]),
		// Of the process, behind all threads', as the kernel has it since Linux 6.12.
		...(layout === undefined ? [] : [note(NT.X86_XSAVE_LAYOUT, layoutTable(layout))]),
		...(all.every(({ area, thread }) => area === thread.xstate)
			? []
			: [note(RAW.XSAVE_LAYOUT, layoutTable(components))]),
	]);
}

/** struct x86_xfeat_component of <asm/elf.h> for each: type, size, offset, flags. */
function layoutTable(components: readonly XsaveComponent[]): Buffer {
	const table = Buffer.alloc(16 * components.length);
	components.forEach(({ number, bytes, offset }, i) =>
		[number, bytes, offset].forEach((value, j) => table.writeUInt32LE(value, 16 * i + 4 * j)));
	return table;
}

function prstatus({ tid, general }: ThreadRegisters, { pid, ppid, pgrp, sid }: ProcessNote): Buffer {
	const bytes = Buffer.alloc(PRSTATUS_BYTES);
	// pr_info and pr_cursig stay 0: no signal.
	[tid === 0 ? pid : tid, ppid, pgrp, sid].forEach((id, i) => bytes.writeInt32LE(id, 32 + 4 * i));
	bytes.set(general, 112);
	bytes.writeInt32LE(1, 328);	// pr_fpvalid
	return bytes;
}

function fpregset({ xstate }: ThreadRegisters): Buffer {
	const bytes = Buffer.alloc(FPREGS_BYTES);
	bytes.set(xstate.subarray(0, FPREGS_USED_BYTES));
	return bytes;
}

function prpsinfo({ pid, ppid, pgrp, sid, uid, gid, nice, state, command, commandLine }: ProcessNote): Buffer {
	const bytes = Buffer.alloc(PRPSINFO_BYTES);
	bytes.writeInt8(Math.max(0, 'RSDTZW'.indexOf(state)), 0);
	bytes.write(state, 1, 1, 'latin1');
	bytes.writeInt8(state === 'Z' ? 1 : 0, 2);
	bytes.writeInt8(nice, 3);
	bytes.writeUInt32LE(uid, 16);
	bytes.writeUInt32LE(gid, 20);
	[pid, ppid, pgrp, sid].forEach((id, i) => bytes.writeInt32LE(id, 24 + 4 * i));
	bytes.set(bytesWithin(command, 15), 40);
	bytes.set(bytesWithin(commandLine, 79), 56);
	return bytes;
}

/** As many of its characters as have room in so many bytes. */
function bytesWithin(text: string, most: number): Buffer {
	let fitting = '', bytes = 0;
	for (const character of text.slice(0, most)) {
		bytes += bytesOfText(character).length;
		if (bytes > most) break;
		fitting += character;
	}
	return bytesOfText(fitting);
}

/** count, page size, then start, end, offset in pages for each; then the names. */
function fileTable(files: readonly FileNote[]): Buffer {
	const head = Buffer.alloc(16 + 24 * files.length);
	head.writeBigUInt64LE(BigInt(files.length), 0);
	head.writeBigUInt64LE(BigInt(PAGE_BYTES), 8);
	files.forEach(({ start, end, fileOffset }, i) => {
		[start, end, fileOffset / PAGE_BYTES].forEach((value, j) =>
			head.writeBigUInt64LE(BigInt(value), 16 + 24 * i + 8 * j));
	});
	return Buffer.concat([head, ...files.map(({ name }) => bytesOfText(`${name}\0`))]);
}
