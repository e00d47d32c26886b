/** The collector's way to a receiver: a link to who it says it is, and to nobody else; and what it answers. */
import { once } from 'node:events';
import { connect as connectTcp, isIP } from 'node:net';
import { checkServerIdentity, connect as connectTls, type TLSSocket } from 'node:tls';
import { Failure, messageOf } from '../../common/errors.ts';
import { linkOptions, readCrl, type Credentials } from './credentials.ts';
import { endAtExpiry } from './expiry.ts';
import type { Progress } from './progress.ts';
import { Busy, parseAnswer, type Answer, type Wire } from './protocol.ts';

export interface Reach {
	host: string;
	port: number;
	credentials: Credentials;
	signal?: AbortSignal | undefined;
}

/** One connection, and what is known of it. */
export interface Link {
	socket: TLSSocket;
	wire: Wire;
	progress: Progress;
	/** Aborted, and rejected, when it is gone. */
	signal: AbortSignal;
	gone: Promise<never>;
}

/** DSCP LE, "lower effort" (RFC 8622): network gear that knows it lets control traffic go first. */
const LOWER_EFFORT = 1 << 2;
/** Nothing came and nothing went: the link is given up, and made again. */
const STALL_MS = 60_000;

/** Throws Error: it cannot be reached, or is not who it should be. */
export async function connect({ host, port, credentials, signal }: Reach): Promise<TLSSocket> {
	const crl = latestCrl(credentials);
	const tcp = connectTcp({ host, port, noDelay: true });
	tcp.on('error', () => undefined);	// the connection over it hears of it
	const options = signal === undefined ? {} : { signal };
	const stalled = setTimeout(() => tcp.destroy(new Error('it does not answer')), STALL_MS / 2);
	try {
		await once(tcp, 'connect', options);
		tcp.setTypeOfService(LOWER_EFFORT);
		// Said here, since NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment changes what is not.
		const socket = connectTls({
			...linkOptions({ ...credentials, crl }), socket: tcp, host,
			...(isIP(host) === 0 ? { servername: host } : {}), rejectUnauthorized: true, checkServerIdentity,
		});
		await once(socket, 'secureConnect', options);
		const certificate = socket.getPeerX509Certificate();
		if (!socket.authorized || certificate === undefined)
			throw new Error(`it is not known: ${String(socket.authorizationError)}`);
		socket.on('error', () => undefined);	// whoever reads or writes hears of it
		socket.setTimeout(STALL_MS, () => socket.destroy(new Error(`nothing came or went for ${STALL_MS / 1000} s`)));
		endAtExpiry(socket, certificate);
		return socket;
	} catch (error) {
		tcp.destroy();
		throw error;
	} finally {
		clearTimeout(stalled);
	}
}

/** As it is now; where it cannot be read any more, as it was at the beginning. */
function latestCrl({ crl, crlPaths }: Credentials): Buffer[] {
	try {
		return readCrl(crlPaths);
	} catch {
		return crl;
	}
}

/** Throws Failure if the receiver refuses, Busy if it is to be asked later, Error if it is gone. */
export async function answer(wire: Wire): Promise<Answer> {
	const text = await wire.line();
	if (text === null) throw new Error('the receiver closed it');
	const parsed = parseAnswer(text);
	if (parsed.refused !== undefined) throw new Failure(`the receiver refuses the evidence: ${foreign(parsed.refused)}`);
	if (parsed.busy !== undefined) throw new Busy(`the receiver is busy: ${foreign(parsed.busy)}`);
	return parsed;
}

/** The first answer of a link; a receiver that says it letter by letter is not waited for. */
export async function firstAnswer(socket: TLSSocket, wire: Wire): Promise<Answer> {
	const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), STALL_MS);
	try {
		return await answer(wire);
	} finally {
		clearTimeout(timer);
	}
}

/** The next answer that is not about how much it has: while it is busy with its disk it repeats that. */
export async function answerOf(wire: Wire, what: 'verified' | 'kept'): Promise<Answer> {
	for (;;) {
		const found = await answer(wire);
		if (found[what] !== undefined || found.have === undefined) return found;
	}
}

/** Of what the other side chose, no more than is shown; whoever writes it escapes it (common/terminal.ts). */
export const foreign = (text: string): string => text.slice(0, 500);

/** Errors of a link have the other side's words in them: the names in a certificate, say. */
export const whyLost = (error: unknown): string => foreign(messageOf(error));
