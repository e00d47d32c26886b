/**
 * A thread that digests a core as it is streamed, so that hashing holds up neither reading nor writing. It is told of
 * blocks, and answers each when it is done with it. Chunks it may be asked for of any block; regions of all that have a
 * part of one, in order, since each is digested as its bytes come by.
 */
import { createHash, hash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { WholeDigest } from './manifest.ts';
import { CHUNK_BYTES, leafHash } from './merkle.ts';

/** Start and end of each, one after the other: of tens of thousands an object each takes longer than to digest them. */
export type Ranges = Float64Array;

/** The first message. */
export interface DigestTask {
	memory: SharedArrayBuffer;
	/** A multiple of CHUNK_BYTES: no chunk is of two blocks. */
	blockBytes: number;
	/** Of regions, in the core: in order, not empty, without overlap. */
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
/** Where in the ranges the next one is. */
let next = 0;

function leavesOf(data: Uint8Array): Buffer {
	const leaves: Buffer[] = [];
	for (let at = 0; at < data.length; at += CHUNK_BYTES) leaves.push(leafHash(data.subarray(at, at + CHUNK_BYTES)));
	return Buffer.concat(leaves);
}

function regionsOf(data: Uint8Array, begin: number, ranges: Ranges): Buffer {
	const digests: Buffer[] = [], end = begin + data.length;
	for (; next < ranges.length && (ranges[next] as number) < end; next += 2) {
		const first = (ranges[next] as number) - begin, last = (ranges[next + 1] as number) - begin;
		const part = data.subarray(Math.max(first, 0), last);
		if (first >= 0 && last <= data.length) {
			digests.push(hash('sha256', part, 'buffer'));
			continue;
		}
		current ??= createHash('sha256');
		current.update(part);
		if (last > data.length) break;
		digests.push(current.digest());
		current = undefined;
	}
	return Buffer.concat(digests);
}

parentPort?.once('message', ({ memory, blockBytes, ranges, whole }: DigestTask) => {
	const all = whole.map((algorithm) => createHash(algorithm)), none = Buffer.alloc(0);
	parentPort?.on('message', (request: DigestRequest | WholeRequest) => {
		parentPort?.postMessage('whole' in request
			? { leaves: none, regions: none, whole: all.map((each) => each.digest('hex')) }
			: digested(request));
	});

	function digested({ place, block, bytes, chunks, regions }: DigestRequest): DigestReply {
		const data = new Uint8Array(memory, place * blockBytes, bytes);
		for (const each of all) each.update(data);
		return {
			leaves: chunks ? leavesOf(data) : none,
			regions: regions ? regionsOf(data, block * blockBytes, ranges) : none,
			whole: [],
		};
	}
});
