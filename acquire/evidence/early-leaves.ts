/**
 * Leaves of a core that is made of a copy's file, from while the copy is made: most of it is then read once, when it
 * has just been written, and leaves memory when it is on the disk.
 */
import { closeSync, fstatSync, openSync, statSync, type Stats } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { CopyFile, GrowingFile } from '../../mechanisms/shared/types.ts';
import type { EarlyReply, EarlyRequest } from './early-worker.ts';
import { CHUNK_BYTES, HASH_BYTES } from './merkle.ts';

/** A file that is smaller is digested later: a thread takes some time to start. */
const LEAST_BYTES = 64 << 20;
const REQUEST_BYTES = 4 << 20;
/** It is told of so many parts at once: no more are in vain when the copy is done. */
const MOST_REQUESTS = 8;

/** Those of the copy that is being made; of one that is given up for another they are forgotten. */
export class EarlyLeaves {
	#leaves: LeavesOfFile | null = null;
	/** Nothing is done early: that is no reason to fail. */
	#failed = false;

	/** So far its file is there. */
	reach({ path, wholeBytes }: GrowingFile): void {
		if (this.#failed || (this.#leaves === null && wholeBytes < LEAST_BYTES)) return;
		try {
			this.#leaves ??= new LeavesOfFile(path);
		} catch {
			this.#failed = true;
			return;
		}
		this.#leaves.reach(wholeBytes);
	}

	/** Of so many bytes of the copy's file, as they are now that it is done; null: not all are known. */
	known(file: CopyFile): (offset: number, bytes: number) => Uint8Array | null {
		const leaves = this.#leaves;
		if (leaves?.isOf(file.path) !== true) return () => null;
		return (offset, bytes) => (file.wasCorrected(offset, bytes) ? null : leaves.of(offset, bytes));
	}

	/** What is known stays so. Once or more. */
	async end(): Promise<void> {
		await this.#leaves?.end();
	}

	async forget(): Promise<void> {
		const leaves = this.#leaves;
		this.#leaves = null;
		await leaves?.end();
	}
}

class LeavesOfFile {
	/** By their place in the file. */
	readonly #leaves = new Map<number, Uint8Array>();
	readonly #file: number;
	readonly #stat: Stats;
	readonly #worker: Worker;
	#ended: Promise<unknown> | undefined;
	/** So far the file is there, and so far it was asked for. */
	#whole = 0;
	#asked = 0;
	#unanswered = 0;

	/** Throws what open(2) gives, and where there is no thread. */
	constructor(path: string) {
		this.#file = openSync(path, 'r');
		try {
			this.#stat = fstatSync(this.#file);
			this.#worker = new Worker(
				new URL('early-worker.ts', import.meta.url), { workerData: { file: this.#file } }
			);
		} catch (error) {
			closeSync(this.#file);
			throw error;
		}
		this.#worker.on('message', ({ start, leaves }: EarlyReply) => {
			for (let i = 0; i < leaves.length; i += HASH_BYTES)
				this.#leaves.set(start + i / HASH_BYTES * CHUNK_BYTES, leaves.subarray(i, i + HASH_BYTES));
			this.#unanswered -= 1;
			this.#ask();
		});
		// What it has not told of is digested later.
		this.#worker.on('error', () => undefined);
	}

	reach(wholeBytes: number): void {
		this.#whole = wholeBytes;
		this.#ask();
	}

	#ask(): void {
		if (this.#ended !== undefined) return;
		while (this.#unanswered < MOST_REQUESTS && this.#asked + REQUEST_BYTES <= this.#whole) {
			const request: EarlyRequest = { start: this.#asked, bytes: REQUEST_BYTES };
			this.#worker.postMessage(request);
			this.#asked += REQUEST_BYTES;
			this.#unanswered += 1;
		}
	}

	/** null: not all are known. */
	of(offset: number, bytes: number): Uint8Array | null {
		const leaves: Uint8Array[] = [];
		for (let at = offset; at < offset + bytes; at += CHUNK_BYTES) {
			const leaf = this.#leaves.get(at);
			if (leaf === undefined) return null;
			leaves.push(leaf);
		}
		return Buffer.concat(leaves);
	}

	/** They are of this file, and not of one that had its path before. */
	isOf(path: string): boolean {
		const { dev, ino } = statSync(path);
		return dev === this.#stat.dev && ino === this.#stat.ino;
	}

	async end(): Promise<void> {
		// It reads from the file until then.
		this.#ended ??= this.#worker.terminate().then(() => closeSync(this.#file));
		await this.#ended;
	}
}
