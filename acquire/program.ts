/** SHA-256 of the target's program, read while the copy is: it must neither hold that up nor cost the evidence. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, messageOf } from '../common/errors.ts';

export interface ProgramHash {
	/** In hexadecimal; null: it could not be read. */
	sha256: string | null;
	/** Why not. */
	failed: string | null;
}

const PIECE_BYTES = 1 << 20;
/** When everything else is there, so long a disk or a file server may take that does not answer. */
const LIMIT_MS = 10_000;

/** Begins to read `file`, which is closed when that is over. */
export class ProgramHashing {
	readonly #result: Promise<ProgramHash>;

	constructor(file: Pick<FileHandle, 'read' | 'close'>) {
		this.#result = hash(file).then(
			(sha256) => ({ sha256, failed: null }),
			(error: unknown) => {
				if (codeOf(error) === undefined) throw error;
				return { sha256: null, failed: messageOf(error) };
			}
		);
		// Where the take fails nobody asks for it.
		this.#result.catch(() => undefined);
	}

	/** Waits no longer than `limitMs`, nor after `signal`. */
	async result(signal: AbortSignal | undefined, limitMs = LIMIT_MS): Promise<ProgramHash> {
		const over = new AbortController();
		const both = AbortSignal.any([over.signal, ...(signal === undefined ? [] : [signal])]);
		try {
			return await Promise.race([
				this.#result,
				sleep(limitMs, undefined, { signal: both }).catch(() => undefined)
					.then(() => ({ sha256: null, failed: 'it was not read in time' })),
			]);
		} finally {
			over.abort();
		}
	}
}

async function hash(file: Pick<FileHandle, 'read' | 'close'>): Promise<string> {
	try {
		const sha256 = createHash('sha256'), room = Buffer.allocUnsafe(PIECE_BYTES);
		for (let at = 0, bytesRead; ; at += bytesRead) {
			({ bytesRead } = await file.read(room, 0, room.length, at));
			if (bytesRead === 0) return sha256.digest('hex');
			sha256.update(room.subarray(0, bytesRead));
		}
	} finally {
		await file.close().catch(() => undefined);
	}
}
