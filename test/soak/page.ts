/** The page that a target shares with the soak: targets/page.h has the same offsets. */
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';

const BYTES = 4096, TEXT_BYTES = 120, HARMS = 24;
const AT = {
	ready: 0, turns: 8, pid: 16, excuse: 24, excused: 32, harms: 40, handle: 48, leave: 80, unable: 216, rival: 416,
	lost: 424, harm: 512,
};
const UNABLE_BYTES = 200;

export interface PageContents {
	ready: boolean;
	turns: number;
	/** Which process to take; 0: none at present. */
	pid: number;
	/** What would have been a harm if no fault had been in force. */
	excused: number;
	harms: number;
	/** Signals that were lost while a rival tracer was there. */
	lost: number;
	handles: number[];
	unable: string;
	/** How often each was said. */
	texts: Map<string, number>;
}

/** By reads and writes of the file: a mapping would go with this process, and the page outlives its targets. */
export class Page {
	readonly path: string;
	readonly #fd: number;
	readonly #bytes = Buffer.alloc(BYTES);

	constructor(path: string, make = false) {
		this.path = path;
		// Owned by whoever, read by all: a target may change its user.
		if (make) writeFileSync(path, Buffer.alloc(BYTES), { mode: 0o666 });
		this.#fd = openSync(path, 'r+');
	}

	/** All but the texts, which are rarely needed. */
	pid(): number {
		readSync(this.#fd, this.#bytes, 0, 24, 0);
		return this.#number(AT.ready) === 0 ? 0 : this.#number(AT.pid);
	}

	read(): PageContents {
		readSync(this.#fd, this.#bytes, 0, BYTES, 0);
		const texts = new Map<string, number>();
		for (let i = 0; i < HARMS; i++) {
			const at = AT.harm + i * (8 + TEXT_BYTES), count = this.#number(at);
			if (count > 0) texts.set(this.#text(at + 8, TEXT_BYTES), count);
		}
		return {
			ready: this.#number(AT.ready) !== 0, turns: this.#number(AT.turns), pid: this.#number(AT.pid),
			excused: this.#number(AT.excused), harms: this.#number(AT.harms), lost: this.#number(AT.lost),
			handles: [0, 1, 2, 3].map((i) => this.#number(AT.handle + 8 * i)),
			unable: this.#text(AT.unable, UNABLE_BYTES), texts,
		};
	}

	/** Is a fault in force that ends blocked calls by itself? */
	isExcused(): boolean {
		return this.#number(AT.excuse) % 2 === 1;
	}

	setExcuse(value: number): void {
		this.#write(AT.excuse, value);
	}

	/** Odd: a tracer is attached or lets go that may lose a signal. */
	setRival(value: number): void {
		this.#write(AT.rival, value);
	}

	askToLeave(): void {
		this.#write(AT.leave, 1);
	}

	/** For a new process: all but what it has to outlive. */
	clear(): void {
		writeSync(this.#fd, Buffer.alloc(BYTES), 0, BYTES, 0);
	}

	close(): void {
		closeSync(this.#fd);
	}

	#write(at: number, value: number): void {
		const bytes = Buffer.alloc(8);
		bytes.writeBigUInt64LE(BigInt(value));
		writeSync(this.#fd, bytes, 0, 8, at);
	}

	#number(at: number): number {
		return Number(this.#bytes.readBigUInt64LE(at));
	}

	#text(at: number, most: number): string {
		const bytes = this.#bytes.subarray(at, at + most), end = bytes.indexOf(0);
		return bytes.subarray(0, end < 0 ? most : end).toString('utf8');
	}
}
