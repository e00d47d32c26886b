/**
 * The collector's side of a transfer. What was sent is kept until the receiver has it: a link that was lost is made
 * again and goes on from there, with the same bytes, though what is shared with the target has changed meanwhile.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { Failure } from '../../common/errors.ts';
import type { CopyRoom } from '../../mechanisms/shared/types.ts';
import type { Destination, Seal } from '../evidence/folder.ts';
import {
	answer, answerOf, connect, firstAnswer, foreign, whyLost, type Link, type Reach,
} from './connection.ts';
import { Pace } from './pace.ts';
import { caughtUp, diskMs, Progress, Stalled } from './progress.ts';
import { Busy, line, Malformed, partsOf, PROTOCOL, Wire } from './protocol.ts';

export interface SenderOptions extends Reach {
	/** Infinity: as fast as can be. */
	bytesPerSecond: number;
	/** For how long a lost link, or one over which nothing more is kept, is tried again; so too a busy receiver. */
	patienceMs: number;
	/** For a copy that is kept until it is sent; default: in memory. */
	room?: CopyRoom | undefined;
	/** The link was lost, or is back. */
	say: (text: string) => void;
}

interface Block { bytes: Uint8Array; offset: number; kept: () => void; lost: (error: Error) => void }

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

	/** Before anything is taken: is there a receiver that knows us, and has room? Throws Failure. */
	static async open(options: SenderOptions): Promise<Sender> {
		const { host, port, patienceMs, say, signal } = options;
		const begunMs = performance.now();
		for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
			try {
				return await Sender.#opened(options);
			} catch (error) {
				if (error instanceof Failure && !(error instanceof Malformed)) throw error;
				const isBusy = error instanceof Busy && signal?.aborted !== true;
				if (!isBusy || performance.now() - begunMs > patienceMs) {
					throw new Failure(
						`no evidence can be sent to ${host}:${port}: ${whyLost(error)}; nothing was taken` +
							(isBusy ? `, and it was waited for ${Math.round(patienceMs / 1000)} s (--patience)` : '')
					);
				}
				say(`${host}:${port}: ${error.message}: trying again`);
				// Cut short by a signal, which the next attempt hears of.
				await sleep(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
			}
		}
	}

	static async #opened(options: SenderOptions): Promise<Sender> {
		let socket: TLSSocket | undefined;
		const interrupted = () => socket?.destroy(new Error('interrupted'));
		try {
			if (options.signal?.aborted === true) throw new Error('interrupted');
			socket = await connect(options);
			options.signal?.addEventListener('abort', interrupted);
			const wire = new Wire(socket);
			socket.write(line({ procsnap: PROTOCOL, waits: true }));
			const { id } = await firstAnswer(socket, wire);
			if (id === undefined) throw new Malformed('a receiver that gives the transfer no id');
			const sender = new Sender(options, id);
			sender.#socket = socket;
			void sender.#drive(socket, wire);
			return sender;
		} catch (error) {
			socket?.destroy();
			throw error;
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
		return `${this.transfer.receiver}: ${foreign(await this.#kept.promise)}`;
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
			if (failed instanceof Stalled || performance.now() - lostMs > patienceMs) {
				this.#fail(new Failure(
					`the link to ${host}:${port} was lost for ${Math.round(patienceMs / 1000)} s ` +
						`(${whyLost(failed)}): see to the receiver, and take the evidence again`
				));
				return;
			}
			say(failed instanceof Busy
				? `${host}:${port}: ${failed.message}: trying again`
				: `the link to ${host}:${port} was lost (${whyLost(failed)}): trying again`);
			await sleep(pauseMs);
			try {
				const before = this.#have;
				const socket = await connect(this.#options);
				this.#socket = socket;
				const wire = new Wire(socket);
				socket.write(line({
					procsnap: PROTOCOL, waits: true, ...(this.#known ? { resume: this.transfer.id } : {}),
				}));
				const { id, have = 0, kept } = await firstAnswer(socket, wire).catch((error: unknown) => {
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
					// A link on which enough went through was a good one.
					lostMs = caughtUp(lostMs, this.#have - before, performance.now());
					if (this.#have > before) pauseMs = FIRST_PAUSE_MS / 2;
				});
				return;
			} catch (error) {
				this.#socket?.destroy();
				failed = error;
			}
		}
	}

	async #session(socket: TLSSocket, wire: Wire, have: number): Promise<void> {
		const closed = new AbortController();
		socket.once('close', () => closed.abort(new Error('the receiver closed it')));
		const gone = once(closed.signal, 'abort').then(() => { throw closed.signal.reason; });
		gone.catch(() => undefined);
		let answers = false;	// all was sent that it has to answer now
		const progress = new Progress(this.#options.patienceMs, () => answers || this.#blocks.length > 0, (error) => {
			closed.abort(error);
			socket.destroy(error);
		});
		const link: Link = { socket, wire, progress, signal: closed.signal, gone };
		try {
			const bytes = await this.#bytes.promise;
			socket.write(line({ bytes }));
			this.#keep(have);
			// It reads again what it has before it takes more.
			progress.step(diskMs(have));
			await Promise.all([this.#send(link, have, bytes), this.#hear(link, bytes)]);
			socket.write(line({ root: await this.#root.promise }));
			answers = true;
			progress.step(diskMs(bytes));
			const { verified } = await answerOf(wire, 'verified');
			if (verified !== true) throw new Malformed('a receiver that does not say whether it has the evidence');
			answers = false;
			this.#verified.resolve(undefined);
			const seal = await this.#seal.promise;
			answers = true;
			const parts = partsOf(seal);
			progress.step(diskMs(parts.reduce((sum, [, content]) => sum + content.length, 0)));
			socket.write(line({ seal: Object.fromEntries(parts.map(([part, content]) => [part, content.length])) }));
			for (const [, content] of parts) await this.#put(link, content);
			const { kept } = await answerOf(wire, 'kept');
			if (kept === undefined) throw new Malformed('a receiver that does not say what it calls the evidence');
			this.#kept.resolve(kept);
		} catch (error) {
			// However the end of the link is told first.
			throw closed.signal.reason instanceof Stalled ? closed.signal.reason : error;
		} finally {
			progress.end();
			socket.destroy();
		}
	}

	/** What is in the blocks, from `at` on, as they come. */
	async #send(link: Link, from: number, bytes: number): Promise<void> {
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
				await Promise.race([this.#grown.promise, link.gone]);
				continue;
			}
			await this.#put(link, block.bytes.subarray(at - block.offset));
			at = block.offset + block.bytes.length;
		}
	}

	async #put({ socket, progress, signal }: Link, bytes: Uint8Array): Promise<void> {
		for (let at = 0; at < bytes.length;) {
			const piece = bytes.subarray(at, at + this.#pace.pieceBytes);
			await this.#pace.admit(piece.length);
			signal.throwIfAborted();
			if (!socket.write(piece)) await once(socket, 'drain', { signal });
			at += piece.length;
			progress.bytes(piece.length);
		}
	}

	async #hear({ wire, progress }: Link, bytes: number): Promise<void> {
		while (this.#have < bytes) {
			const before = this.#have;
			const { have } = await answer(wire);
			if (have === undefined || have > bytes) throw new Malformed('a receiver that does not say how much it has');
			this.#keep(have);
			progress.bytes(this.#have - before);
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
