/**
 * A thread that makes the leaves of a copy's file while that comes to be (early-leaves.ts), and sends to the disk what
 * it has read: on a machine whose memory is dear to touch first, a file that stays in it costs more than the disk does.
 */
import { readSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { dropCached } from '../../native/index.ts';
import { CHUNK_BYTES, leafHash } from './merkle.ts';

/** Of whole chunks, from `start` on. */
export interface EarlyRequest { start: number; bytes: number }
/** Their leaves, one after the other, as far as they could be read. */
export interface EarlyReply { start: number; leaves: Uint8Array }

const LOWEST_PRIORITY = 19;
/** Most often, what lies so far behind has reached the disk. So often that is looked at, since it takes a walk. */
const BEHIND_BYTES = 64 << 20;

try {
	setPriority(0, LOWEST_PRIORITY);	// of this thread: the target is at work
} catch {
	// Then it goes without.
}
const { file } = workerData as { file: number };
const room = Buffer.allocUnsafe(CHUNK_BYTES);

parentPort?.on('message', ({ start, bytes }: EarlyRequest) => {
	const leaves: Buffer[] = [];
	for (let at = start; at < start + bytes; at += CHUNK_BYTES) {
		if (readSync(file, room, 0, CHUNK_BYTES, at) < CHUNK_BYTES) break;
		leaves.push(leafHash(room));
	}
	// The first asks the disk to begin with it, the second takes from memory what is there; or later, if it is not yet.
	dropCached(file, start, bytes);
	if (start > BEHIND_BYTES && start % BEHIND_BYTES < bytes) dropCached(file, 0, start - BEHIND_BYTES);
	// In memory of its own: a part of a pool would be sent with all of that.
	const reply: EarlyReply = { start, leaves: Uint8Array.from(Buffer.concat(leaves)) };
	parentPort?.postMessage(reply);
});
