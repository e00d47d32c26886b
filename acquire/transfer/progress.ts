/**
 * Does a receiver keep what it is sent? One that only says that it is there holds the duplicate, and with it the
 * target's memory: what counts is that more is kept, or sent, and that there was anything to be kept.
 */

/** Slower than this nothing is sent: so much time each byte is worth. Half of what a receiver asks for. */
const LEAST_BYTES_PER_SECOND = 4 << 10;
/** A receiver may read again what it has, and send to its disk what came: no disk is slower. */
const LEAST_DISK_BYTES_PER_SECOND = 4 << 20;

/** The receiver has kept nothing more for as long as it is waited for. */
export class Stalled extends Error {
	override name = 'Stalled';
}

/** What so many bytes may take on a receiver's disk. */
export const diskMs = (bytes: number): number => bytes / LEAST_DISK_BYTES_PER_SECOND * 1000;

/** What so many bytes that went through have made up for: no more than has passed. */
export const caughtUp = (sinceMs: number, bytes: number, nowMs: number): number =>
	Math.min(nowMs, sinceMs + bytes / LEAST_BYTES_PER_SECOND * 1000);

/** Of one link. */
export class Progress {
	readonly #patienceMs: number;
	readonly #owed: () => boolean;
	readonly #timer: NodeJS.Timeout;
	#sinceMs = performance.now();
	#moreMs = 0;

	/** `owed`: the receiver has something to answer for. `stalled` is called once. */
	constructor(patienceMs: number, owed: () => boolean, stalled: (error: Stalled) => void) {
		this.#patienceMs = patienceMs;
		this.#owed = owed;
		this.#timer = setInterval(() => {
			const nowMs = performance.now();
			if (!this.#owed()) this.#sinceMs = nowMs;
			if (nowMs - this.#sinceMs <= this.#patienceMs + this.#moreMs) return;
			this.end();
			stalled(new Stalled('nothing more of the evidence was kept there'));
		}, Math.min(1000, patienceMs / 4));
	}

	/** So many bytes were sent, or are kept now that were not. */
	bytes(count: number): void {
		this.#sinceMs = caughtUp(this.#sinceMs, count, performance.now());
	}

	/** Something else begins, which may take so much longer. */
	step(moreMs: number): void {
		this.#sinceMs = performance.now();
		this.#moreMs = moreMs;
	}

	end(): void {
		clearInterval(this.#timer);
	}
}
