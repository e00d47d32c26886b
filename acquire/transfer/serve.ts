/** One connection of a peer that is known, from its first line to its end. */
import { randomBytes, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { Failure, messageOf } from '../../common/errors.ts';
import type { Seal } from '../evidence/folder.ts';
import { rootHash } from '../evidence/merkle.ts';
import { makeReceipt } from '../receipt.ts';
import { acceptSeal } from './accept.ts';
import { certificateSha256, type Incoming } from './incoming.ts';
import type { IncomingCore } from './incoming-core.ts';
import type { Room } from './memory.ts';
import {
	Busy, line, Malformed, parseHello, parseRoot, parseSealSizes, parseSize, Wire, type Answer,
} from './protocol.ts';
import { leavesBytes, receiveCore, timeFor, type Within } from './receive-core.ts';
import type { Patience, ReceiverEvent } from './receiver.ts';

/**
 * What a transfer takes besides its leaves: its ring, its TLS link, the garbage of both. Measured, as the highest
 * resident memory of a receiver (VmHWM) that transfers of 48 MiB reach as fast as they can: 145 MiB for 1, 152 for 4,
 * 164 for 8, 235 for 16, which is 6 MiB for each besides the first. For that see memory.ts.
 */
export const TRANSFER_BYTES = 8 << 20;
/**
 * For each byte of a manifest: its text, what it says, and what finds out that it is one. Measured: 8 to 10.4 of
 * manifests of 0.5 to 19 MiB.
 */
const MANIFEST_FACTOR = 12;
/** While it is busy with a disk it says that it is there. */
const ALIVE_MS = 5000;

export interface Serving {
	incoming: Incoming;
	room: Room;
	patience: Patience;
	mostBytes: number;
	trustedKeys: readonly Buffer[];
	key: KeyObject;
	said: (event: ReceiverEvent) => void;
	/** It has shown what it is here for, and no place of those who have not is needed for it. */
	begun: () => void;
}

interface Peer { fingerprint: string; subject: string; address: string }

export async function serve(socket: TLSSocket, serving: Serving): Promise<void> {
	const { said, patience } = serving;
	const certificate = socket.getPeerX509Certificate();
	const peer: Peer = {
		fingerprint: certificate?.fingerprint256 ?? '', subject: certificate?.subject.replaceAll('\n', ', ') ?? '',
		address: socket.remoteAddress ?? '',
	};
	const from = `${peer.subject} at ${peer.address}`;
	const transfer = new Transfer(socket, serving, peer);
	try {
		const kept = await transfer.run();
		if (kept !== undefined) said({ ...kept, from });
	} catch (error) {
		const { core } = transfer;
		if (error instanceof Failure) {
			// It will not become evidence. Of what was agreed before, a new word changes nothing.
			if (transfer.agreed && !(error instanceof NeverFits)) core?.discard();
			said({ refused: error.message, from });
			void farewell(socket, { refused: error.message }, patience);
			return;
		}
		// The link: the transfer may go on over another one. Somebody who goes before a byte came has not begun.
		if (core !== undefined && core.have > 0)
			said({ waiting: core.id, bytes: core.have, from, because: messageOf(error) });
		else if (error instanceof Busy) said({ busy: error.message, from });
		if (error instanceof Busy && transfer.waits) void farewell(socket, { busy: error.message }, patience);
		else socket.destroy();
	} finally {
		await transfer.end();
	}
}

/** More memory than one peer may have, whatever others do. What has come stays: it may be the only copy. */
class NeverFits extends Malformed {
	override name = 'NeverFits';
}

class Transfer {
	core: IncomingCore | undefined;
	agreed = false;
	/** The peer knows what {busy} means. */
	waits = false;
	readonly #socket: TLSSocket;
	readonly #serving: Serving;
	readonly #peer: Peer;
	readonly #wire: Wire;
	readonly #within: Within;
	readonly #taken: Array<() => void> = [];
	#takenBytes = 0;

	constructor(socket: TLSSocket, serving: Serving, peer: Peer) {
		this.#socket = socket;
		this.#serving = serving;
		this.#peer = peer;
		this.#wire = new Wire(socket);
		this.#within = deadline(socket);
	}

	/** undefined: nothing new was kept. Throws Failure: it will not be evidence; Busy, Error: later it may. */
	async run(): Promise<{ kept: string; bytes: number; sealedBy: string } | undefined> {
		const { incoming, patience, mostBytes, trustedKeys, key } = this.#serving;
		const socket = this.#socket;
		const { resume, waits = false } = parseHello(await this.#line(patience.helloMs));
		this.waits = waits;
		const { fingerprint } = this.#peer;
		const before = resume === undefined ? undefined : incoming.kept(resume, fingerprint);
		if (before !== undefined) {
			await farewell(socket, { id: resume as string, kept: before }, patience);
			return undefined;
		}
		if (incoming.isFull(fingerprint, resume)) throw new Busy('as many transfers as can be are under way');
		// Its own lost link lets go of what it has first.
		const id = resume ?? randomBytes(16).toString('hex');
		const core = this.core = await incoming.take(id, fingerprint, resume === undefined, () => socket.destroy());
		this.#take(TRANSFER_BYTES, 'a transfer');
		this.#serving.begun();
		socket.write(line({ id, have: core.have }));
		const bytes = parseSize(await this.#line(patience.idleMs), mostBytes);
		this.#take(2 * leavesBytes(bytes), `a core of ${bytes} bytes`);
		core.expect(bytes);
		this.agreed = true;
		const leaves = await receiveCore(core, bytes, socket, this.#wire, this.#within, patience);
		const root = parseRoot(await this.#line(patience.idleMs));
		if (rootHash(leaves).toString('hex') !== root)
			throw new Malformed('the bytes that came are not those that the root is of');
		await whileBusy(socket, core.have, core.sync());
		socket.write(line({ verified: true }));
		const seal = await this.#seal(bytes);
		const verified = acceptSeal(seal, { id, bytes, root, leaves }, trustedKeys);
		if ('fault' in verified) throw new Malformed(verified.fault);
		const { subject, address } = this.#peer;
		const name = core.keep(
			seal, makeReceipt(seal, id, { certificateSha256: certificateSha256(fingerprint), subject, address }, key)
		);
		await farewell(socket, { kept: name }, patience);
		return { kept: name, bytes, sealedBy: verified.signedBy };
	}

	/** What was taken is given back, and the file is closed. */
	async end(): Promise<void> {
		try {
			await this.core?.release();
		} finally {
			for (const giveBack of this.#taken) giveBack();
		}
	}

	/** Of memory, for what. Throws Busy; NeverFits where that would be no use. */
	#take(bytes: number, what: string): void {
		const { room } = this.#serving;
		if (this.#takenBytes + bytes > room.mostOfOne) {
			throw new NeverFits(
				`${what}, which takes ${this.#takenBytes + bytes} bytes of the receiver's memory, and ${room.mostOfOne} ` +
					`are what one collector may have of it: see memory.max of its control group (MemoryMax= of its service)`
			);
		}
		const taken = room.take(bytes, this.#peer.fingerprint);
		if (taken === undefined) throw new Busy('the receiver has no memory left for one more transfer');
		this.#takenBytes += bytes;
		this.#taken.push(taken);
	}

	async #line(ms: number): Promise<string> {
		return await this.#within(ms, this.#wire.line()) ?? leave();
	}

	async #seal(bytes: number): Promise<Seal> {
		const { patience } = this.#serving;
		const sizes = parseSealSizes(await this.#line(patience.idleMs), bytes);
		// The leaves' room was taken before.
		const takes = sizes.reduce((sum, [part, size]) =>
			sum + (part === 'manifest' ? MANIFEST_FACTOR : part === 'leaves' ? 0 : 1) * size, 0);
		const manifest = sizes.find(([part]) => part === 'manifest')?.[1] ?? 0;
		if (takes > TRANSFER_BYTES / 4) this.#take(takes, `a seal with a manifest of ${manifest} bytes`);
		const parts: Partial<Record<keyof Seal, Uint8Array>> = {};
		for (const [part, size] of sizes) {
			const content = Buffer.alloc(size);
			if (await this.#within(timeFor(size, patience), this.#wire.fill(content)) < size) leave();
			parts[part] = content;
		}
		return parts as Seal;
	}
}

/**
 * The last word; resolves when it is on its way. What the peer still sends is not read; if it does not close, we do.
 */
export async function farewell(socket: TLSSocket, answer: Answer, { helloMs }: Patience): Promise<void> {
	setTimeout(() => socket.destroy(), helloMs).unref();
	const gone = once(socket, 'close');
	await Promise.race([new Promise<void>((resolve) => socket.end(line(answer), () => resolve())), gone]);
}

const leave = (): never => {
	throw new Error('the peer closed it');
};

function deadline(socket: TLSSocket): Within {
	return async (ms, waiting) => {
		const timer = setTimeout(
			() => socket.destroy(new Error(`the peer was too slow: ${Math.ceil(ms / 1000)} s`)), ms
		);
		try {
			return await waiting;
		} finally {
			clearTimeout(timer);
		}
	};
}

async function whileBusy(socket: TLSSocket, have: number, work: Promise<void>): Promise<void> {
	const alive = setInterval(() => socket.write(line({ have })), ALIVE_MS);
	try {
		await work;
	} finally {
		clearInterval(alive);
	}
}
