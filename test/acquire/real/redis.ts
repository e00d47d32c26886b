/**
 * A connection to Redis that is never made anew: what happens to it is seen. RESP2, of
 * https://redis.io/docs/reference/protocol-spec.
 */
import { createConnection, type Socket } from 'node:net';

export type Reply = string | number | null | Reply[];

/** The reply at `at` and where it ends; undefined where it is not all there. Throws on an error reply. */
function parse(text: string, at: number): { reply: Reply; end: number } | undefined {
	const line = text.indexOf('\r\n', at);
	if (line < 0) return undefined;
	const value = text.slice(at + 1, line);
	let end = line + 2;
	switch (text[at]) {
	case '+': return { reply: value, end };
	case ':': return { reply: Number(value), end };
	case '$': {
		if (value === '-1') return { reply: null, end };
		const last = end + Number(value);
		return text.length < last + 2 ? undefined : { reply: text.slice(end, last), end: last + 2 };
	}
	case '*': {
		if (value === '-1') return { reply: null, end };
		const replies: Reply[] = [];
		while (replies.length < Number(value)) {
			const next = parse(text, end);
			if (next === undefined) return undefined;
			replies.push(next.reply);
			end = next.end;
		}
		return { reply: replies, end };
	}
	default: throw new Error(`Redis answered ${text.slice(at, at + 200)}`);
	}
}

export class RedisClient {
	readonly #socket: Socket;
	readonly #waiting: Array<{ resolve: (reply: Reply) => void; reject: (error: Error) => void }> = [];
	#text = '';
	#lost: Error | undefined;

	private constructor(socket: Socket) {
		this.#socket = socket;
		socket.setEncoding('latin1').on('data', (text: string) => {
			this.#text += text;
			try {
				for (let found = parse(this.#text, 0); found !== undefined; found = parse(this.#text, 0)) {
					this.#text = this.#text.slice(found.end);
					this.#waiting.shift()?.resolve(found.reply);
				}
			} catch (error) {
				this.#fail(error as Error);
			}
		});
		socket.on('error', (error) => this.#fail(error));
		socket.on('close', () => this.#fail(new Error('the connection was lost')));
	}

	static connect(path: string): Promise<RedisClient> {
		return new Promise((resolve, reject) => {
			const socket = createConnection(path, () => resolve(new RedisClient(socket))).once('error', reject);
		});
	}

	#fail(error: Error): void {
		this.#lost ??= error;
		for (const { reject } of this.#waiting.splice(0)) reject(error);
	}

	/** Rejects on an error reply, and from then on. Several may be asked at once. */
	ask(...words: Array<string | number>): Promise<Reply> {
		return new Promise((resolve, reject) => {
			if (this.#lost !== undefined) {
				reject(this.#lost);
				return;
			}
			this.#waiting.push({ resolve, reject });
			this.#socket.write(
				`*${words.length}\r\n${words.map((word) => `$${String(word).length}\r\n${word}\r\n`).join('')}`,
				'latin1'
			);
		});
	}

	close(): void {
		this.#socket.destroy();
	}
}
