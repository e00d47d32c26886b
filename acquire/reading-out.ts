/** The core's bytes, from the copy to where the evidence goes, with their digests on the way. */
import { messageOf } from '../common/errors.ts';
import type { Image } from '../mechanisms/shared/types.ts';
import { nowNs } from '../native/index.ts';
import type { CoreLayout } from './evidence/core.ts';
import type { EarlyLeaves } from './evidence/early-leaves.ts';
import { NoRoom, type Destination } from './evidence/folder.ts';
import { isDigested, type WholeDigest } from './evidence/manifest.ts';
import { digestedRanges } from './evidence/records.ts';
import type { CoreSource } from './evidence/source.ts';
import { CoreStream, type Digests } from './evidence/stream.ts';
import { knownInPlace, toWrite, unused } from './laying-out.ts';

/** Why nothing was written from some byte of the core on: it is zeros. */
export interface CutOff { at: number; reason: string; sinceNs: number }

export interface Read { digests: Digests; cutOff: CutOff | null }

/**
 * What digests of the whole core are made. A large core that is made of the copy's own file has been read and digested,
 * chunk by chunk, while the copy was made: to read it once more takes longer than all the rest, and is done only for
 * whoever asks.
 */
export const wholeDigests = (
	{ inPlace, bytes }: CoreLayout, asked: readonly WholeDigest[] | undefined
): readonly WholeDigest[] => asked ?? (inPlace === null || isDigested(bytes) ? ['sha256'] : []);

/** `stream` has been started. Throws what reading or writing throws, and what `signal` was aborted with. */
export async function readOut(
	{ layout, image, source, stream, early, destination, whole, progress, signal }: {
		layout: CoreLayout; image: Image; source: CoreSource; stream: CoreStream; early: EarlyLeaves;
		destination: Destination; whole: readonly WholeDigest[];
		progress?: ((done: number, total: number) => void) | undefined; signal?: AbortSignal | undefined;
	}
): Promise<Read> {
	const file = layout.inPlace === null || whole.length > 0 ? undefined : image.inFile?.();
	const known = file === undefined ? () => null : knownInPlace(layout, early.known(file));
	await early.end();
	const fill = (room: Uint8Array): Promise<number> => {
		signal?.throwIfAborted();
		return source.fill(room);
	};
	let failedAt = layout.bytes;
	const write = async (bytes: Uint8Array, offset: number): Promise<void> => {
		try {
			for (const { start, end } of toWrite(layout, { start: offset, end: offset + bytes.length }))
				await destination.write(bytes.subarray(start - offset, end - offset), start);
		} catch (error) {
			failedAt = Math.min(failedAt, offset);
			throw error;
		}
		progress?.(offset + bytes.length, layout.bytes);
	};
	const skipKnown = (offset: number, bytes: number): Uint8Array | null => {
		const leaves = known(offset, bytes);
		if (leaves === null) return null;
		source.skip(bytes);
		progress?.(offset + bytes, layout.bytes);
		return leaves;
	};
	try {
		const digests = await stream.run(layout.bytes, digestedRanges(layout), fill, write, skipKnown);
		await destination.empty?.(unused(layout));
		return { digests, cutOff: null };
	} catch (error) {
		// Without its head no core can be read.
		const { cutOff: cutOffAt } = destination;
		if (!(error instanceof NoRoom) || cutOffAt === undefined || failedAt < layout.head.length) throw error;
		signal?.throwIfAborted();
		const cutOff = { at: failedAt, reason: messageOf(error), sinceNs: Number(nowNs()) };
		const readBack = await cutOffAt(failedAt, layout.bytes);
		await destination.empty?.(unused(layout));
		return { digests: await digestAgain(layout, whole, readBack, signal), cutOff };
	}
}

/** Of what is there now: what was not written is zeros, and some of it had been digested by then. */
async function digestAgain(
	layout: CoreLayout, whole: readonly WholeDigest[],
	readBack: (room: Uint8Array, at: number) => Promise<void>, signal: AbortSignal | undefined
): Promise<Digests> {
	const stream = new CoreStream();
	let at = 0;
	stream.start({ regions: true, whole });
	return stream.run(layout.bytes, digestedRanges(layout), async (room) => {
		signal?.throwIfAborted();
		await readBack(room, at);
		at += room.length;
		return room.length;
	}, () => Promise.resolve());
}
