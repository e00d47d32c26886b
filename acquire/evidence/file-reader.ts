/**
 * Reads files by a process of its own, native/file-reader/, since a read may never come back: a file server that does
 * not answer makes whoever asks for a page of its files wait in the kernel, where a signal may not end that either.
 * This process stays free, and ends in time.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { codeOf, Failure } from '../../common/errors.ts';
import { errnoName } from '../../native/index.ts';

const PROGRAM = fileURLToPath(new URL('../../native/build/procsnap-reader', import.meta.url));
/** struct request, struct reply and struct about of native/file-reader/file_reader.c. */
const REQUEST_BYTES = 16, REPLY_BYTES = 8, ABOUT_BYTES = 16;
const MOST_BYTES = 1 << 20;
/** After the standard streams. */
const FIRST_GIVEN = 3;

/** What stat(2) says of a file. */
export interface About { bytes: number; inode: bigint }

export const TIMED_OUT = 'ETIMEDOUT';
/** What our own process may end with, or not begin. */
const OF_OURS = ['ECHILD', 'EPIPE', 'EAGAIN', 'ENOMEM'];

type Child = ChildProcessByStdio<Writable, Readable, null>;

interface Waiting {
	head: Buffer;
	body: Uint8Array;
	/** Bytes of both that came. */
	got: number;
	resolve: (bytes: number) => void;
	reject: (error: Error) => void;
}

/** Once it was closed it reads no more. One thing at a time. */
export class FileReader {
	#child: Child | undefined;
	#waiting: Waiting | undefined;
	#closed = false;
	/** Descriptors of this process's that the other one is given. */
	readonly #given: number[] = [];

	/**
	 * Bytes of a file from `offset` on; how many there were, fewer only where the file ends. `file`: a path, as another
	 * process finds it, so nothing of /proc/self; or a descriptor, which stays open. Throws what open(2) and pread(2)
	 * give, with the code ETIMEDOUT where that takes longer than `limitMs`, and what `signal` was aborted with.
	 */
	async read(
		file: string | number, offset: number, room: Uint8Array, limitMs: number, signal?: AbortSignal
	): Promise<number> {
		const path = typeof file === 'string' ? file : this.#pathOf(file);
		let done = 0;
		try {
			while (done < room.length) {
				const part = room.subarray(done, done + MOST_BYTES);
				const count = await this.#ask(path, offset + done, part, part.length, limitMs, signal);
				done += count;
				if (count < part.length) break;
			}
		} catch (error) {
			// What was read is not lost: who asks for the rest meets the error.
			if (done === 0) throw error;
		}
		return done;
	}

	/** Like read(). */
	async about(path: string, limitMs: number, signal?: AbortSignal): Promise<About> {
		const room = Buffer.alloc(ABOUT_BYTES);
		await this.#ask(path, 0, room, 0, limitMs, signal);
		return { bytes: Number(room.readBigUInt64LE(0)), inode: room.readBigUInt64LE(8) };
	}

	/** Whoever waits is told so. Once or more. */
	close(): void {
		this.#closed = true;
		this.#letGo(new Failure('the reader of files was closed'));
	}

	#pathOf(descriptor: number): string {
		if (!this.#given.includes(descriptor)) {
			this.#given.push(descriptor);
			// It is given when the process begins.
			this.#letGo(new Error('begun anew'));
		}
		return `#${FIRST_GIVEN + this.#given.indexOf(descriptor)}`;
	}

	/** A process of ours that was killed, or could not be made, says nothing of the file: once more, by another. */
	async #ask(
		path: string, offset: number, body: Uint8Array, length: number, limitMs: number, signal?: AbortSignal
	): Promise<number> {
		try {
			return await this.#askOnce(path, offset, body, length, limitMs, signal);
		} catch (error) {
			if (!OF_OURS.includes(codeOf(error) ?? '') || this.#closed) throw error;
			return this.#askOnce(path, offset, body, length, limitMs, signal);
		}
	}

	#askOnce(
		path: string, offset: number, body: Uint8Array, length: number, limitMs: number, signal?: AbortSignal
	): Promise<number> {
		if (this.#closed || this.#waiting !== undefined)
			return Promise.reject(new Error('the reader of files is closed, or asked for two things at once'));
		if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
		const name = Buffer.from(path), request = Buffer.alloc(REQUEST_BYTES);
		request.writeBigUInt64LE(BigInt(offset), 0);
		request.writeUInt32LE(length, 8);
		request.writeUInt32LE(name.length, 12);
		const { promise, resolve, reject } = Promise.withResolvers<number>();
		const waiting: Waiting = { head: Buffer.alloc(REPLY_BYTES), body, got: 0, resolve, reject };
		this.#waiting = waiting;
		const child = this.#child ??= this.#start();
		const late = Object.assign(new Error(`${path} was not read within ${limitMs / 1000} s`), { code: TIMED_OUT });
		const timer = setTimeout(() => {
			// Where this process itself stood still (Ctrl-Z) the answer may be there: it is heard after the timers.
			const { got } = waiting;
			setImmediate(() => {
				if (this.#waiting === waiting && waiting.got === got) this.#letGo(late);
			});
		}, limitMs);
		const aborted = () => this.#letGo(signal?.reason as Error);
		signal?.addEventListener('abort', aborted, { once: true });
		child.stdin.write(Buffer.concat([request, name]));
		return promise.finally(() => {
			clearTimeout(timer);
			signal?.removeEventListener('abort', aborted);
		});
	}

	#start(): Child {
		const child = spawn(PROGRAM, [String(process.pid)], {
			stdio: ['pipe', 'pipe', 'ignore', ...this.#given],
		}) as Child;
		child.stdout.on('data', (bytes: Buffer) => {
			if (child === this.#child) this.#hear(bytes);
		});
		for (const each of [child, child.stdin, child.stdout]) {
			each.on('error', (error: Error) => {
				if (child === this.#child) this.#letGo(error);
			});
		}
		child.on('exit', () => {
			if (child === this.#child) this.#letGo(
				Object.assign(new Error('the process that reads files was killed'), { code: 'ECHILD' })
			);
		});
		return child;
	}

	/** A part of a reply. */
	#hear(bytes: Buffer): void {
		const waiting = this.#waiting;
		if (waiting === undefined) return;
		const { head, body } = waiting;
		const ofHead = Math.min(bytes.length, Math.max(0, REPLY_BYTES - waiting.got));
		bytes.copy(head, waiting.got, 0, ofHead);
		const at = waiting.got + ofHead - REPLY_BYTES;
		if (bytes.length > ofHead) body.set(bytes.subarray(ofHead), at);
		waiting.got += bytes.length;
		if (waiting.got < REPLY_BYTES || waiting.got < REPLY_BYTES + head.readUInt32LE(4)) return;
		this.#waiting = undefined;
		const error = head.readInt32LE(0);
		if (error === 0) waiting.resolve(head.readUInt32LE(4));
		else waiting.reject(Object.assign(new Error(`${errnoName(-error)}: not read`), { code: errnoName(-error) }));
	}

	/** The process may wait in the kernel for longer than this one is there: nobody waits for it. */
	#letGo(reason: Error): void {
		const child = this.#child, waiting = this.#waiting;
		this.#child = undefined;
		this.#waiting = undefined;
		if (child !== undefined) {
			child.kill('SIGKILL');
			child.stdin.destroy();
			child.stdout.destroy();
			child.unref();
		}
		waiting?.reject(reason);
	}
}
