/** A small reader of ELF cores (elf(5)), which shares nothing with what writes them. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ExecutionContext } from 'ava';

export interface Load {
	flags: number;
	offset: number;
	start: number;
	paddr: number;
	fileBytes: number;
	memoryBytes: number;
}

export interface Note {
	owner: string;
	type: number;
	content: Buffer;
}

/** <elf.h> */
export const NOTE = {
	prstatus: 1, fpregset: 2, prpsinfo: 3, auxv: 6, xstate: 0x202, file: 0x4649_4c45, siginfo: 0x5349_4749,
} as const;
const PT_LOAD = 1, PT_NOTE = 4;
/** In struct elf_prstatus. */
const PR_PID = 32, PR_REG = 112, REGISTERS = 27;

export class CoreFile {
	readonly bytes: number;
	readonly loads: Load[] = [];
	readonly notes: Note[] = [];
	readonly #fd: number;

	private constructor(fd: number) {
		this.#fd = fd;
		this.bytes = fstatSync(fd).size;
		const header = this.#at(0, 64);
		const [table, size, few] = [
			Number(header.readBigUInt64LE(32)), header.readUInt16LE(54), header.readUInt16LE(56),
		];
		// PN_XNUM: there are so many that the first section header has the number.
		const count = few === 0xffff ? this.#at(Number(header.readBigUInt64LE(40)) + 44, 4).readUInt32LE(0) : few;
		for (let i = 0; i < count; i++) {
			const entry = this.#at(table + i * size, size);
			const [offset = 0, start = 0, paddr = 0, fileBytes = 0, memoryBytes = 0] = [8, 16, 24, 32, 40].map((at) =>
				Number(entry.readBigUInt64LE(at)));
			if (entry.readUInt32LE(0) === PT_LOAD)
				this.loads.push({ flags: entry.readUInt32LE(4), offset, start, paddr, fileBytes, memoryBytes });
			if (entry.readUInt32LE(0) === PT_NOTE) this.#parseNotes(this.#at(offset, fileBytes));
		}
	}

	/** Closed with the test. */
	static open(t: Pick<ExecutionContext, 'teardown'>, path: string): CoreFile {
		const fd = openSync(path, 'r');
		t.teardown(() => closeSync(fd));
		return new CoreFile(fd);
	}

	#at(offset: number, length: number): Buffer {
		const bytes = Buffer.alloc(length);
		if (readSync(this.#fd, bytes, 0, length, offset) !== length)
			throw new Error(`the core ends before ${offset + length}`);
		return bytes;
	}

	#parseNotes(all: Buffer): void {
		const padded = (length: number): number => Math.ceil(length / 4) * 4;
		for (let at = 0; at < all.length;) {
			const [ownerBytes, contentBytes, type] = [
				all.readUInt32LE(at), all.readUInt32LE(at + 4), all.readUInt32LE(at + 8),
			];
			const content = at + 12 + padded(ownerBytes);
			this.notes.push({
				owner: all.toString('latin1', at + 12, at + 11 + ownerBytes), type,
				content: all.subarray(content, content + contentBytes),
			});
			at = content + padded(contentBytes);
		}
	}

	/** The parts of [start, end) that have content, and those that have none. */
	parts(start: number, end: number): Array<{ start: number; end: number; load: Load | null }> {
		const parts: Array<{ start: number; end: number; load: Load | null }> = [];
		for (let at = start; at < end;) {
			const load = this.loads.find((each) => each.start <= at && at < each.start + each.fileBytes) ?? null;
			const next = Math.min(
				end,
				load === null
					? Math.min(
						...this.loads.filter((each) => each.start > at && each.fileBytes > 0).map((each) => each.start),
						end
					)
					: load.start + load.fileBytes
			);
			parts.push({ start: at, end: next, load });
			at = next;
		}
		return parts;
	}

	/** Of content that is there. */
	read(start: number, length: number): Buffer {
		return Buffer.concat(this.parts(start, start + length).map((part) => {
			if (part.load === null) throw new Error(`the core has nothing at 0x${part.start.toString(16)}`);
			return this.#at(part.load.offset + part.start - part.load.start, part.end - part.start);
		}));
	}

	/**
	 * By thread: its general registers in words, and its other notes by type, which follow the first up to the next
	 * thread's.
	 */
	threads(): Map<number, { general: bigint[]; notes: Map<number, Buffer> }> {
		const threads = new Map<number, { general: bigint[]; notes: Map<number, Buffer> }>();
		let current = new Map<number, Buffer>();
		for (const { type, content } of this.notes) {
			if (type === NOTE.prstatus) {
				current = new Map();
				const general = Array.from({ length: REGISTERS }, (_, i) => content.readBigUInt64LE(PR_REG + 8 * i));
				threads.set(content.readInt32LE(PR_PID), { general, notes: current });
			}
			current.set(type, content);
		}
		return threads;
	}
}
