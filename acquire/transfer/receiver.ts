/**
 * The receiver's side of a transfer, on a machine that need not reach the control system. What a peer says is not
 * believed: nothing that it names becomes a path, nothing is larger than was agreed, and nobody is waited for without
 * end. Only a peer with a certificate of the authority gets as far as the first line.
 */
import { constants, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { unwatchFile, watchFile } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';
import { linkOptions, readCrl, type Credentials } from './credentials.ts';
import { endAtExpiry } from './expiry.ts';
import { Incoming } from './incoming.ts';
import { Room, roomForTransfers } from './memory.ts';
import { networksOf, Places } from './places.ts';
import { farewell, serve, TRANSFER_BYTES, type Serving } from './serve.ts';

export interface ReceiverOptions {
	host: string;
	/** 0: any that is free. */
	port: number;
	/** The folder that evidence folders are made in. */
	out: string;
	credentials: Credentials;
	/** The receiver's own, Ed25519: it signs what was received, and when. */
	key: KeyObject;
	/** The largest core that is taken. */
	mostBytes: number;
	/** The collectors' public keys, if only their evidence is to be kept. */
	trustedKeys?: readonly Buffer[];
	/** For each piece of evidence that was kept, and for whatever was not. */
	said: (event: ReceiverEvent) => void;
	/** Tests do not wait as long as networks do. */
	patience?: Partial<Patience>;
	/** Memory for transfers, in bytes. Default: what this process may have. */
	roomBytes?: number;
}

export type ReceiverEvent =
	| { kept: string; bytes: number; from: string; sealedBy: string }
	| { refused: string; from: string }
	/** Told to try again. */
	| { busy: string; from: string }
	| { waiting: string; bytes: number; from: string; because: string }
	| { warning: string };

export interface Patience {
	/** From the first byte until the connection is a known peer's and has said what it wants. */
	helloMs: number;
	/** For whatever comes next; duplicating a process and looking at it takes its time. */
	idleMs: number;
	/** Slower than this over a whole chunk, nothing is taken. */
	leastBytesPerSecond: number;
	/** How often it is looked whether more certificates are revoked. */
	crlMs: number;
}

const PATIENCE: Patience = { helloMs: 10_000, idleMs: 120_000, leastBytesPerSecond: 8 << 10, crlMs: 5000 };
/** Connections that have shown no certificate yet; of one address or IPv6 /64, and of one IPv4 /24 or IPv6 /48. */
const STRANGERS = { most: 64, mostOf: [16, 32] };
/** Of memory, for one peer: a transfer, its leaves and its seal, where there is little of it. */
const LEAST_SHARE_BYTES = 1.25 * TRANSFER_BYTES;
/** Of known peers, that have not begun a transfer, or have been told the last word. */
const PEERS = { most: 64, mostOf: [32] };

export interface Receiver {
	port: number;
	close: () => Promise<void>;
}

/** Listens until it is closed. Throws Failure if it cannot. */
export async function receive(options: ReceiverOptions): Promise<Receiver> {
	const { said, credentials } = options;
	const patience = { ...PATIENCE, ...options.patience };
	const room = new Room(options.roomBytes ?? roomForTransfers(), LEAST_SHARE_BYTES);
	if (room.bytes < TRANSFER_BYTES) {
		throw new Failure(
			`there is no memory for a single transfer: ${room.bytes} bytes are left, and one takes ${TRANSFER_BYTES}; ` +
				`see memory.max of the control group (MemoryMax= of the service)`
		);
	}
	const incoming = Incoming.open(options.out);
	const serving: Omit<Serving, 'begun'> = {
		incoming, room, patience, said, mostBytes: options.mostBytes, trustedKeys: options.trustedKeys ?? [],
		key: options.key,
	};
	const strangers = new Places(STRANGERS), peers = new Places(PEERS);
	const sockets = new Set<Socket>();
	/** Of connections without a certificate yet: gives their place back. */
	const arrived = new Map<string, () => void>();
	// Whoever is not known is refused below, with a reason. Without tickets no session goes on that was never looked
	// at.
	const context = (crl: Buffer[]) =>
		({ ...linkOptions({ ...credentials, crl }), secureOptions: constants.SSL_OP_NO_TICKET });
	const server = createServer({
		...context(credentials.crl), requestCert: true, rejectUnauthorized: false, handshakeTimeout: patience.helloMs,
		noDelay: true,
	});
	server.on('connection', (socket: Socket) => {
		const which = endsOf(socket);
		const leave = strangers.enter(networksOf(socket.remoteAddress ?? ''), () => socket.destroy());
		// Node's own timer begins anew with each byte.
		const timer = setTimeout(() => socket.destroy(), patience.helloMs);
		const known = () => {
			clearTimeout(timer);
			leave();
			arrived.delete(which);
		};
		arrived.set(which, known);
		sockets.add(socket.once('close', () => {
			clearTimeout(timer);
			leave();
			if (arrived.get(which) === known) arrived.delete(which);
			sockets.delete(socket);
		}));
	});
	server.on('tlsClientError', (error, socket) => {
		// Who only looks whether the port is open is not worth a line.
		if (codeOf(error) !== 'ECONNRESET')
			said({ refused: `no known peer: ${messageOf(error)}`, from: socket.remoteAddress ?? '' });
	});
	server.on('secureConnection', (socket: TLSSocket) => {
		socket.on('error', () => undefined);
		const from = socket.remoteAddress ?? '';
		if (!socket.authorized) {
			const refused = `no known peer: ${whyUnknown(socket)}`;
			said({ refused, from });
			void farewell(socket, { refused }, patience);
			return;
		}
		arrived.get(endsOf(socket))?.();
		const certificate = socket.getPeerX509Certificate();
		if (certificate !== undefined) endAtExpiry(socket, certificate);
		let leave: () => void = () => undefined;
		const wait = () => {
			if (!socket.destroyed) leave = peers.enter([certificate?.fingerprint256 ?? ''], () => socket.destroy());
		};
		wait();
		socket.once('close', () => leave());
		serve(socket, { ...serving, begun: () => leave() }).then(() => {
			leave();
			wait();	// until it has heard the last word
		}, (error: unknown) => {
			said({ refused: `the receiver failed: ${messageOf(error)}`, from });
			socket.destroy();
		});
	});
	const stopWatching = watchCrl(credentials, patience.crlMs, (crl) => {
		server.setSecureContext(context(crl));
		// Who is still known comes back, and goes on where it was.
		for (const socket of sockets) socket.destroy();
	}, (warning) => said({ warning }));
	server.listen(options.port, options.host);
	try {
		await once(server, 'listening');
	} catch (error) {
		stopWatching();
		incoming.close();
		throw new Failure(`cannot listen on ${options.host}:${options.port}: ${messageOf(error)}`);
	}
	return {
		port: (server.address() as AddressInfo).port,
		close: async () => {
			stopWatching();
			const closed = once(server.close(), 'close');
			for (const socket of sockets) socket.destroy();
			await closed;
			await incoming.idle();
			incoming.close();
		},
	};
}

/** Of one connection, while it is there, and of no other. */
const endsOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
	`${remoteAddress ?? ''} ${remotePort ?? 0} ${localAddress ?? ''}`;

/** `changed` is told of lists that can be read; it may throw. What cannot be used is said, and the old one holds. */
function watchCrl(
	{ crlPaths }: Credentials, intervalMs: number, changed: (crl: Buffer[]) => void, warn: (text: string) => void
): () => void {
	const look = () => {
		try {
			changed(readCrl(crlPaths));
		} catch (error) {
			warn(`a list of revoked certificates has changed, and cannot be used: ${messageOf(error)}; the old one holds`);
		}
	};
	for (const path of crlPaths) watchFile(path, { interval: intervalMs, persistent: false }, look);
	return () => {
		for (const path of crlPaths) unwatchFile(path, look);
	};
}

/** The code of X509_verify_cert_error_string(3). Node has none for a certificate that is not there. */
const whyUnknown = (socket: TLSSocket): string =>
	(socket.getPeerX509Certificate() === undefined
		? 'it has no certificate'
		: `its certificate: ${String(socket.authorizationError)}`);
