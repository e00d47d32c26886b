/**
 * A thread that digests a core as it is streamed, so that hashing holds up neither reading nor writing. It is told of
 * blocks, and answers each when it is done with it. Chunks it may be asked for of any block; regions of all that have a
 * part of one, in order, since each is digested as its bytes come by.
 */
import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { WholeDigest } from './manifest.ts';
import { CHUNK_BYTES, leafHash } from './merkle.ts';

export type Ranges = Array<{ start: number; end: number }>;

/** The first message. */
export interface DigestTask {
	memory: SharedArrayBuffer;
	/** A multiple of CHUNK_BYTES: no chunk is of two blocks. */
	blockBytes: number;
	/** Of regions, in the core: in order, without overlap. */
	ranges: Ranges;
	/** Digests of all of the core that this thread makes. */
	whole: WholeDigest[];
}

/** Block number `block` has `bytes` bytes and lies in place `place` of the memory. What of it is to be digested. */
export interface DigestRequest { place: number; block: number; bytes: number; chunks: boolean; regions: boolean }
/** After the last block. */
export interface WholeRequest { whole: true }
/**
 * One after the other: the leaves of its chunks, and the digests of the regions that end within the block. `whole`, in
 * hexadecimal and in the order of the task, only after the last block.
 */
export interface DigestReply { leaves: Uint8Array; regions: Uint8Array; whole: string[] }

let current: Hash | undefined;
let next = 0;

function leavesOf(data: Uint8Array): Buffer {
	const leaves: Buffer[] = [];
	for (let at = 0; at < data.length; at += CHUNK_BYTES) leaves.push(leafHash(data.subarray(at, at + CHUNK_BYTES)));
	return Buffer.concat(leaves);
}

function regionsOf(data: Uint8Array, begin: number, ranges: Ranges): Buffer {
	const digests: Buffer[] = [], end = begin + data.length;
	for (let range = ranges[next]; range !== undefined && range.start < end; range = ranges[next]) {
		current ??= createHash('sha256');
		current.update(data.subarray(Math.max(range.start - begin, 0), range.end - begin));
		if (range.end > end) break;
		digests.push(current.digest());
		current = undefined;
		next += 1;
	}
	return Buffer.concat(digests);
}

parentPort?.once('message', ({ memory, blockBytes, ranges, whole }: DigestTask) => {
	const all = whole.map((algorithm) => createHash(algorithm)), none = Buffer.alloc(0);
	parentPort?.on('message', (request: DigestRequest | WholeRequest) => {
		parentPort?.postMessage('whole' in request
			? { leaves: none, regions: none, whole: all.map((hash) => hash.digest('hex')) }
			: digested(request));
	});

	function digested({ place, block, bytes, chunks, regions }: DigestRequest): DigestReply {
		const data = new Uint8Array(memory, place * blockBytes, bytes);
		for (const hash of all) hash.update(data);
		return {
			leaves: chunks ? leavesOf(data) : none,
			regions: regions ? regionsOf(data, block * blockBytes, ranges) : none,
			whole: [],
		};
	}
});
