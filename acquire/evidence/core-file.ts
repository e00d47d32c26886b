/**
 * A core's file, written past the page cache where that can be (open(2), O_DIRECT): evidence must not drive out of it
 * what the control system reads, nor wait for memory. (What a copy's file has of it already is there, too.) Elsewhere
 * (some file systems, a length that is no multiple of a block) it is written as files are.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { codeOf } from '../../common/errors.ts';
import type { Run } from '../../common/proc/pagemap.ts';
import { dropCached, emptyPart } from '../../native/index.ts';

const { O_CREAT, O_DIRECT, O_EXCL, O_RDWR } = constants;

export class CoreFile {
	readonly #path: string;
	#file: FileHandle;
	#direct: boolean;
	/** One after the other: what is there has no gaps, and a file system would make them wait anyway. */
	#written: Promise<void> = Promise.resolve();
	#closed = false;

	private constructor(path: string, file: FileHandle, direct: boolean) {
		this.#path = path;
		this.#file = file;
		this.#direct = direct;
	}

	/** `create`: it must not be there. Only its owner may read it. Throws what open(2) gives. */
	static async open(path: string, create: boolean): Promise<CoreFile> {
		const flags = O_RDWR | (create ? O_CREAT | O_EXCL : 0);
		try {
			return new CoreFile(path, await open(path, flags | O_DIRECT, 0o600), true);
		} catch (error) {
			if (codeOf(error) !== 'EINVAL') throw error;
			// Some file systems have made the file by then.
			return new CoreFile(path, await open(path, flags & ~O_EXCL, 0o600), false);
		}
	}

	async size(): Promise<number> {
		return (await this.#file.stat()).size;
	}

	write(bytes: Uint8Array, at: number): Promise<void> {
		this.#written = this.#written.then(() =>
			this.#whole(
				bytes, at, async (part, from) => (await this.#file.write(part, 0, part.length, from)).bytesWritten
			));
		return this.#written;
	}

	/** Fills all of `bytes`. */
	read(bytes: Uint8Array, at: number): Promise<void> {
		return this.#whole(
			bytes, at, async (part, from) => (await this.#file.read(part, 0, part.length, from)).bytesRead
		);
	}

	async #whole(
		bytes: Uint8Array, at: number, some: (part: Uint8Array, at: number) => Promise<number>
	): Promise<void> {
		for (let done = 0; done < bytes.length;) {
			try {
				const count = await some(bytes.subarray(done), at + done);
				if (count === 0) throw new Error(`${this.#path} is shorter than it was`);
				done += count;
			} catch (error) {
				if (codeOf(error) !== 'EINVAL' || !this.#direct) throw error;
				await this.#undirect();
			}
		}
	}

	async #undirect(): Promise<void> {
		const direct = this.#file;
		this.#file = await open(this.#path, O_RDWR);
		this.#direct = false;
		await direct.close();
	}

	/** Zeros from now on, after all that is written, and without room on the disk. Throws ProcsnapError. */
	async empty(parts: readonly Run[]): Promise<void> {
		await this.#written;
		for (const { start, end } of parts) emptyPart(this.#file.fd, start, end - start);
	}

	/** After all writes, be they in vain. What is missing of so many bytes is zeros, without room on the disk. */
	async setSize(bytes: number): Promise<void> {
		await this.#written.catch(() => undefined);
		this.#written = Promise.resolve();
		await this.#file.truncate(bytes);
	}

	/** All of it on the disk, and in memory no more. */
	async sync(): Promise<void> {
		await this.#written;
		await this.#file.sync();
		dropCached(this.#file.fd);
	}

	/** Once or more. */
	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		await this.#written.catch(() => undefined);
		await this.#file.close();
	}
}
