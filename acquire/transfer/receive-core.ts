/**
 * The core as it comes: written and digested at once, in as little memory as goes with that, since many transfers may
 * be under way. Unlike a collector's stream (evidence/stream.ts) it has no thread of its own: that alone would take
 * more than all the rest, and a link is slower than Node's own threads hash.
 */
import { webcrypto } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { CHUNK_BYTES, HASH_BYTES } from '../evidence/merkle.ts';
import type { IncomingCore } from './incoming-core.ts';
import { line, type Wire } from './protocol.ts';

/** One is filled while another one is written and digested, and a third waits for the disk. */
const PLACES = 3;
const WASM_PAGE_BYTES = 64 << 10;
/** A chunk at the beginning of a page, as direct I/O wants it, and the byte before it that makes a leaf of it. */
const PLACE_BYTES = WASM_PAGE_BYTES + CHUNK_BYTES;

/** Ends the connection unless what is waited for comes in time. */
export type Within = <T>(ms: number, waiting: Promise<T>) => Promise<T>;

export interface Rate {
	idleMs: number;
	leastBytesPerSecond: number;
}

/** What `size` bytes may take to come. */
export const timeFor = (size: number, { idleMs, leastBytesPerSecond }: Rate): number =>
	idleMs + size / leastBytesPerSecond * 1000;

/** Of a core of `bytes` bytes: its leaves, and those that the seal brings. */
export const leavesBytes = (bytes: number): number => Math.ceil(bytes / CHUNK_BYTES) * HASH_BYTES;

/**
 * Its leaves (merkle.ts). What is there already is read again for them; the rest comes by the wire. Throws Error if the
 * link ends before, or what write(2) gives.
 */
export async function receiveCore(
	core: IncomingCore, bytes: number, socket: TLSSocket, wire: Wire, within: Within, rate: Rate
): Promise<Buffer> {
	const had = core.have;
	const { buffer } = new WebAssembly.Memory({ initial: PLACES * PLACE_BYTES / WASM_PAGE_BYTES });
	const leaves = Buffer.alloc(leavesBytes(bytes));
	const places = Array.from({ length: PLACES }, () => Promise.resolve<unknown>(undefined));
	const fill = async (room: Uint8Array, at: number): Promise<boolean> => {
		const again = Math.max(0, Math.min(room.length, had - at)), wanted = room.subarray(again);
		if (again > 0) {
			// Its peer waits on another link by now, for this one to let go.
			if (socket.destroyed) return false;
			await core.read(room.subarray(0, again), at);
		}
		return wanted.length === 0 ||
			await within(timeFor(wanted.length, rate), wire.fill(wanted)) === wanted.length;
	};
	const keep = async (block: Uint8Array, at: number): Promise<void> => {
		const from = Math.max(0, Math.min(block.length, had - at));
		try {
			if (from < block.length) await core.write(block.subarray(from), at + from);
		} catch (error) {
			// Nobody waits for what cannot be kept.
			socket.destroy(error instanceof Error ? error : undefined);
			throw error;
		}
		// Of what was there already too: to read that again can take longer than a silent link is waited for. A peer
		// that does not listen is not told without end; the last word it is told.
		if (!socket.writableNeedDrain || core.have === bytes) socket.write(line({ have: core.have }));
	};
	try {
		for (let at = 0, chunk = 0; at < bytes; at += CHUNK_BYTES, chunk++) {
			const place = chunk % PLACES, length = Math.min(CHUNK_BYTES, bytes - at);
			await places[place];
			const begin = place * PLACE_BYTES + WASM_PAGE_BYTES, room = new Uint8Array(buffer, begin, length);
			// Of what came before the link was lost, the whole chunks are kept.
			if (!await fill(room, at)) break;
			const used = Promise.all([
				keep(room, at), digest(new Uint8Array(buffer, begin - 1, length + 1), leaves, chunk),
			]);
			// Who waits for it comes later; a failure before that is not unheard.
			used.catch(() => undefined);
			places[place] = used;
		}
		await Promise.all(places);
	} finally {
		// Nobody writes from memory, or into a file, that its owner believes to be done with.
		await Promise.allSettled(places);
	}
	if (core.have < bytes) throw socket.errored ?? new Error('the peer closed it');
	return leaves;
}

/** The byte before the chunk is 0: what leafHash() puts there (RFC 6962, 2.1). */
async function digest(leaf: Uint8Array<ArrayBuffer>, leaves: Buffer, chunk: number): Promise<void> {
	leaves.set(new Uint8Array(await webcrypto.subtle.digest('SHA-256', leaf)), chunk * HASH_BYTES);
}
