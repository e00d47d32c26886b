/**
 * The collector's side of a transfer. What was sent is kept until the receiver has it: a link that was lost is made
 * again and goes on from there, with the same bytes, though what is shared with the target has changed meanwhile.
 */
import { once } from 'node:events';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Failure, messageOf } from '../../common/errors.ts';
import type { CopyRoom } from '../../mechanisms/shared/types.ts';
import type { Destination, Seal } from '../evidence/folder.ts';
import type { Credentials } from './credentials.ts';
import { Pace } from './pace.ts';
import { line, Malformed, parseAnswer, partsOf, PROTOCOL, Wire, type Answer } from './protocol.ts';

export interface SenderOptions {
	host: string;
	port: number;
	credentials: Credentials;
	/** Infinity: as fast as can be. */
	bytesPerSecond: number;
	/** For how long a lost link is tried again. */
	patienceMs: number;
	/** For a copy that is kept until it is sent; default: in memory. */
	room?: CopyRoom | undefined;
	/** The link was lost, or is back. */
	say: (text: string) => void;
	signal?: AbortSignal | undefined;
}

interface Block { bytes: Uint8Array; offset: number; kept: () => void; lost: (error: Error) => void }

/** DSCP LE, "lower effort" (RFC 8622): network gear that knows it lets control traffic go first. */
const LOWER_EFFORT = 1 << 2;
/** Nothing came and nothing went: the link is given up, and made again. */
const STALL_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

export class Sender implements Destination {
	/** Final as soon as the receiver has kept anything. */
	transfer: { id: string; receiver: string };
	readonly room: CopyRoom;
	readonly #options: SenderOptions;
	readonly #pace: Pace;
	/** Sent or not, and not yet known to be kept. In order. */
	readonly #blocks: Block[] = [];
	readonly #bytes = Promise.withResolvers<number>();
	readonly #root = Promise.withResolvers<string>();
	readonly #seal = Promise.withResolvers<Seal>();
	readonly #verified = Promise.withResolvers<undefined>();
	readonly #kept = Promise.withResolvers<string>();
	/** Something was added to the blocks. */
	#grown = Promise.withResolvers<undefined>();
	#have = 0;
	#sealed = false;
	/** The receiver knows the transfer's id, as far as it has said. */
	#known = true;
	#failure: Error | undefined;
	#socket: TLSSocket | undefined;

	private constructor(options: SenderOptions, id: string) {
		this.#options = options;
		this.#pace = new Pace(options.bytesPerSecond);
		this.room = options.room ?? {};
		this.transfer = { id, receiver: `${options.host}:${options.port}` };
		// Whoever waits for them hears of a failure; before somebody does, it is no unheard one.
		for (const { promise } of [this.#bytes, this.#root, this.#seal, this.#verified, this.#kept])
			promise.catch(() => undefined);
		options.signal?.addEventListener('abort', () => this.#fail(new Failure('interrupted')), { once: true });
	}

	/** Before anything is taken: is there a receiver that knows us? Throws Failure. */
	static async open(options: SenderOptions): Promise<Sender> {
		let socket: TLSSocket | undefined;
		const interrupted = () => socket?.destroy(new Error('interrupted'));
		try {
			socket = await connect(options);
			options.signal?.addEventListener('abort', interrupted);
			const wire = new Wire(socket);
			socket.write(line({ procsnap: PROTOCOL }));
			const { id } = await answer(wire);
			if (id === undefined) throw new Malformed('a receiver that gives the transfer no id');
			const sender = new Sender(options, id);
			sender.#socket = socket;
			void sender.#drive(socket, wire);
			return sender;
		} catch (error) {
			socket?.destroy();
			throw error instanceof Failure && !(error instanceof Malformed) ? error
				: new Failure(
					`no evidence can be sent to ${options.host}:${options.port}: ${messageOf(error)}; nothing was taken`
				);
		} finally {
			options.signal?.removeEventListener('abort', interrupted);
		}
	}

	begin(bytes: number): void {
		this.#bytes.resolve(bytes);
	}

	/** Resolves when the receiver has them: until then they must not change. */
	write(bytes: Uint8Array, offset: number): Promise<void> {
		if (this.#failure !== undefined) return Promise.reject(this.#failure);
		return new Promise((kept, lost) => {
			this.#blocks.push({ bytes, offset, kept, lost });
			this.#grown.resolve(undefined);
			this.#grown = Promise.withResolvers();
		});
	}

	/** All bytes were sent, and this is their root. Resolves when the receiver says that it has them. */
	async verified(root: string): Promise<void> {
		this.#root.resolve(root);
		await this.#verified.promise;
	}

	async seal(seal: Seal): Promise<string> {
		this.#sealed = true;
		this.#seal.resolve(seal);
		return `${this.transfer.receiver}: ${await this.#kept.promise}`;
	}

	discard(): Promise<null> {
		this.#fail(new Failure('the transfer was given up'));
		return Promise.resolve(null);
	}

	#fail(error: Error): void {
		this.#failure ??= error;
		for (const { lost } of this.#blocks.splice(0)) lost(this.#failure);
		for (const each of [this.#bytes, this.#root, this.#seal, this.#verified, this.#kept])
			each.reject(this.#failure);
		this.#socket?.destroy();
	}

	/** From the first connection until the evidence is kept, over as many links as it takes. */
	async #drive(first: TLSSocket, firstWire: Wire): Promise<void> {
		let failed: unknown;
		try {
			await this.#session(first, firstWire, 0);
			return;
		} catch (error) {
			failed = error;
		}
		const { host, port, patienceMs, say } = this.#options;
		for (let lostMs = performance.now(), pauseMs = FIRST_PAUSE_MS; this.#failure === undefined; pauseMs = Math.min(
			2 * pauseMs, LONGEST_PAUSE_MS
		)) {
			if (failed instanceof Failure) {
				this.#fail(failed);
				return;
			}
			if (performance.now() - lostMs > patienceMs) {
				this.#fail(new Failure(
					`the link to ${host}:${port} was lost for ${Math.round(patienceMs / 1000)} s ` +
						`(${messageOf(failed)}): see to the receiver, and take the evidence again`
				));
				return;
			}
			say(`the link to ${host}:${port} was lost (${messageOf(failed)}): trying again`);
			await sleep(pauseMs);
			try {
				const before = this.#have;
				const socket = await connect(this.#options);
				this.#socket = socket;
				const wire = new Wire(socket);
				socket.write(line({ procsnap: PROTOCOL, ...(this.#known ? { resume: this.transfer.id } : {}) }));
				const { id, have = 0, kept } = await answer(wire).catch((error: unknown) => {
					if (!this.#known || this.#have > 0 || !(error instanceof Failure)) throw error;
					// What it has nothing of it does not know any more: all of it is here still, for a new transfer.
					this.#known = false;
					throw new Error('the receiver has nothing of it yet');
				});
				if (id === undefined) throw new Malformed('a receiver that gives the transfer no id');
				this.transfer = { ...this.transfer, id };
				this.#known = true;
				if (kept !== undefined) {
					if (!this.#sealed)
						throw new Malformed('a receiver that says it has evidence that was not sealed yet');
					this.#kept.resolve(kept);
					return;
				}
				say(`the link is back: going on from ${have} bytes`);
				await this.#session(socket, wire, have).finally(() => {
					// A link on which something went through was a good one.
					if (this.#have > before) [lostMs, pauseMs] = [performance.now(), FIRST_PAUSE_MS / 2];
				});
				return;
			} catch (error) {
				failed = error;
			}
		}
	}

	async #session(socket: TLSSocket, wire: Wire, have: number): Promise<void> {
		const closed = new AbortController();
		socket.once('close', () => closed.abort(new Error('the receiver closed it')));
		const gone = once(closed.signal, 'abort').then(() => { throw closed.signal.reason; });
		gone.catch(() => undefined);
		try {
			const bytes = await this.#bytes.promise;
			socket.write(line({ bytes }));
			this.#keep(have);
			await Promise.all([this.#send(socket, have, bytes, closed.signal, gone), this.#hear(wire, bytes)]);
			socket.write(line({ root: await this.#root.promise }));
			const { verified } = await answerOf(wire, 'verified');
			if (verified !== true) throw new Malformed('a receiver that does not say whether it has the evidence');
			this.#verified.resolve(undefined);
			const seal = await this.#seal.promise;
			const parts = partsOf(seal);
			socket.write(line({ seal: Object.fromEntries(parts.map(([part, content]) => [part, content.length])) }));
			for (const [, content] of parts) await this.#put(socket, content, closed.signal);
			const { kept } = await answerOf(wire, 'kept');
			if (kept === undefined) throw new Malformed('a receiver that does not say what it calls the evidence');
			this.#kept.resolve(kept);
		} finally {
			socket.destroy();
		}
	}

	/** What is in the blocks, from `at` on, as they come. */
	async #send(socket: Socket, from: number, bytes: number, signal: AbortSignal, gone: Promise<never>): Promise<void> {
		for (let at = from; at < bytes;) {
			const block = this.#blocks.find(({ offset, bytes: { length } }) => offset <= at && at < offset + length);
			if (block === undefined) {
				// Told to be kept, and so let go here.
				if (at < this.#have) {
					throw new Failure(
						`the receiver has lost what it had of the evidence: ${at} bytes are left, and ${this.#have} ` +
							`were kept; take it again`
					);
				}
				await Promise.race([this.#grown.promise, gone]);
				continue;
			}
			await this.#put(socket, block.bytes.subarray(at - block.offset), signal);
			at = block.offset + block.bytes.length;
		}
	}

	async #put(socket: Socket, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
		for (let at = 0; at < bytes.length;) {
			const piece = bytes.subarray(at, at + this.#pace.pieceBytes);
			await this.#pace.admit(piece.length);
			signal.throwIfAborted();
			if (!socket.write(piece)) await once(socket, 'drain', { signal });
			at += piece.length;
		}
	}

	async #hear(wire: Wire, bytes: number): Promise<void> {
		while (this.#have < bytes) {
			const { have } = await answer(wire);
			if (have === undefined || have > bytes) throw new Malformed('a receiver that does not say how much it has');
			this.#keep(have);
		}
	}

	/** The receiver has so many bytes. */
	#keep(have: number): void {
		this.#have = Math.max(this.#have, have);
		while (this.#blocks[0] !== undefined && this.#blocks[0].offset + this.#blocks[0].bytes.length <= this.#have) {
			this.#blocks.shift()?.kept();
		}
	}
}

async function connect({ host, port, credentials, signal }: SenderOptions): Promise<TLSSocket> {
	const tcp = connectTcp({ host, port, noDelay: true });
	tcp.on('error', () => undefined);	// the connection over it hears of it
	const options = signal === undefined ? {} : { signal };
	const stalled = setTimeout(() => tcp.destroy(new Error('it does not answer')), STALL_MS / 2);
	try {
		await once(tcp, 'connect', options);
		tcp.setTypeOfService(LOWER_EFFORT);
		const socket = connectTls({
			socket: tcp, host, ...(isIP(host) === 0 ? { servername: host } : {}), ...credentials, minVersion: 'TLSv1.3',
		});
		await once(socket, 'secureConnect', options);
		socket.on('error', () => undefined);	// whoever reads or writes hears of it
		socket.setTimeout(STALL_MS, () => socket.destroy(new Error(`nothing came or went for ${STALL_MS / 1000} s`)));
		return socket;
	} catch (error) {
		tcp.destroy();
		throw error;
	} finally {
		clearTimeout(stalled);
	}
}

/** Throws Failure if the receiver refuses, Error if it is gone. */
async function answer(wire: Wire): Promise<Answer> {
	const text = await wire.line();
	if (text === null) throw new Error('the receiver closed it');
	const parsed = parseAnswer(text);
	if (parsed.refused !== undefined)
		throw new Failure(`the receiver refuses the evidence: ${parsed.refused.slice(0, 500)}`);
	return parsed;
}

/** The next answer that is not about how much it has: while it is busy it repeats that. */
async function answerOf(wire: Wire, what: 'verified' | 'kept'): Promise<Answer> {
	for (;;) {
		const found = await answer(wire);
		if (found[what] !== undefined || found.have === undefined) return found;
	}
}

