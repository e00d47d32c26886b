/** For work that takes long: others have their turn in between, and a signal is heard. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The longest that others wait. */
const MOST_MS = 20;

/**
 * To be called often and, where it gives a promise, waited for. Throws what `signal` was aborted with by then.
 */
export function turns(signal?: AbortSignal): () => Promise<void> | undefined {
	let begun = performance.now();
	const give = async (): Promise<void> => {
		await nextTurn();
		signal?.throwIfAborted();
		begun = performance.now();
	};
	return () => (performance.now() - begun < MOST_MS ? undefined : give());
}
