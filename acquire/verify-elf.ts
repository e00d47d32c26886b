/** Do the core's own headers say of it what the manifest says? Readers of cores believe the headers. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, messageOf } from '../common/errors.ts';
import { readAll } from '../common/read-all.ts';
import { FILES } from './evidence/folder.ts';
import type { Manifest } from './evidence/manifest.ts';

/** elf(5) */
const HEADER_BYTES = 64, PROGRAM_HEADER_BYTES = 56, ET_CORE = 4, EM_X86_64 = 62, PT_LOAD = 1, PN_XNUM = 0xffff;
const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);

/** Adds to `faults`. Of a core that is as it was sealed, of a manifest that is believed. */
export function checkElf(dir: string, { regions }: Manifest, faults: string[]): void {
	const fault = (text: string): void => void faults.push(`${FILES.core}: its header says something else than ` +
		`${FILES.manifest}: ${text}`);
	let file: number;
	try {
		file = openSync(join(dir, FILES.core), 'r');
	} catch (error) {
		faults.push(`${FILES.core}: cannot be read: ${messageOf(error)}`);
		return;
	}
	try {
		const header = bytesAt(file, 0, HEADER_BYTES);
		if (header?.subarray(0, MAGIC.length).equals(MAGIC) !== true || header.readUInt16LE(16) !== ET_CORE ||
			header.readUInt16LE(18) !== EM_X86_64 || header.readUInt16LE(54) !== PROGRAM_HEADER_BYTES) {
			fault('it is no header of a core of x86-64');
			return;
		}
		const due = new Set(regions.flatMap(({ segments }) =>
			segments.map(({ start, offset, bytes }) => `${Number(start)} ${offset} ${bytes}`)));
		const count = countOf(file, header), at = Number(header.readBigUInt64LE(32));
		// The first is that of the notes.
		if (count !== due.size + 1) {
			fault(`${count} program headers, where ${due.size} segments and the notes are due`);
			return;
		}
		const table = bytesAt(file, at, count * PROGRAM_HEADER_BYTES);
		if (table === null) fault('its program headers lie behind its end');
		else for (let i = 0; i < count; i++) {
			const entry = table.subarray(i * PROGRAM_HEADER_BYTES);
			const [offset, start, bytes] = [8, 16, 32].map((field) => entry.readBigUInt64LE(field));
			if (entry.readUInt32LE(0) !== PT_LOAD || due.delete(`${start} ${offset} ${bytes}`)) continue;
			fault(`a segment of ${bytes} bytes at 0x${start?.toString(16)}, ${offset} in the core`);
			return;
		}
		if (due.size > 0) fault(`it lacks ${due.size} of the segments`);
	} catch (error) {
		if (codeOf(error) === undefined) throw error;
		faults.push(`${FILES.core}: cannot be read: ${messageOf(error)}`);
	} finally {
		closeSync(file);
	}
}

/** Of program headers; where there are too many for the field, the first section header has their number. */
function countOf(file: number, header: Buffer): number {
	const count = header.readUInt16LE(56);
	if (count !== PN_XNUM) return count;
	return bytesAt(file, Number(header.readBigUInt64LE(40)), HEADER_BYTES)?.readUInt32LE(44) ?? count;
}

/** null: the file ends before. */
function bytesAt(file: number, at: number, length: number): Buffer | null {
	const bytes = Buffer.alloc(length);
	return readAll(file, bytes, at) === length ? bytes : null;
}
