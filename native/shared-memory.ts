import { addon } from './addon.ts';

/** Memory shared with a child process that inherits `fd`. */
export class Shared {
	readonly fd: number;
	readonly words: BigInt64Array;
	constructor(bytes: number) {
		const { fd, buffer } = addon().createShared(bytes);
		this.fd = fd;
		this.words = new BigInt64Array(buffer);
	}

	wake(word: number): void {
		addon().futexWake(this.words.buffer as ArrayBuffer, word * 8);
	}

	/** Sleep until a word is at least `value`; false when the time is over. */
	waitFor(word: number, value: number | bigint, timeoutMs: number): boolean {
		return addon().waitFor(this.words.buffer as ArrayBuffer, word * 8, value, timeoutMs);
	}

	/** The child has its own by now; the mapping stays. */
	closeFd(): void {
		addon().closeFd(this.fd);
	}
}
