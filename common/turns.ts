/** For work that takes long: others have their turn in between, and a signal is heard. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The longest that others wait. */
const MOST_MS = 20;
/** So many are done before anybody looks at the clock: each takes some microseconds. */
const AT_A_TIME = 64;

/** Between two steps that each take some tens of milliseconds. Throws what `signal` was aborted with by then. */
export async function aTurn(signal?: AbortSignal): Promise<void> {
	await nextTurn();
	signal?.throwIfAborted();
}

/**
 * To be called often and, where it gives a promise, waited for. Throws what `signal` was aborted with by then.
 */
export function turns(signal?: AbortSignal): () => Promise<void> | undefined {
	let begun = performance.now();
	const give = async (): Promise<void> => {
		await aTurn(signal);
		begun = performance.now();
	};
	return () => (performance.now() - begun < MOST_MS ? undefined : give());
}

/** Of tens of thousands, one after the other, others having their turn. Throws what `signal` was aborted with. */
export async function inTurns<Each>(
	all: readonly Each[], action: (each: Each, index: number) => void, signal?: AbortSignal
): Promise<void> {
	const turn = turns(signal);
	for (const [i, each] of all.entries()) {
		action(each, i);
		if (i % AT_A_TIME === 0) await turn();
	}
}
