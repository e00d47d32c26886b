/** No more than so many bytes a second, evenly. */
import { setTimeout as sleep } from 'node:timers/promises';

/** A tenth of a second's bytes go at once, but no fewer than this. */
const LEAST_PIECE_BYTES = 4096;
const MOST_PIECE_BYTES = 256 << 10;

export class Pace {
	/** How much is to be written at once. */
	readonly pieceBytes: number;
	readonly #bytesPerSecond: number;
	/** The time until which what was let through so far is spread. */
	#paidUntilMs = 0;

	/** Infinity: as fast as can be. */
	constructor(bytesPerSecond: number) {
		this.#bytesPerSecond = bytesPerSecond;
		this.pieceBytes = Math.min(MOST_PIECE_BYTES, Math.max(LEAST_PIECE_BYTES, Math.floor(bytesPerSecond / 10)));
	}

	/** Resolves when the next `bytes` may go. What was not used while there was nothing to send is not made up for. */
	async admit(bytes: number): Promise<void> {
		if (this.#bytesPerSecond === Infinity) return;
		const nowMs = performance.now();
		const waitMs = this.#paidUntilMs - nowMs;
		this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs) + bytes / this.#bytesPerSecond * 1000;
		if (waitMs > 0) await sleep(waitMs);
	}
}
