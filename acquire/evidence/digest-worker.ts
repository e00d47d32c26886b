/**
 * A thread that digests a core as it is streamed, so that hashing holds up neither reading nor writing. It is told of
 * blocks, and answers each when it is done with it. Chunks it may be asked for of any block; regions of all that have a
 * part of one, in order, since each is digested as its bytes come by.
 */
import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { CHUNK_BYTES, leafHash } from './merkle.ts';

export type Ranges = Array<{ start: number; end: number }>;

/** The first message. */
export interface DigestTask {
	memory: SharedArrayBuffer;
	/** A multiple of CHUNK_BYTES: no chunk is of two blocks. */
	blockBytes: number;
	/** Of regions, in the core: in order, without overlap. */
	ranges: Ranges;
}

/** Block number `block` has `bytes` bytes and lies in place `place` of the memory. What of it is to be digested. */
export interface DigestRequest { place: number; block: number; bytes: number; chunks: boolean; regions: boolean }
/** One after the other: the leaves of its chunks, and the digests of the regions that end within the block. */
export interface DigestReply { leaves: Uint8Array; regions: Uint8Array }

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

parentPort?.once('message', ({ memory, blockBytes, ranges }: DigestTask) => {
	parentPort?.on('message', ({ place, block, bytes, chunks, regions }: DigestRequest) => {
		const data = new Uint8Array(memory, place * blockBytes, bytes), none = Buffer.alloc(0);
		const reply: DigestReply = {
			leaves: chunks ? leavesOf(data) : none,
			regions: regions ? regionsOf(data, block * blockBytes, ranges) : none,
		};
		parentPort?.postMessage(reply);
	});
});
