/** The target's program, read while the copy is: that must neither hold the copy up nor cost the evidence. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, Failure, messageOf } from '../common/errors.ts';
import { FileReader } from './evidence/file-reader.ts';

export interface ProgramFile {
	/** null: its file could not be asked. */
	bytes: number | null;
	inode: bigint | null;
	/** In hexadecimal; null: it could not be read. */
	sha256: string | null;
	/** All of it, where that was asked for and it is not too large. */
	content: Buffer | null;
	/** Why something of that is missing. */
	failed: string | null;
}

type Reader = Pick<FileReader, 'read' | 'about' | 'close'>;

const PIECE_BYTES = 1 << 20;
/** So long a disk or a file server may take for a piece of it. */
const PIECE_LIMIT_MS = 10_000;
/** When everything else is there, so long a disk or a file server may take that does not answer. */
const LIMIT_MS = 10_000;
/** It is sent as a part of the seal, and held in memory until then. */
export const MOST_KEPT_BYTES = 64 << 20;

/** Begins to read `path`; `keeps`: its content is wanted too. */
export class ProgramReading {
	readonly #reader: Reader;
	readonly #known: ProgramFile = {
		bytes: null, inode: null, sha256: null, content: null, failed: null,
	};
	readonly #result: Promise<ProgramFile>;

	constructor(path: string, keeps: boolean, reader: Reader = new FileReader()) {
		this.#reader = reader;
		this.#result = this.#readAll(path, keeps).catch((error: unknown) => {
			if (codeOf(error) === undefined && !(error instanceof Failure)) throw error;
			return { ...this.#known, failed: messageOf(error) };
		});
		// Where the take fails nobody asks for it.
		this.#result.catch(() => undefined);
	}

	async #readAll(path: string, keeps: boolean): Promise<ProgramFile> {
		const { bytes, inode } = await this.#reader.about(path, PIECE_LIMIT_MS);
		Object.assign(this.#known, { bytes, inode });
		const sha256 = createHash('sha256'), room = Buffer.allocUnsafe(PIECE_BYTES), pieces: Buffer[] = [];
		const keepsAll = keeps && bytes <= MOST_KEPT_BYTES;
		// No more than it had: a file server may have no end of it.
		for (let at = 0; at < bytes;) {
			const part = room.subarray(0, Math.min(PIECE_BYTES, bytes - at));
			const got = await this.#reader.read(path, at, part, PIECE_LIMIT_MS);
			if (got === 0) throw new Failure(`it had ${bytes} bytes, and ended after ${at}`);
			sha256.update(part.subarray(0, got));
			if (keepsAll) pieces.push(Buffer.from(part.subarray(0, got)));
			at += got;
		}
		return {
			bytes, inode, sha256: sha256.digest('hex'), content: keepsAll ? Buffer.concat(pieces) : null,
			failed: keeps && !keepsAll ? `it has ${bytes} bytes, and at most ${MOST_KEPT_BYTES} are kept` : null,
		};
	}

	/** Waits no longer than `limitMs`, nor after `signal`. */
	async result(signal: AbortSignal | undefined, limitMs = LIMIT_MS): Promise<ProgramFile> {
		const over = new AbortController();
		const both = AbortSignal.any([over.signal, ...(signal === undefined ? [] : [signal])]);
		try {
			return await Promise.race([
				this.#result,
				sleep(limitMs, undefined, { signal: both }).catch(() => undefined)
					.then(() => ({ ...this.#known, failed: 'it was not read in time' })),
			]);
		} finally {
			over.abort();
		}
	}

	/** Once or more. */
	close(): void {
		this.#reader.close();
	}
}
