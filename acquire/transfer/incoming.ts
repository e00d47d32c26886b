/**
 * The receiver's folder. What is under way lies in `.incoming/ID`, and whose it is in `.incoming/ID.json`, where a
 * restarted receiver finds them; what is whole has a name of the receiver's own, which nobody else has a say in: the
 * time, and the transfer's id.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../../common/errors.ts';
import { CoreFile } from '../evidence/core-file.ts';
import { FILES, syncFolder, writeSeal } from '../evidence/folder.ts';
import { CHUNK_BYTES } from '../evidence/merkle.ts';
import type { Seal } from '../evidence/folder.ts';
import { Malformed } from './protocol.ts';

const UNDER_WAY = '.incoming';
/** Each holds some 40 MiB of memory while it lasts. */
const MOST_OF_A_PEER = 4;
const MOST = 16;
/** What is left of the disk for everybody else. */
const SPARE_BYTES = 64 << 20;

export class Incoming {
	readonly #out: string;
	/** By the transfer's id: ends the connection that has it, and resolves when that has let go. */
	readonly #active = new Map<string, { peer: string; end: () => void; released: Promise<undefined> }>();

	private constructor(out: string) {
		this.#out = out;
	}

	/** Makes the folder where it is missing. Throws Failure. */
	static open(out: string): Incoming {
		try {
			mkdirSync(join(out, UNDER_WAY), { recursive: true, mode: 0o700 });
		} catch (error) {
			throw new Failure(`evidence cannot be kept in ${out}: ${messageOf(error)}`);
		}
		return new Incoming(out);
	}

	/** One more of this peer's is too much; `resumed` takes the place of its own lost link. */
	isFull(peer: string, resumed: string | undefined): boolean {
		const others = [...this.#active].filter(([id]) => id !== resumed);
		return others.length >= MOST || others.filter(([, other]) => other.peer === peer).length >= MOST_OF_A_PEER;
	}

	/** The name of the evidence that this transfer has become. */
	kept(id: string): string | undefined {
		return readdirSync(this.#out).find((name) => name.endsWith(`-${id}`));
	}

	/**
	 * The core of a transfer, for one connection at a time: an older one of the same transfer is a link that was lost.
	 * `peer`: the fingerprint of its certificate. Throws Malformed if there is no such transfer of this peer.
	 */
	async take(id: string, peer: string, isNew: boolean, end: () => void): Promise<IncomingCore> {
		const dir = join(this.#out, UNDER_WAY, id);
		for (let other = this.#active.get(id); other !== undefined; other = this.#active.get(id)) {
			other.end();
			await other.released;
		}
		const { promise: released, resolve } = Promise.withResolvers<undefined>();
		this.#active.set(id, { peer, end, released });
		const release = () => {
			this.#active.delete(id);
			resolve(undefined);
		};
		try {
			const known = isNew ? { peer, bytes: null } : underWay(dir);
			if (known?.peer !== peer) throw new Malformed('no transfer of yours is under way by this id');
			if (isNew) {
				mkdirSync(dir, { mode: 0o700 });
				note(dir, known);
			}
			const file = await CoreFile.open(join(dir, FILES.core), isNew);
			return new IncomingCore({ out: this.#out, dir, id, file, known, had: await file.size(), release });
		} catch (error) {
			release();
			throw error;
		}
	}

	/** Nobody has a file open any more. */
	async idle(): Promise<void> {
		await Promise.all([...this.#active.values()].map(({ released }) => released));
	}
}

interface UnderWay {
	/** Fingerprint of its certificate. */
	peer: string;
	/** Of the whole core; null: not said yet. */
	bytes: number | null;
}

/** Our own note; undefined where there is none. */
function underWay(dir: string): UnderWay | undefined {
	try {
		return JSON.parse(readFileSync(`${dir}.json`, 'utf8')) as UnderWay;
	} catch {
		return undefined;
	}
}

/** Whole or not at all. */
function note(dir: string, known: UnderWay): void {
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
	#over = false;

	constructor(
		{ id, out, dir, file, known, had, release }: {
			id: string; out: string; dir: string; file: CoreFile; known: UnderWay; had: number; release: () => void;
		}
	) {
		this.id = id;
		this.have = had === known.bytes ? had : Math.floor(had / CHUNK_BYTES) * CHUNK_BYTES;
		this.#out = out;
		this.#dir = dir;
		this.#file = file;
		this.#known = known;
		this.#release = release;
	}

	/**
	 * Is there room for all of it? Throws Malformed; or Error for what has begun, which may go on when there is room.
	 */
	expect(bytes: number): void {
		if (this.#known.bytes !== null && this.#known.bytes !== bytes)
			throw new Malformed(`${bytes} bytes, and it was to be ${this.#known.bytes}`);
		if (this.#known.bytes === null) {
			this.#known.bytes = bytes;
			note(this.#dir, this.#known);
		}
		const { bavail, bsize } = statfsSync(this.#dir);
		if (bytes - this.have + SPARE_BYTES > bavail * bsize) {
			throw new (this.have === 0 ? Malformed : Error)(
				`${bytes} bytes, and there is no room for them on the receiver's disk`
			);
		}
	}

	read(room: Uint8Array, at: number): Promise<void> {
		return this.#file.read(room, at);
	}

	/** `at` is where the last one ended. */
	async write(bytes: Uint8Array, at: number): Promise<void> {
		await this.#file.write(bytes, at);
		this.have = at + bytes.length;
	}

	/** On the disk. */
	async sync(): Promise<void> {
		await this.#file.sync();
	}

	/** With its seal it is evidence, under the name that is returned. */
	keep(seal: Seal): string {
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
