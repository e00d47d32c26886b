/**
 * Leaves of a core that is made of a copy's file, from while the copy is made: so all of it is read once, when it has
 * just been written, and leaves memory as soon as it is on the disk.
 */
import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { CopyFile, GrowingFile } from '../../mechanisms/shared/types.ts';
import type { EarlyReply, EarlyRequest } from './early-worker.ts';
import { CHUNK_BYTES, HASH_BYTES } from './merkle.ts';

/** A file that is smaller is digested later: a thread takes some time to start. */
const LEAST_BYTES = 64 << 20;
const REQUEST_BYTES = 4 << 20;

/** Those of the copy that is being made; of one that is given up for another they are forgotten. */
export class EarlyLeaves {
	#leaves: LeavesOfFile | null = null;

	/** So far its file is there. */
	reach({ path, wholeBytes }: GrowingFile): void {
		if (this.#leaves === null && wholeBytes < LEAST_BYTES) return;
		this.#leaves ??= new LeavesOfFile(path);
		this.#leaves.reach(wholeBytes);
	}

	/**
	 * Of so many bytes of the copy's file, as they are now that it is done; null: not all are known. It waits for what
	 * it has begun with. Throws what `signal` was aborted with.
	 */
	async known(file: CopyFile, signal?: AbortSignal): Promise<(offset: number, bytes: number) => Uint8Array | null> {
		const leaves = this.#leaves;
		if (leaves?.isOf(file.path) !== true) return () => null;
		await leaves.settled(signal);
		return (offset, bytes) => (file.wasCorrected(offset, bytes) ? null : leaves.of(offset, bytes));
	}

	/** Once or more. */
	async end(): Promise<void> {
		const leaves = this.#leaves;
		this.#leaves = null;
		await leaves?.end();
	}
}

class LeavesOfFile {
	/** By their place in the file. */
	readonly #leaves = new Map<number, Uint8Array>();
	readonly #file: number;
	readonly #worker: Worker;
	#failed = false;
	/** Up to there it was asked for, and answered. */
	#asked = 0;
	#answered = 0;
	#heard: (() => void) | undefined;

	constructor(path: string) {
		this.#file = openSync(path, 'r');
		this.#worker = new Worker(new URL('early-worker.ts', import.meta.url), { workerData: { path } });
		this.#worker.on('message', ({ start, leaves }: EarlyReply) => {
			for (let i = 0; i < leaves.length; i += HASH_BYTES)
				this.#leaves.set(start + i / HASH_BYTES * CHUNK_BYTES, leaves.subarray(i, i + HASH_BYTES));
			this.#answered = start + REQUEST_BYTES;
			this.#heard?.();
		});
		// What it has not told of is digested later.
		this.#worker.on('error', () => {
			this.#failed = true;
			this.#heard?.();
		});
	}

	reach(wholeBytes: number): void {
		for (; this.#asked + REQUEST_BYTES <= wholeBytes; this.#asked += REQUEST_BYTES) {
			const request: EarlyRequest = { start: this.#asked, bytes: REQUEST_BYTES };
			this.#worker.postMessage(request);
		}
	}

	/** Resolves when all that was asked for is known, or will not be. */
	async settled(signal?: AbortSignal): Promise<void> {
		while (!this.#failed && this.#answered < this.#asked) {
			await new Promise<void>((resolve) => { this.#heard = resolve; });
			signal?.throwIfAborted();
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
		const here = fstatSync(this.#file), there = statSync(path);
		return here.dev === there.dev && here.ino === there.ino;
	}

	async end(): Promise<void> {
		await this.#worker.terminate();
		closeSync(this.#file);
	}
}
