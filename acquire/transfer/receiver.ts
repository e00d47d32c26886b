/**
 * The receiver's side of a transfer, on a machine that need not reach the control system. What a peer says is not
 * believed: nothing that it names becomes a path, nothing is larger than was agreed, and nobody is waited for without
 * end. Only a peer with a certificate of the authority gets as far as the first line.
 */
import { constants, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';
import type { Seal } from '../evidence/folder.ts';
import { CHUNK_BYTES, rootHash } from '../evidence/merkle.ts';
import { CoreStream } from '../evidence/stream.ts';
import { acceptSeal } from './accept.ts';
import type { Credentials } from './credentials.ts';
import { Incoming, type IncomingCore } from './incoming.ts';
import { line, Malformed, parseHello, parseRoot, parseSealSizes, parseSize, Wire, type Answer } from './protocol.ts';

export interface ReceiverOptions {
	host: string;
	/** 0: any that is free. */
	port: number;
	/** The folder that evidence folders are made in. */
	out: string;
	credentials: Credentials;
	/** The largest core that is taken. */
	mostBytes: number;
	/** The collector's public key, if only its evidence is to be kept. */
	trustedKey?: Buffer | undefined;
	/** For each piece of evidence that was kept, and for whatever was refused. */
	said: (event: ReceiverEvent) => void;
	/** Tests do not wait as long as networks do. */
	patience?: Partial<Patience>;
}

export type ReceiverEvent =
	| { kept: string; bytes: number; from: string; sealedBy: string }
	| { refused: string; from: string }
	| { waiting: string; bytes: number; from: string; because: string };

export interface Patience {
	/** From the first byte until the connection is a known peer's and has said what it wants. */
	helloMs: number;
	/** For whatever comes next; duplicating a process and looking at it takes its time. */
	idleMs: number;
	/** Slower than this over a whole block, nothing is taken. */
	leastBytesPerSecond: number;
}

const PATIENCE: Patience = { helloMs: 10_000, idleMs: 120_000, leastBytesPerSecond: 8 << 10 };
const MOST_CONNECTIONS = 64;
/** While it is busy with a disk it says that it is there. */
const ALIVE_MS = 5000;

export interface Receiver {
	port: number;
	close: () => Promise<void>;
}

/** Listens until it is closed. Throws Failure if it cannot. */
export async function receive(options: ReceiverOptions): Promise<Receiver> {
	const patience = { ...PATIENCE, ...options.patience };
	const incoming = Incoming.open(options.out);
	const sockets = new Set<TLSSocket>();
	// Whoever is not known is refused below, with a reason. Without tickets no session goes on that was never looked
	// at.
	const server = createServer({
		...options.credentials, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3',
		secureOptions: constants.SSL_OP_NO_TICKET, handshakeTimeout: patience.helloMs, noDelay: true,
	});
	server.maxConnections = MOST_CONNECTIONS;
	server.on('tlsClientError', (error, socket) => {
		// Who only looks whether the port is open is not worth a line.
		if (codeOf(error) !== 'ECONNRESET')
			options.said({ refused: `no known peer: ${messageOf(error)}`, from: socket.remoteAddress ?? '' });
	});
	server.on('secureConnection', (socket: TLSSocket) => {
		sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
		if (!socket.authorized) {
			refuse(socket, `no known peer: ${whyUnknown(socket)}`, socket.remoteAddress ?? '', options, patience);
			return;
		}
		void serve(socket, incoming, options, patience).catch((error: unknown) => {
			options.said({ refused: `the receiver failed: ${messageOf(error)}`, from: socket.remoteAddress ?? '' });
			socket.destroy();
		});
	});
	server.listen(options.port, options.host);
	try {
		await once(server, 'listening');
	} catch (error) {
		throw new Failure(`cannot listen on ${options.host}:${options.port}: ${messageOf(error)}`);
	}
	return {
		port: (server.address() as AddressInfo).port,
		close: async () => {
			const closed = once(server.close(), 'close');
			for (const socket of sockets) socket.destroy();
			await closed;
			await incoming.idle();
		},
	};
}

/** One connection, to its end. */
async function serve(
	socket: TLSSocket, incoming: Incoming, options: ReceiverOptions, patience: Patience
): Promise<void> {
	const certificate = socket.getPeerX509Certificate();
	const peer = certificate?.fingerprint256 ?? '';
	const from = `${certificate?.subject.replaceAll('\n', ', ') ?? ''} at ${socket.remoteAddress ?? ''}`;
	const wire = new Wire(socket);
	const within = deadline(socket);
	let core: IncomingCore | undefined;
	let agreed = false;
	try {
		const hello = parseHello(await within(patience.helloMs, wire.line()) ?? leave());
		const kept = hello.resume === undefined ? undefined : incoming.kept(hello.resume);
		if (kept !== undefined) {
			await farewell(socket, { id: hello.resume as string, kept }, patience);
			return;
		}
		if (incoming.isFull(peer, hello.resume)) throw new Error('as many transfers as can be are under way');
		const id = hello.resume ?? randomBytes(16).toString('hex');
		core = await incoming.take(id, peer, hello.resume === undefined, () => socket.destroy());
		socket.write(line({ id, have: core.have }));
		const bytes = parseSize(await within(patience.idleMs, wire.line()) ?? leave(), options.mostBytes);
		core.expect(bytes);
		agreed = true;
		const { leaves, have } = await receiveCore(
			core, bytes, socket, wire, (ms, waiting) => within(ms, waiting), patience
		);
		const root = parseRoot(await within(patience.idleMs, wire.line()) ?? leave());
		if (rootHash(leaves).toString('hex') !== root)
			throw new Malformed('the bytes that came are not those that the root is of');
		await whileBusy(socket, have, core.sync());
		socket.write(line({ verified: true }));
		const sizes = parseSealSizes(await within(patience.idleMs, wire.line()) ?? leave(), bytes);
		const seal = await receiveSeal(sizes, wire, (waiting) => within(patience.idleMs, waiting));
		const verified = acceptSeal(seal, { id, bytes, root, leaves }, options.trustedKey);
		if ('fault' in verified) throw new Malformed(verified.fault);
		const name = core.keep(seal);
		await farewell(socket, { kept: name }, patience);
		options.said({ kept: name, bytes, from, sealedBy: verified.signedBy });
	} catch (error) {
		if (error instanceof Failure) {
			// It will not become evidence. Of what was agreed before, a new word changes nothing.
			if (agreed) core?.discard();
			refuse(socket, error.message, from, options, patience);
		} else {
			// The link: the transfer may go on over another one. Somebody who goes before a byte came has not begun.
			if (core !== undefined && core.have > 0)
				options.said({ waiting: core.id, bytes: core.have, from, because: messageOf(error) });
			socket.destroy();
		}
	} finally {
		await core?.release();
	}
}

/** Says so to both sides. */
function refuse(socket: TLSSocket, refused: string, from: string, { said }: ReceiverOptions, patience: Patience): void {
	said({ refused, from });
	void farewell(socket, { refused }, patience);
}

/**
 * The last word; resolves when it is on its way. What the peer still sends is not read; if it does not close, we do.
 */
async function farewell(socket: TLSSocket, answer: Answer, { helloMs }: Patience): Promise<void> {
	setTimeout(() => socket.destroy(), helloMs).unref();
	const gone = once(socket, 'close');
	await Promise.race([new Promise<void>((resolve) => socket.end(line(answer), () => resolve())), gone]);
}

/** The code of X509_verify_cert_error_string(3). Node has none for a certificate that is not there. */
const whyUnknown = (socket: TLSSocket): string =>
	(socket.getPeerX509Certificate() === undefined
		? 'it has no certificate'
		: `its certificate: ${String(socket.authorizationError)}`);

const leave = (): never => {
	throw new Error('the peer closed it');
};

/** Ends the connection unless what is waited for comes in time. */
function deadline(socket: TLSSocket) {
	return async <T>(ms: number, waiting: Promise<T>): Promise<T> => {
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

/** What is there already is read again for its digests; the rest comes by the wire. */
async function receiveCore(
	core: IncomingCore, bytes: number, socket: TLSSocket, wire: Wire, within: ReturnType<typeof deadline>,
	patience: Patience
): Promise<{ leaves: Buffer; have: number }> {
	const had = core.have;
	let at = 0;
	const fill = async (room: Uint8Array): Promise<number> => {
		const again = Math.max(0, Math.min(room.length, had - at));
		if (again > 0) {
			// Its peer waits on another link by now, for this one to let go.
			if (socket.destroyed) return 0;
			await core.read(room.subarray(0, again), at);
		}
		const wanted = room.subarray(again);
		const came = wanted.length === 0
			? 0
			: await within(patience.idleMs + wanted.length / patience.leastBytesPerSecond * 1000, wire.fill(wanted));
		// Of what came before the link was lost, the whole chunks are kept.
		const got = again + came < room.length ? Math.floor((again + came) / CHUNK_BYTES) * CHUNK_BYTES : room.length;
		at += got;
		return got;
	};
	const stream = new CoreStream();
	stream.start({ regions: false });
	const { leaves } = await stream.run(bytes, [], fill, async (block, offset) => {
		const from = Math.max(0, Math.min(block.length, had - offset));
		try {
			if (from < block.length) await core.write(block.subarray(from), offset + from);
		} catch (error) {
			socket.destroy();	// nobody waits for what cannot be kept
			throw error;
		}
		// Of what was there already too: to read that again can take longer than a silent link is waited for.
		socket.write(line({ have: core.have }));
	});
	if (core.have < bytes) leave();
	return { leaves, have: core.have };
}

async function receiveSeal(
	sizes: ReadonlyArray<[keyof Seal, number]>, wire: Wire, within: (waiting: Promise<number>) => Promise<number>
): Promise<Seal> {
	const parts: Partial<Record<keyof Seal, Uint8Array>> = {};
	for (const [part, size] of sizes) {
		const content = Buffer.alloc(size);
		if (await within(wire.fill(content)) < size) leave();
		parts[part] = content;
	}
	return parts as Seal;
}

async function whileBusy(socket: TLSSocket, have: number, work: Promise<void>): Promise<void> {
	const alive = setInterval(() => socket.write(line({ have })), ALIVE_MS);
	try {
		await work;
	} finally {
		clearInterval(alive);
	}
}
