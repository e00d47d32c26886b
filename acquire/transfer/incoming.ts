/**
 * The receiver's folder. What is under way lies in `.incoming/ID`, and whose it is in `.incoming/ID.json`, where a
 * restarted receiver finds them; what is whole has a name of the receiver's own, which nobody else has a say in: the
 * time, and the transfer's id.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';
import { lockFile } from '../../native/index.ts';
import { CoreFile } from '../evidence/core-file.ts';
import { FILES } from '../evidence/folder.ts';
import { RECEIPT_FILES } from '../receipt.ts';
import { IncomingCore, note, underWay } from './incoming-core.ts';
import type { Promised } from './promises.ts';
import { Malformed } from './protocol.ts';

const UNDER_WAY = '.incoming';
const MOST_OF_A_PEER = 4;
const MOST = 16;
/** Transfers that have begun, of one peer: each is a folder and two files, which nobody but the operator removes. */
const MOST_UNFINISHED = 64;
/** Of network file systems that lock only what is open for writing, which a folder never is. */
const LOCK = 'lock';

interface Active { peer: string; end: () => void; released: Promise<undefined>; promised: () => Promised }

export class Incoming {
	readonly #out: string;
	readonly #lock: number;
	/** By the transfer's id: ends the connection that has it, and resolves when that has let go. */
	readonly #active = new Map<string, Active>();

	private constructor(out: string, lock: number) {
		this.#out = out;
		this.#lock = lock;
	}

	/** Makes the folder where it is missing, and has it for itself until it is closed. Throws Failure. */
	static open(out: string, locked = lockFile): Incoming {
		const dir = join(out, UNDER_WAY);
		let lock: number | null;
		try {
			mkdirSync(dir, { recursive: true, mode: 0o700 });
			lock = lockOf(dir, locked);
		} catch (error) {
			throw new Failure(`evidence cannot be kept in ${out}: ${messageOf(error)}`);
		}
		if (lock === null) {
			throw new Failure(
				`another receiver keeps its evidence in ${out}: two would take what is under way from each other; end ` +
					`that one, or name another folder with --out`
			);
		}
		return new Incoming(out, lock);
	}

	/** Once, when nothing is under way any more. */
	close(): void {
		closeSync(this.#lock);
	}

	/** One more of this peer's is too much; `resumed` takes the place of its own lost link. */
	isFull(peer: string, resumed: string | undefined): boolean {
		const others = [...this.#active].filter(([id, other]) => id !== resumed || other.peer !== peer);
		return others.length >= MOST || others.filter(([, other]) => other.peer === peer).length >= MOST_OF_A_PEER;
	}

	/** The name of the evidence that this transfer has become; undefined: none, or not this peer's. */
	kept(id: string, peer: string): string | undefined {
		const name = readdirSync(this.#out).find((each) => each.endsWith(`-${id}`));
		if (name === undefined) return undefined;
		const owner = ownerOf(join(this.#out, name));
		return owner === undefined || owner === certificateSha256(peer) ? name : undefined;
	}

	/**
	 * The core of a transfer, for one connection at a time: an older one of the same transfer is a link that was lost.
	 * `peer`: the fingerprint of its certificate. Throws Malformed if there is no such transfer of this peer.
	 */
	async take(id: string, peer: string, isNew: boolean, end: () => void): Promise<IncomingCore> {
		const dir = join(this.#out, UNDER_WAY, id);
		// Whose it is comes first: a stranger to it ends no link.
		const known = isNew ? { peer, bytes: null } : underWay(dir);
		if (known?.peer !== peer) throw new Malformed('no transfer of yours is under way by this id');
		for (let other = this.#active.get(id); other !== undefined; other = this.#active.get(id)) {
			other.end();
			await other.released;
		}
		const { promise: released, resolve } = Promise.withResolvers<undefined>();
		let core: IncomingCore | undefined;
		const promised = (): Promised =>
			({ peer, missingBytes: core?.missingBytes ?? 0, heldBytes: core?.heldBytes ?? 0 });
		this.#active.set(id, { peer, end, released, promised });
		const release = () => {
			this.#active.delete(id);
			resolve(undefined);
		};
		try {
			// It may have come to its end meanwhile.
			const now = isNew ? known : underWay(dir);
			if (now?.peer !== peer) throw new Malformed('no transfer of yours is under way by this id');
			if (isNew) {
				this.#expectFew(peer);
				mkdirSync(dir, { mode: 0o700 });
				note(dir, now);
			}
			const file = await CoreFile.open(join(dir, FILES.core), isNew);
			core = new IncomingCore({
				out: this.#out, dir, id, file, known: now, had: await file.size(), release,
				promisedBesides: () => this.#promisedBesides(id),
			});
			return core;
		} catch (error) {
			release();
			throw error;
		}
	}

	/** What is still to come of all the others: there is no room for it twice. */
	#promisedBesides(id: string): Promised[] {
		return [...this.#active].filter(([other]) => other !== id).map(([, { promised }]) => promised());
	}

	/** Throws Malformed. */
	#expectFew(peer: string): void {
		const dir = join(this.#out, UNDER_WAY);
		const noted = readdirSync(dir).filter((name) => name.endsWith('.json'));
		if (noted.length < MOST_UNFINISHED) return;
		const own = noted.filter((name) => underWay(join(dir, name.slice(0, -'.json'.length)))?.peer === peer);
		if (own.length >= MOST_UNFINISHED) {
			throw new Malformed(
				`${own.length} transfers by this certificate have not come to their end here, and no more than ` +
					`${MOST_UNFINISHED} are kept: the receiver's operator can remove those that nobody goes on with`
			);
		}
	}

	/** Nobody has a file open any more. */
	async idle(): Promise<void> {
		await Promise.all([...this.#active.values()].map(({ released }) => released));
	}
}

/** A descriptor that is to be closed at the end; null: somebody else has it. Nothing of it outlives its process. */
export function lockOf(dir: string, locked: (fd: number) => boolean): number | null {
	let fd = openSync(dir, 'r');
	try {
		try {
			if (locked(fd)) return fd;
		} catch (error) {
			if (codeOf(error) !== 'EBADF') throw error;
			closeSync(fd);
			fd = openSync(join(dir, LOCK), 'a', 0o600);
			if (locked(fd)) return fd;
		}
	} catch (error) {
		closeSync(fd);
		throw error;
	}
	closeSync(fd);
	return null;
}

/** As a receipt has it, and as Node writes a fingerprint. */
export const certificateSha256 = (fingerprint: string): string => fingerprint.replaceAll(':', '').toLowerCase();

/** Of evidence that is kept, SHA-256 of the certificate that it came by; undefined: an older receiver kept it. */
function ownerOf(dir: string): string | undefined {
	try {
		const { peer } = JSON.parse(readFileSync(join(dir, RECEIPT_FILES.receipt), 'utf8')) as {
			peer: { certificateSha256: string };
		};
		return peer.certificateSha256;
	} catch {
		return undefined;
	}
}
