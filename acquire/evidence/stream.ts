/**
 * From the source to where the evidence goes, by way of the digests: a ring of blocks in memory that threads share,
 * each of which is read, then written and digested at once. Nothing is held twice; so much memory it takes, whatever
 * the size of the target.
 */
import { Worker } from 'node:worker_threads';
import type { DigestReply, DigestRequest, DigestTask, Ranges } from './digest-worker.ts';

/** A multiple of CHUNK_BYTES. */
const BLOCK_BYTES = 4 << 20;
const PLACES = 6;
const WASM_PAGE_BYTES = 64 << 10;

export interface Digests {
	/** The chunks' leaves (merkle.ts), one after the other. */
	leaves: Buffer;
	/** SHA-256 of each range, in the order of the ranges; empty where none were asked for. */
	ranges: Buffer;
}

/** Room for the next bytes in; how many there were. Fewer than there is room for: no more will come. */
type Fill = (room: Uint8Array) => Promise<number>;
/** Called in order. Those that have not resolved wait in their places: when all places are taken, no more is read. */
type Write = (bytes: Uint8Array, offset: number) => Promise<void>;

/** One is for one core. That it has memory is known when it is made, before anybody has to wait. */
export class CoreStream {
	readonly #memory = alignedMemory(BLOCK_BYTES * PLACES);
	readonly #threads: DigestThread[] = [];

	/**
	 * As soon as nobody waits: threads take a tenth of a second to start. `regions`: whether ranges are digested too.
	 */
	start({ regions }: { regions: boolean }): void {
		for (let i = 0; i < (regions ? 2 : 1); i++) this.#threads.push(new DigestThread());
	}

	/**
	 * After `start`. `ranges`: in order, not empty, without overlap. Throws what `fill` or `write` throw, or a
	 * thread. Ends the threads.
	 */
	async run(bytes: number, ranges: Ranges, fill: Fill, write: Write): Promise<Digests> {
		const places = Array.from({ length: PLACES }, () => Promise.resolve<unknown>(undefined));
		this.#threads.forEach((thread, i) =>
			thread.begin({ memory: this.#memory, blockBytes: BLOCK_BYTES, ranges: i === 0 ? 'chunks' : ranges }));
		try {
			for (let at = 0, block = 0; at < bytes; at += BLOCK_BYTES, block++) {
				const place = block % PLACES;
				await places[place];
				const room = new Uint8Array(this.#memory, place * BLOCK_BYTES, Math.min(BLOCK_BYTES, bytes - at));
				const got = await fill(room);
				if (got > 0) {
					const used = Promise.all([
						write(room.subarray(0, got), at),
						...this.#threads.map((thread) => thread.digest({ place, block, bytes: got })),
					]);
					// Who waits for it comes later; a failure before that is not unheard.
					used.catch(() => undefined);
					places[place] = used;
				}
				if (got < room.length) break;
			}
			await Promise.all(places);
			const [leaves = Buffer.alloc(0), digests = Buffer.alloc(0)] = this.#threads.map((thread) =>
				Buffer.concat(thread.digests));
			return { leaves, ranges: digests };
		} finally {
			// Nobody writes from memory, or into a file, that its owner believes to be done with.
			await Promise.allSettled(places);
			await this.end();
		}
	}

	/** Once or more. */
	async end(): Promise<void> {
		await Promise.all(this.#threads.map((thread) => thread.end()));
	}
}

/**
 * Memory that threads share, at the beginning of a page: direct I/O wants that, and of all that JavaScript has only
 * WebAssembly's is.
 */
function alignedMemory(bytes: number): SharedArrayBuffer {
	const pages = bytes / WASM_PAGE_BYTES;
	const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
	return buffer as unknown as SharedArrayBuffer;
}

class DigestThread {
	readonly digests: Uint8Array[] = [];
	readonly #worker: Worker;
	readonly #waiting: Array<{ resolve: () => void; reject: (error: unknown) => void }> = [];
	#failure: Error | undefined;

	constructor() {
		this.#worker = new Worker(new URL('digest-worker.ts', import.meta.url));
		this.#worker.on('message', ({ digests }: DigestReply) => {
			this.digests.push(digests);
			this.#waiting.shift()?.resolve();
		});
		this.#worker.on('error', (error: Error) => {
			this.#failure = error;
			for (const { reject } of this.#waiting.splice(0)) reject(error);
		});
	}

	begin(task: DigestTask): void {
		this.#worker.postMessage(task);
	}

	digest(request: DigestRequest): Promise<void> {
		return new Promise((resolve, reject) => {
			if (this.#failure !== undefined) {
				reject(this.#failure);
				return;
			}
			this.#waiting.push({ resolve, reject });
			this.#worker.postMessage(request);
		});
	}

	async end(): Promise<void> {
		await this.#worker.terminate();
	}
}
