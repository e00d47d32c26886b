/**
 * A thread that digests a core as it is streamed, so that hashing holds up neither reading nor writing: one for the
 * chunks' leaves, one for the regions. It is told of blocks in order and answers each when it is done with it.
 */
import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { CHUNK_BYTES } from './merkle.ts';

export type Ranges = Array<{ start: number; end: number }>;

/** The first message. */
export interface DigestTask {
	memory: SharedArrayBuffer;
	blockBytes: number;
	/**
	 * `chunks`: every CHUNK_BYTES end one, and each begins with a byte 0 (merkle.ts). Otherwise where digests begin
	 * and end.
	 */
	ranges: 'chunks' | Ranges;
}

/** Block number `block` has `bytes` bytes and lies in place `place` of the memory. */
export interface DigestRequest { place: number; block: number; bytes: number }
/** The digests that ended within the block, one after the other. */
export interface DigestReply { place: number; digests: Uint8Array }

let current: Hash | undefined;
let next = 0;

const range = (ranges: DigestTask['ranges'], index: number, end: number): { start: number; end: number } | undefined =>
	(ranges === 'chunks'
		? { start: index * CHUNK_BYTES, end: Math.min((index + 1) * CHUNK_BYTES, end) }
		: ranges[index]);

function digest({ memory, blockBytes, ranges }: DigestTask, { block, bytes, place }: DigestRequest): Buffer[] {
	const data = new Uint8Array(memory, place * blockBytes, bytes);
	const begin = block * blockBytes;
	const end = begin + bytes;
	// Only the last block is short, and the last chunk ends with it.
	const total = bytes < blockBytes ? end : Infinity;
	const digests: Buffer[] = [];
	for (let at = begin; at < end;) {
		const found = range(ranges, next, total);
		if (found === undefined || found.start >= end) break;
		at = Math.max(at, found.start);
		current ??= ranges === 'chunks' ? createHash('sha256').update(Buffer.from([0])) : createHash('sha256');
		const until = Math.min(found.end, end);
		current.update(data.subarray(at - begin, until - begin));
		at = until;
		if (at === found.end) {
			digests.push(current.digest());
			current = undefined;
			next += 1;
		}
	}
	return digests;
}

parentPort?.once('message', (task: DigestTask) => {
	parentPort?.on('message', (request: DigestRequest) => {
		const reply: DigestReply = { place: request.place, digests: Buffer.concat(digest(task, request)) };
		parentPort?.postMessage(reply);
	});
});
