/**
 * The registers in a core's notes, as notes.ts writes them. The core may be anybody's: nothing that it says is larger
 * than what is there.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';
import { readAll } from '../../common/read-all.ts';
import type { XsaveComponent } from '../../native/index.ts';
import { FILES } from './folder.ts';
import { NT, RAW } from './notes.ts';

export interface CoreThread {
	tid: number;
	/** struct user_regs_struct. */
	general: Buffer;
	/** The XSAVE area in the layout that readers expect; null: there is none. */
	area: Buffer | null;
	/** As it was read, where that is another; null: it is the same. */
	raw: Buffer | null;
}

export interface CoreRegisters {
	threads: CoreThread[];
	/** What is where in `area`, and in `raw`. */
	layout: XsaveComponent[];
	rawLayout: XsaveComponent[];
}

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT_NOTE = 4;
/** ELF, of 64 bits, little-endian. */
const MAGIC = Buffer.from('\x7fELF\x02\x01', 'latin1');
/** Of notes: more than those of 65,536 threads, each with AVX-512, would be too much to look at. */
const MOST_BYTES = 256 << 20;
const MOST_THREADS = 65_536;
/** Of one XSAVE area: with AMX's tiles they have some 11,000. */
const MOST_AREA_BYTES = 64 << 10;
/** struct elf_prstatus */
const PRSTATUS = { pid: 32, general: 112, generalBytes: 27 * 8 } as const;

/** Of an evidence folder, which is not verified. Throws Failure. */
export function readRegisters(dir: string): CoreRegisters {
	try {
		// A link would lead out of the folder, and a pipe would be waited for.
		const file = openSync(join(dir, FILES.core), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
		try {
			if (!fstatSync(file).isFile()) throw new Failure('no ordinary file');
			return registersOf(notesOf(file));
		} finally {
			closeSync(file);
		}
	} catch (error) {
		if (!(error instanceof Failure) && codeOf(error) === undefined) throw error;
		throw new Failure(`${dir}: ${FILES.core}: its registers cannot be read: ${messageOf(error)}`);
	}
}

function notesOf(file: number): Buffer {
	const header = part(file, 0, HEADER_BYTES);
	if (!header.subarray(0, MAGIC.length).equals(MAGIC) || header.readUInt16LE(54) !== PROGRAM_HEADER_BYTES)
		throw new Failure('it is no ELF core of a 64-bit process');
	const table = part(file, Number(header.readBigUInt64LE(32)), header.readUInt16LE(56) * PROGRAM_HEADER_BYTES);
	for (let at = 0; at < table.length; at += PROGRAM_HEADER_BYTES) {
		if (table.readUInt32LE(at) === PT_NOTE)
			return part(file, Number(table.readBigUInt64LE(at + 8)), Number(table.readBigUInt64LE(at + 32)));
	}
	throw new Failure('it has no notes');
}

function part(file: number, at: number, bytes: number): Buffer {
	const { size } = fstatSync(file);
	if (at + bytes > size) throw new Failure(`cut off: bytes ${at} to ${at + bytes} are not there`);
	if (bytes > MOST_BYTES) throw new Failure(`it has ${bytes} bytes of notes, and ${MOST_BYTES} are the most`);
	const content = Buffer.alloc(bytes);
	readAll(file, content, at);
	return content;
}

function registersOf(notes: Buffer): CoreRegisters {
	const found: CoreRegisters = { threads: [], layout: [], rawLayout: [] };
	for (const { owner, type, content } of notesIn(notes)) {
		const thread = found.threads.at(-1);
		if (owner === 'CORE' && type === NT.PRSTATUS) {
			if (content.length < PRSTATUS.general + PRSTATUS.generalBytes)
				throw new Failure('a thread\'s note is too short');
			if (found.threads.length === MOST_THREADS) throw new Failure(`it has more than ${MOST_THREADS} threads`);
			found.threads.push({
				tid: content.readInt32LE(PRSTATUS.pid), area: null, raw: null,
				general: content.subarray(PRSTATUS.general, PRSTATUS.general + PRSTATUS.generalBytes),
			});
		} else if (owner === 'LINUX' && type === NT.X86_XSTATE && thread !== undefined) {
			thread.area = areaFrom(content);
		} else if (owner === 'LINUX' && type === NT.X86_XSAVE_LAYOUT) {
			found.layout = layoutOf(content);
		} else if (owner === 'procsnap' && type === RAW.XSTATE && thread !== undefined) {
			thread.raw = areaFrom(content);
		} else if (owner === 'procsnap' && type === RAW.XSAVE_LAYOUT) {
			found.rawLayout = layoutOf(content);
		}
	}
	return found;
}

function areaFrom(content: Buffer): Buffer {
	if (content.length > MOST_AREA_BYTES) throw new Failure(`an XSAVE area has ${content.length} bytes`);
	return content;
}

function* notesIn(notes: Buffer): Generator<{ owner: string; type: number; content: Buffer }> {
	const align4 = (bytes: number): number => Math.ceil(bytes / 4) * 4;
	for (let at = 0; at + 12 <= notes.length;) {
		const [ownerBytes = 0, bytes = 0, type = 0] = [0, 4, 8].map((field) => notes.readUInt32LE(at + field));
		const contentAt = at + 12 + align4(ownerBytes), end = contentAt + bytes;
		if (end > notes.length) throw new Failure('a note is longer than all notes');
		yield {
			owner: notes.toString('latin1', at + 12, at + 12 + Math.max(0, ownerBytes - 1)), type,
			content: notes.subarray(contentAt, end),
		};
		at = align4(end);
	}
}

/** struct x86_xfeat_component: number, size, offset, flags. No byte is of two. */
function layoutOf(content: Buffer): XsaveComponent[] {
	const components = Array.from({ length: Math.floor(content.length / 16) }, (_, i): XsaveComponent => {
		const [number = 0, bytes = 0, offset = 0] = [0, 4, 8].map((field) => content.readUInt32LE(16 * i + field));
		return { number, bytes, offset };
	}).sort((a, b) => a.offset - b.offset);
	let end = 0;
	for (const { number, bytes, offset } of components) {
		if (offset < end || number > 63) throw new Failure('the layout of its XSAVE areas is none');
		end = offset + bytes;
	}
	return components;
}
