/** The bytes of a core, in order: its head, then memory as it is read. What cannot be read is zeros, and is listed. */
import { closeSync, openSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { nowNs } from '../../native/index.ts';
import { codeOf, Failure, isGone } from '../errors.ts';
import type { CoreLayout } from './core.ts';
import { PAGE_BYTES, populatedRuns, type Run } from './pagemap.ts';

export interface Unreadable {
	start: number;
	end: number;
	/** `EIO`: past the end of its file, or a page that the hardware lost. `ESRCH`: the target ended before it was read. */
	errno: string;
}

/** When a region was read: what is shared goes on changing. */
export interface ReadTime {
	begunNs: number;
	endedNs: number;
}

interface Piece {
	start: number;
	end: number;
	/** -1: the head. */
	address: number;
	/** Which of the layout's contents it is of. */
	content: number;
	memory: 'duplicate' | 'target';
}

/** There is no target where it has ended. */
interface Memories {
	duplicate: FileHandle;
	target: FileHandle | null;
}

async function openTarget(pid: number): Promise<FileHandle | null> {
	try {
		return await open(`/proc/${pid}/mem`, 'r');
	} catch (error) {
		if (isGone(error)) return null;
		throw error;
	}
}

function openPagemap(pid: number): number | null {
	try {
		return openSync(`/proc/${pid}/pagemap`, 'r');
	} catch (error) {
		if (!isGone(error)) throw error;
		return null;
	}
}

export class CoreSource {
	readonly unreadable: Unreadable[] = [];
	/** One for each of the layout's contents, as soon as it has been read. CLOCK_MONOTONIC_RAW. */
	readonly times: ReadTime[] = [];
	readonly bytes: number;
	readonly #head: Buffer;
	readonly #pieces: Piece[];
	readonly #memory: Memories;
	/** The live target's; null: it has ended. */
	readonly #pagemap: number | null;
	#next = 0;
	#at = 0;

	private constructor(layout: CoreLayout, pieces: Piece[], memory: Memories, pagemap: number | null) {
		this.#head = layout.head;
		this.bytes = layout.bytes;
		this.#pieces = pieces;
		this.#memory = memory;
		this.#pagemap = pagemap;
	}

	/** `from` has, for each of the layout's contents, whose memory it is. */
	static async open(layout: CoreLayout, from: ReadonlyArray<'duplicate' | 'target'>, pids: { duplicate: number; target: number }): Promise<CoreSource> {
		const pieces: Piece[] = [{ start: 0, end: layout.head.length, address: -1, content: -1, memory: 'duplicate' }];
		layout.contents.forEach(({ segments }, index) => {
			for (const { start, end, offset } of segments) {
				pieces.push({ start: offset, end: offset + end - start, address: start, content: index, memory: from[index] ?? 'duplicate' });
			}
		});
		const duplicate = await open(`/proc/${pids.duplicate}/mem`, 'r');
		try {
			return new CoreSource(layout, pieces, { duplicate, target: await openTarget(pids.target) }, openPagemap(pids.target));
		} catch (error) {
			await duplicate.close();
			throw error;
		}
	}

	/** The next bytes, as many as there is room for, fewer only at the end. */
	async fill(room: Uint8Array): Promise<number> {
		let filled = 0;
		while (filled < room.length && this.#at < this.bytes) {
			const piece = this.#pieces[this.#next] as Piece;
			const length = Math.min(room.length - filled, piece.end - this.#at);
			const part = room.subarray(filled, filled + length);
			if (piece.address < 0) {
				part.set(this.#head.subarray(this.#at, this.#at + length));
			} else {
				const begunNs = Number(nowNs());
				await (piece.memory === 'target' ? this.#readTarget(part, piece.address + this.#at - piece.start) : this.#read(part, piece.address + this.#at - piece.start, 'duplicate'));
				(this.times[piece.content] ??= { begunNs, endedNs: 0 }).endedNs = Number(nowNs());
			}
			filled += length;
			this.#at += length;
			if (this.#at === piece.end) this.#next += 1;
		}
		return filled;
	}

	/** Pages that have left the live target's memory since it was planned would come back into it: they are not read. */
	async #readTarget(room: Uint8Array, address: number): Promise<void> {
		const whole = { start: address, end: address + room.length };
		let at = address;
		for (const { start, end } of [...this.#residentNow(whole), { start: whole.end, end: whole.end }]) {
			if (start > at) {
				room.fill(0, at - address, start - address);
				this.#note(at, start, 'ENODATA');
			}
			await this.#read(room.subarray(start - address, end - address), start, 'target');
			at = end;
		}
	}

	/** If the target has ended, all: that is found out, and said, where they are read. */
	#residentNow(range: Run): Run[] {
		if (this.#pagemap === null) return [range];
		try {
			return populatedRuns(this.#pagemap, range, 'resident');
		} catch {
			return [range];
		}
	}

	async #read(room: Uint8Array, address: number, memory: Piece['memory']): Promise<void> {
		for (let done = 0; done < room.length;) {
			try {
				const bytesRead = (await this.#memory[memory]?.read(room, done, room.length - done, address + done))?.bytesRead ?? 0;
				if (bytesRead > 0) {
					done += bytesRead;
				} else if (memory === 'target') {
					// What only it had is gone with it; all else the duplicate still has.
					room.fill(0, done);
					this.#note(address + done, address + room.length, 'ESRCH');
					return;
				} else {
					throw new Failure('the duplicate was ended, by nobody of procsnap, while its memory was read: what was taken so far is not whole; take it again');
				}
			} catch (error) {
				const errno = codeOf(error);
				if (errno === undefined || error instanceof Failure) throw error;
				const until = Math.min(room.length, done + PAGE_BYTES - (address + done) % PAGE_BYTES);
				room.fill(0, done, until);
				this.#note(address + done, address + until, errno);
				done = until;
			}
		}
	}

	#note(start: number, end: number, errno: string): void {
		const last = this.unreadable.at(-1);
		if (last?.end === start && last.errno === errno) {
			last.end = end;
		} else {
			this.unreadable.push({ start, end, errno });
		}
	}

	async close(): Promise<void> {
		await this.#memory.duplicate.close();
		await this.#memory.target?.close();
		if (this.#pagemap !== null) closeSync(this.#pagemap);
	}
}
