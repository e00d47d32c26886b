/** What each mechanism says of a process before it is touched: what a choice is made of. */
import { forEvidence } from '../mechanisms/shared/all.ts';
import type { CopyRoom, Mechanism } from '../mechanisms/shared/types.ts';
import type { Tracer } from '../native/index.ts';
import type { Candidate } from './choice.ts';

/**
 * All that there are for evidence, in their order. Nothing is done to the process. Where the first that can be used
 * does not predict, nothing hangs on what the others say (choice.ts): then they are asked only if `all` is set. Throws
 * ProcsnapError.
 */
export function candidatesFor(
	tracer: Tracer, pid: number, { room = {}, mechanisms = forEvidence(), all = false }: {
		room?: CopyRoom | undefined; mechanisms?: readonly Mechanism[] | undefined; all?: boolean;
	} = {}
): Candidate[] {
	const unavailable = mechanisms.map((mechanism) => mechanism.unavailable());
	const asks = all || mechanisms[unavailable.indexOf(null)]?.estimate !== undefined;
	return mechanisms.map((mechanism, i): Candidate => ({
		mechanism, unavailable: unavailable[i] ?? null,
		estimate: asks && unavailable[i] === null ? mechanism.estimate?.(tracer, pid, room) ?? null : null,
	}));
}
