/** The core of one transfer, as it comes into the receiver's folder; and the note of whose it is. */
import { readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CoreFile } from '../evidence/core-file.ts';
import { syncFolder, writeSeal, type Seal } from '../evidence/folder.ts';
import { CHUNK_BYTES } from '../evidence/merkle.ts';
import { RECEIPT_FILES, type SignedReceipt } from '../receipt.ts';
import { heldForOthers, heldOf, lastingOf, type Promised } from './promises.ts';
import { Busy, Malformed } from './protocol.ts';

/** What is left of the disk for everybody else. */
const SPARE_BYTES = 64 << 20;

export interface UnderWay {
	/** Fingerprint of its certificate. */
	peer: string;
	/** Of the whole core; null: not said yet. */
	bytes: number | null;
}

/** In bytes, but for what is left to everybody else. */
function diskOf(dir: string): { free: number; whole: number } {
	const { bavail, blocks, bsize } = statfsSync(dir);
	return { free: Math.max(0, bavail * bsize - SPARE_BYTES), whole: blocks * bsize - SPARE_BYTES };
}

/** Our own note; undefined where there is none. */
export function underWay(dir: string): UnderWay | undefined {
	try {
		return JSON.parse(readFileSync(`${dir}.json`, 'utf8')) as UnderWay;
	} catch {
		return undefined;
	}
}

/** Whole or not at all. */
export function note(dir: string, known: UnderWay): void {
	writeFileSync(`${dir}.json.new`, JSON.stringify(known), { mode: 0o600 });
	renameSync(`${dir}.json.new`, `${dir}.json`);
}

export class IncomingCore {
	readonly id: string;
	/** Bytes that are in the file, in whole chunks until the last ones came. */
	have: number;
	readonly #out: string;
	readonly #dir: string;
	readonly #file: CoreFile;
	readonly #known: UnderWay;
	readonly #release: () => void;
	readonly #promisedBesides: () => readonly Promised[];
	/** Of the disk, when it was agreed. */
	#held = 0;
	#agreed = { atMs: 0, had: 0 };
	/** Given to be written, and not in the file yet. */
	#pendingBytes = 0;
	#stopped: Busy | undefined;
	#over = false;

	constructor(
		{ id, out, dir, file, known, had, release, promisedBesides }: {
			id: string; out: string; dir: string; file: CoreFile; known: UnderWay; had: number; release: () => void;
			promisedBesides: () => readonly Promised[];
		}
	) {
		this.id = id;
		this.have = had === known.bytes ? had : Math.floor(had / CHUNK_BYTES) * CHUNK_BYTES;
		this.#out = out;
		this.#dir = dir;
		this.#file = file;
		this.#known = known;
		this.#release = release;
		this.#promisedBesides = promisedBesides;
	}

	/** Of what was agreed. */
	get missingBytes(): number {
		return Math.max(0, (this.#known.bytes ?? 0) - this.have);
	}

	/** Of those, what has room whatever others send: it is what comes first. */
	get heldBytes(): number {
		const { atMs, had } = this.#agreed, received = this.have - had;
		return lastingOf(Math.max(0, this.#held - received), received, performance.now() - atMs);
	}

	/**
	 * Is there room for all of it? Throws Malformed; or Busy for what has begun, which may go on when there is room,
	 * and for what will have room when others are over.
	 */
	expect(bytes: number): void {
		if (this.#known.bytes !== null && this.#known.bytes !== bytes)
			throw new Malformed(`${bytes} bytes, and it was to be ${this.#known.bytes}`);
		if (this.#known.bytes === null) {
			this.#known.bytes = bytes;
			note(this.#dir, this.#known);
		}
		const { free, whole } = diskOf(this.#dir);
		if (bytes > whole)
			throw new Malformed(`${bytes} bytes, and there is no room for them on the receiver's disk, which has ${whole}`);
		if (bytes - this.have > free) {
			throw new (this.have === 0 ? Malformed : Busy)(
				`${bytes} bytes, and there is no room for them on the receiver's disk: ${free} are free`
			);
		}
		const held = heldOf(this.#known.peer, bytes - this.have, free, this.#promisedBesides());
		if (held === null)
			throw new Busy(`${bytes} bytes, for which its disk has no room beside what others still send`);
		this.#held = held;
		this.#agreed = { atMs: performance.now(), had: this.have };
	}

	read(room: Uint8Array, at: number): Promise<void> {
		return this.#file.read(room, at);
	}

	/** `at` is where the last one ended. Throws Busy, and from then on always: there is room only for others. */
	async write(bytes: Uint8Array, at: number): Promise<void> {
		const needed = this.#pendingBytes + bytes.length;
		if (this.heldBytes < needed && this.#stopped === undefined) {
			const forOthers = heldForOthers(this.#known.peer, this.#promisedBesides());
			if (forOthers > 0 && diskOf(this.#dir).free - forOthers < needed)
				this.#stopped = new Busy('its disk has no room now beside what others still send');
		}
		if (this.#stopped !== undefined) throw this.#stopped;
		this.#pendingBytes += bytes.length;
		try {
			await this.#file.write(bytes, at);
		} finally {
			this.#pendingBytes -= bytes.length;
		}
		this.have = at + bytes.length;
	}

	/** On the disk. */
	async sync(): Promise<void> {
		await this.#file.sync();
	}

	/** With its seal it is evidence, under the name that is returned. */
	keep(seal: Seal, receipt: SignedReceipt): string {
		for (const [name, content] of [
			[RECEIPT_FILES.receipt, receipt.text], [RECEIPT_FILES.signature, receipt.signature],
		] as const) writeFileSync(join(this.#dir, name), content, { mode: 0o600, flush: true });
		writeSeal(this.#dir, seal);
		const name = `${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}-${this.id}`;
		renameSync(this.#dir, join(this.#out, name));
		syncFolder(this.#out);
		rmSync(`${this.#dir}.json`);
		this.#over = true;
		return name;
	}

	/** It is not what it was said to be. */
	discard(): void {
		rmSync(this.#dir, { recursive: true, force: true });
		rmSync(`${this.#dir}.json`, { force: true });
		this.#over = true;
	}

	/** The connection is over. What has not begun leaves nothing. */
	async release(): Promise<void> {
		try {
			await this.#file.close();
			if (!this.#over && this.have === 0) this.discard();
		} finally {
			this.#release();
		}
	}
}
