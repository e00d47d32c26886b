/**
 * The bytes of a core, in order: its head, what its file has already, then memory as it is read. What cannot be read is
 * zeros, and is listed; but what its file has already was read once, and not to get it back is an error.
 */
import type { CopyFile, FileReading, Image, Memory } from '../../mechanisms/shared/types.ts';
import { nowNs } from '../../native/index.ts';
import { codeOf } from '../../common/errors.ts';
import { hasFile, isHugetlb, type Region } from '../../common/proc/regions.ts';
import type { CoreLayout } from './core.ts';
import { FileReader, TIMED_OUT } from './file-reader.ts';
import type { LiveTarget } from './live.ts';
import { PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';

export interface Unreadable {
	start: number;
	end: number;
	/**
	 * `EIO`: past the end of its file, or a page that the hardware lost. `ESRCH`: the process that it is of, duplicate
	 * or target, had ended, or executed another program, before it was read. `ENODATA`: the target did not have it in
	 * its memory any more. `ETIMEDOUT`: the disk or the file server that it is of did not answer in time, now or when
	 * it was asked before. `ENOSPC`: it was read, and could not be written. Others: what read(2) says.
	 */
	errno: string;
}

/** `limitMs`: what is of a file and does not come within that is unreadable. `signal` ends each read. */
export interface Patience { limitMs?: number; signal?: AbortSignal | undefined }

/** When a region was read: what is shared goes on changing. */
export interface ReadTime {
	begunNs: number;
	endedNs: number;
}

interface Piece {
	start: number;
	end: number;
	/** Whose memory; or what else it is. `file`: that of the copy, at the same place. */
	from: 'head' | 'file' | 'zeros' | 'duplicate' | 'target';
	/** Of memory. */
	address: number;
	/** Which of the layout's contents it is of, from one to another; none: both are -1. */
	first: number;
	last: number;
	/** null: the head's, or zeros. */
	region: Region | null;
	/** Pages of a file, which may be on a file server that does not answer: read by somebody else. */
	ofFile: boolean;
}

/** So long a disk or a file server may take for a megabyte. */
const READ_LIMIT_MS = 10_000;
/** So long, if it has not answered once. */
const AGAIN_LIMIT_MS = 500;
/** Regions of so much together are read at once, and have one time of reading. */
const MOST_AS_ONE_BYTES = 1 << 20;

export class CoreSource {
	readonly unreadable: Unreadable[] = [];
	/** Huge pages of the duplicate that the target has taken back, and that were read from it in their place. */
	readonly takenBack: Array<{ start: number; end: number }> = [];
	/** One for each of the layout's contents, as soon as something of it has been read. CLOCK_MONOTONIC_RAW. */
	readonly times: ReadTime[] = [];
	readonly bytes: number;
	/**
	 * Since when the duplicate is known to have ended, and how many of its bytes are zeros for that.
	 * CLOCK_MONOTONIC_RAW.
	 */
	lost: { sinceNs: number; bytes: number } | null = null;
	readonly #head: Buffer;
	readonly #pieces: Piece[];
	readonly #duplicate: Memory;
	readonly #file: CopyFile | null;
	readonly #target: LiveTarget;
	readonly #reader = new FileReader();
	readonly #limitMs: number;
	readonly #signal: AbortSignal | undefined;
	/** Those that have not answered: regions, and what devices their files are on. */
	readonly #silent = { regions: new Set<Region>(), devices: new Set<string>() };
	#next = 0;
	#at = 0;

	private constructor(
		layout: CoreLayout, pieces: Piece[], duplicate: Memory, file: CopyFile | null, target: LiveTarget,
		{ limitMs = READ_LIMIT_MS, signal }: Patience
	) {
		this.#head = layout.head;
		this.bytes = layout.bytes;
		this.#pieces = pieces;
		this.#duplicate = duplicate;
		this.#file = file;
		this.#target = target;
		this.#limitMs = limitMs;
		this.#signal = signal;
	}

	/**
	 * `from` has, for each of the layout's contents, whose memory it is; `own` has, where it is of a file, which of its
	 * pages are that one's own.
	 */
	static async open(
		layout: CoreLayout, from: ReadonlyArray<'duplicate' | 'target'>, own: ReadonlyArray<readonly Run[]>,
		copy: Pick<Image, 'openMemory' | 'inFile'>, target: LiveTarget, patience: Patience = {}
	): Promise<CoreSource> {
		const file = layout.inPlace === null ? null : copy.inFile?.() ?? null;
		return new CoreSource(layout, piecesOf(layout, from, own), await copy.openMemory(), file, target, patience);
	}

	/** The next bytes, as many as there is room for, fewer only at the end. */
	async fill(room: Uint8Array): Promise<number> {
		let filled = 0;
		while (filled < room.length && this.#at < this.bytes) {
			const piece = this.#pieces[this.#next] as Piece;
			const length = Math.min(room.length - filled, piece.end - this.#at);
			const part = room.subarray(filled, filled + length);
			const begunNs = Number(nowNs());
			this.#signal?.throwIfAborted();
			await this.#fillPart(part, piece);
			const endedNs = Number(nowNs());
			for (let i = Math.max(0, piece.first); i <= piece.last; i++)
				(this.times[i] ??= { begunNs, endedNs }).endedNs = endedNs;
			filled += length;
			this.#at += length;
			if (this.#at === piece.end) this.#next += 1;
		}
		return filled;
	}

	/** The next bytes, which lie in the core's file, and are not read now. */
	skip(bytes: number): void {
		for (const end = this.#at + bytes; this.#at < end;) {
			const piece = this.#pieces[this.#next] as Piece;
			this.#at = Math.min(piece.end, end);
			if (this.#at === piece.end) this.#next += 1;
		}
	}

	async #fillPart(part: Uint8Array, piece: Piece): Promise<void> {
		const at = this.#at, { from, address, start } = piece;
		switch (from) {
			case 'head': part.set(this.#head.subarray(at, at + part.length)); break;
			case 'zeros': part.fill(0); break;
			case 'file':
				if (this.#file === null) throw new Error('a part of the core lies in a file that there is not');
				await this.#file.read(part, at);
				break;
			case 'target': await this.#readTarget(part, address + at - start, piece); break;
			case 'duplicate': await this.#read(part, address + at - start, 'duplicate', piece);
		}
	}

	/**
	 * Pages that have left the live target's memory since it was planned would come back into it: they are not read.
	 * If the target has ended, that is found out, and noted, where its memory is read.
	 */
	async #readTarget(room: Uint8Array, address: number, piece: Piece): Promise<void> {
		const whole = { start: address, end: address + room.length };
		let at = address;
		for (const { start, end } of [
			...this.#target.populated(whole, 'resident') ?? [whole], { start: whole.end, end: whole.end },
		]) {
			if (start > at) {
				room.fill(0, at - address, start - address);
				this.#note(at, start, 'ENODATA');
			}
			await this.#read(room.subarray(start - address, end - address), start, 'target', piece);
			at = end;
		}
	}

	async #read(
		room: Uint8Array, address: number, memory: 'duplicate' | 'target', piece: Piece
	): Promise<void> {
		for (let done = 0; done < room.length;) {
			try {
				const bytesRead = await this.#some(room, done, address, memory, piece);
				if (bytesRead === 0) {
					// It has ended, and its memory went with it.
					room.fill(0, done);
					this.#note(address + done, address + room.length, 'ESRCH');
					if (memory === 'duplicate')
						(this.lost ??= { sinceNs: Number(nowNs()), bytes: 0 }).bytes += room.length - done;
					return;
				}
				done += bytesRead;
			} catch (error) {
				this.#signal?.throwIfAborted();
				const errno = codeOf(error);
				if (errno === undefined) throw error;
				const until = errno === TIMED_OUT
					? room.length
					: Math.min(room.length, done + PAGE_BYTES - (address + done) % PAGE_BYTES);
				// Of the machine's few huge pages: the target has taken it back.
				if (memory === 'duplicate' && piece.region !== null && isHugetlb(piece.region) && isRefusal(errno)) {
					this.takenBack.push({ start: address + done, end: address + until });
					await this.#readTarget(room.subarray(done, until), address + done, piece);
				} else {
					room.fill(0, done, until);
					this.#note(address + done, address + until, errno);
				}
				done = until;
			}
		}
	}

	/** 0: the process has ended. */
	async #some(
		room: Uint8Array, done: number, address: number, memory: 'duplicate' | 'target', { region, ofFile }: Piece
	): Promise<number> {
		const files = region === null || !ofFile ? undefined : this.#filesOf(region);
		if (memory === 'target') return this.#target.read(room, done, room.length - done, address + done, files);
		return this.lost === null
			? this.#duplicate.read(room, done, room.length - done, address + done, files)
			: 0;
	}

	/** Who has not answered once is not waited for as long again. */
	#filesOf(region: Region): FileReading {
		const { regions, devices } = this.#silent;
		return {
			read: async (file, offset, room) => {
				const limitMs = regions.has(region) ? 0 : devices.has(region.device) ? AGAIN_LIMIT_MS : this.#limitMs;
				try {
					if (limitMs === 0) throw Object.assign(new Error('it does not answer'), { code: TIMED_OUT });
					return await this.#reader.read(file, offset, room, Math.min(limitMs, this.#limitMs), this.#signal);
				} catch (error) {
					if (codeOf(error) === 'ESRCH') return 0;
					if (codeOf(error) === TIMED_OUT) {
						regions.add(region);
						devices.add(region.device);
					}
					throw error;
				}
			},
		};
	}

	#note(start: number, end: number, errno: string): void {
		const last = this.unreadable.at(-1);
		if (last?.end === start && last.errno === errno) {
			last.end = end;
		} else {
			this.unreadable.push({ start, end, errno });
		}
	}

	/** The target's memory is closed by who opened it. */
	async close(): Promise<void> {
		this.#reader.close();
		await this.#duplicate.close();
	}
}

/** As the kernel says that there is no page: not that somebody did not answer. */
const isRefusal = (errno: string): boolean => errno === 'EIO' || errno === 'EFAULT';

const NO_RUNS: readonly Run[] = [];

/** In order of their place in the core, without gaps. */
function piecesOf(
	{ head, contents, inPlace, bytes }: CoreLayout, from: ReadonlyArray<'duplicate' | 'target'>,
	own: ReadonlyArray<readonly Run[]>
): Piece[] {
	const none = { address: 0, first: -1, last: -1, region: null, ofFile: false };
	const placed: Piece[] = [];
	for (const [content, { region, segments }] of contents.entries()) {
		const whose = from[content] ?? 'duplicate', ownPages = own[content] ?? NO_RUNS;
		for (const segment of segments) {
			const toOffset = segment.offset - segment.start;
			const isInPlace = inPlace !== null && segment.offset < inPlace.end;
			for (const { start, end, ofFile } of partsOf(segment, region, ownPages))
				placed.push({
					start: toOffset + start, end: toOffset + end, address: start, first: content, last: content, region,
					ofFile, from: isInPlace ? 'file' : whose,
				});
		}
	}
	placed.sort((a, b) => a.start - b.start);
	const pieces: Piece[] = [{ start: 0, end: head.length, from: 'head', ...none }];
	for (const piece of [...placed, { start: bytes, end: bytes, from: 'zeros', ...none } as const]) {
		const at = pieces.at(-1)?.end ?? 0;
		if (piece.start > at) pieces.push({ start: at, end: piece.start, from: 'zeros', ...none });
		const last = pieces.at(-1);
		if (last !== undefined && areOne(last, piece)) [last.end, last.last] = [piece.end, piece.last];
		else if (piece.end > piece.start) pieces.push(piece);
	}
	return pieces;
}

/**
 * A process's own pages of a file need nobody to answer, and are not lost with those between them that do. `own`: in
 * order of address.
 */
function partsOf(
	{ start, end }: Run, region: Region, own: readonly Run[]
): Array<Run & { ofFile: boolean }> {
	if (!hasFile(region) || isHugetlb(region)) return [{ start, end, ofFile: false }];
	const parts: Array<Run & { ofFile: boolean }> = [];
	let at = start;
	for (const run of own) {
		const first = Math.max(run.start, start), last = Math.min(run.end, end);
		if (first >= last) continue;
		if (first > at) parts.push({ start: at, end: first, ofFile: true });
		parts.push({ start: first, end: last, ofFile: false });
		at = last;
	}
	return at < end ? [...parts, { start: at, end, ofFile: true }] : parts;
}

/** Where there are tens of thousands of small regions side by side, to read each by itself takes longest of all. */
const areOne = (a: Piece, b: Piece): boolean =>
	a.from === 'duplicate' && b.from === 'duplicate' && a.end === b.start &&
	a.address + a.end - a.start === b.address && b.end - a.start <= MOST_AS_ONE_BYTES && !isApart(a) && !isApart(b);

/** What may be slow to come, or be taken back, is read by itself. */
const isApart = ({ region }: Piece): boolean => region === null || hasFile(region) || isHugetlb(region);
