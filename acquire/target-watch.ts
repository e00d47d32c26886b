/** Notices that the target has ended while its copy is read: it may be wanted to start again. */
import { Failure, isGone } from '../common/errors.ts';
import { hasEnded, livingThread, startTicksOf, type Identity } from '../common/proc/process.ts';

/** What is looked at is one line of /proc. */
const EVERY_MS = 100;

export class TargetWatch {
	readonly #timer: NodeJS.Timeout;

	/** `ended` is called once. */
	constructor(target: Pick<Identity, 'pid' | 'startTicks'>, ended: () => void) {
		this.#timer = setInterval(() => {
			if (!isOver(target)) return;
			this.close();
			ended();
		}, EVERY_MS);
	}

	/** Once or more. */
	close(): void {
		clearInterval(this.#timer);
	}
}

/** Its pid may be another process's by now. */
function isOver({ pid, startTicks }: Pick<Identity, 'pid' | 'startTicks'>): boolean {
	try {
		// Its first thread may end before the others.
		return startTicksOf(pid) !== startTicks || hasEnded(livingThread(pid));
	} catch (error) {
		// That this process has no descriptor left, say, is not the target's end.
		return error instanceof Failure || isGone(error);
	}
}
