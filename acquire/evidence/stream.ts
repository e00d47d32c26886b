/**
 * From the source to where the evidence goes, by way of the digests: a ring of blocks in memory that threads share,
 * each of which is read, then written and digested at once. Nothing is held twice; so much memory it takes, whatever
 * the size of the target.
 */
import { Worker } from 'node:worker_threads';
import type { DigestReply, DigestRequest, DigestTask, Ranges, WholeRequest } from './digest-worker.ts';
import type { WholeDigest } from './manifest.ts';

/** A multiple of CHUNK_BYTES. */
const BLOCK_BYTES = 4 << 20;
const PLACES = 6;
const WASM_PAGE_BYTES = 64 << 10;

export interface Digests {
	/** The chunks' leaves (merkle.ts), one after the other. */
	leaves: Buffer;
	/** SHA-256 of each range, in the order of the ranges; empty where none were asked for. */
	ranges: Buffer;
	/** Of all of the core, in hexadecimal; those that were asked for. */
	whole: Partial<Record<WholeDigest, string>>;
}

/** Room for the next bytes in; how many there were. Fewer than there is room for: no more will come. */
type Fill = (room: Uint8Array) => Promise<number>;
/** Called in order. Those that have not resolved wait in their places: when all places are taken, no more is read. */
type Write = (bytes: Uint8Array, offset: number) => Promise<void>;

/** The leaves of a block that is not to be read again, nor written, and of which no range has a part; null: it is. */
type Known = (offset: number, bytes: number) => Uint8Array | null;

/** One is for one core. That it has memory is known when it is made, before anybody has to wait. */
export class CoreStream {
	readonly #memory = alignedMemory(BLOCK_BYTES * PLACES);
	readonly #threads: DigestThread[] = [];
	/** Where in the ranges the first one is that does not end before a block. */
	#next = 0;

	/**
	 * As soon as nobody waits: threads take a tenth of a second to start. `regions`: whether ranges are digested too.
	 * `whole`: what digests of all of the core are made; then no block is known from before.
	 */
	start({ regions, whole = [] }: { regions: boolean; whole?: readonly WholeDigest[] }): void {
		const threads = regions || whole.length > 0 ? 2 : 1;
		// The last thread has the regions.
		for (let i = 0; i < threads; i++)
			this.#threads.push(new DigestThread(whole.filter((_, at) => at % threads === i)));
	}

	/**
	 * After `start`. `ranges`: in order, not empty, without overlap. Throws what `fill` or `write` throw, or a
	 * thread. Ends the threads.
	 */
	async run(
		bytes: number, ranges: Ranges, fill: Fill, write: Write, known: Known = () => null
	): Promise<Digests> {
		const places = Array.from({ length: PLACES }, () => Promise.resolve<unknown>(undefined));
		const leaves: Uint8Array[] = [], regions: Uint8Array[] = [];
		for (const thread of this.#threads) thread.begin(this.#memory, BLOCK_BYTES, ranges);
		try {
			for (let at = 0, block = 0; at < bytes; at += BLOCK_BYTES, block++) {
				const place = block % PLACES, length = Math.min(BLOCK_BYTES, bytes - at), before = known(at, length);
				if (before !== null) {
					leaves[block] = before;
					continue;
				}
				await places[place];
				const room = new Uint8Array(this.#memory, place * BLOCK_BYTES, length);
				const got = await fill(room);
				if (got > 0) {
					const used = Promise.all([
						write(room.subarray(0, got), at),
						...this.#digest(ranges, { place, block, bytes: got }, leaves, regions),
					]);
					// Who waits for it comes later; a failure before that is not unheard.
					used.catch(() => undefined);
					places[place] = used;
				}
				if (got < room.length) break;
			}
			await Promise.all(places);
			const whole = await Promise.all(this.#threads.map((thread) => thread.finish()));
			return {
				leaves: Buffer.concat(leaves), ranges: Buffer.concat(regions),
				whole: Object.fromEntries(whole.flat()),
			};
		} finally {
			// Nobody writes from memory, or into a file, that its owner believes to be done with.
			await Promise.allSettled(places);
			await this.end();
		}
	}

	/** Chunks by the thread that has the least to do, regions by one, in order. Into the lists. */
	#digest(
		ranges: Ranges, where: Pick<DigestRequest, 'place' | 'block' | 'bytes'>, leaves: Uint8Array[],
		regions: Uint8Array[]
	): Array<Promise<void>> {
		const begin = where.block * BLOCK_BYTES, end = begin + where.bytes;
		while ((ranges[this.#next + 1] ?? Infinity) <= begin) this.#next += 2;
		const hasRegion = (ranges[this.#next] ?? Infinity) < end;
		const ofRegions = hasRegion ? this.#threads.at(-1) : undefined;
		const ofChunks = this.#threads.reduce((idlest, thread) => {
			const more = (each: DigestThread): number => each.waitingBytes + (each === ofRegions ? where.bytes : 0);
			return more(thread) < more(idlest) ? thread : idlest;
		});
		const ofWhole = this.#threads.filter(({ whole }) => whole.length > 0);
		const all = new Set([ofChunks, ofRegions, ...ofWhole].filter((thread) => thread !== undefined));
		return [...all].map(async (thread) => {
			const reply = await thread.digest({ ...where, chunks: thread === ofChunks, regions: thread === ofRegions });
			if (thread === ofChunks) leaves[where.block] = reply.leaves;
			if (thread === ofRegions) regions.push(reply.regions);	// by one thread, which answers in order
		});
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

interface Waiting { bytes: number; resolve: (reply: DigestReply) => void; reject: (error: unknown) => void }

class DigestThread {
	/** Those that it has been told of and has not answered, once for each digest that they are of. */
	waitingBytes = 0;
	readonly whole: readonly WholeDigest[];
	readonly #worker: Worker;
	readonly #waiting: Waiting[] = [];
	#failure: Error | undefined;

	constructor(whole: readonly WholeDigest[]) {
		this.whole = whole;
		this.#worker = new Worker(new URL('digest-worker.ts', import.meta.url));
		this.#worker.on('message', (reply: DigestReply) => {
			const answered = this.#waiting.shift();
			this.waitingBytes -= answered?.bytes ?? 0;
			answered?.resolve(reply);
		});
		this.#worker.on('error', (error: Error) => {
			this.#failure = error;
			for (const { reject } of this.#waiting.splice(0)) reject(error);
		});
	}

	begin(memory: SharedArrayBuffer, blockBytes: number, ranges: Ranges): void {
		this.#worker.postMessage({ memory, blockBytes, ranges, whole: [...this.whole] } satisfies DigestTask);
	}

	digest(request: DigestRequest): Promise<DigestReply> {
		const digests = Number(request.chunks) + Number(request.regions) + this.whole.length;
		return this.#ask(request, request.bytes * digests);
	}

	/** After all blocks: digests of the whole. */
	async finish(): Promise<Array<[WholeDigest, string]>> {
		if (this.whole.length === 0) return [];
		const digests = (await this.#ask({ whole: true }, 0)).whole;
		return this.whole.map((algorithm, i) => [algorithm, digests[i] ?? '']);
	}

	#ask(request: DigestRequest | WholeRequest, bytes: number): Promise<DigestReply> {
		return new Promise((resolve, reject) => {
			if (this.#failure !== undefined) {
				reject(this.#failure);
				return;
			}
			this.waitingBytes += bytes;
			this.#waiting.push({ bytes, resolve, reject });
			this.#worker.postMessage(request);
		});
	}

	async end(): Promise<void> {
		await this.#worker.terminate();
	}
}
