/** A copy by the mechanism that was chosen, or by the next one where that gives up and has left the target whole. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Mechanism, Still } from '../mechanisms/shared/types.ts';
import { ProcsnapError, type CallCount, type CallCounts, type Tracer } from '../native/index.ts';
import { sumOfCounts } from './calls.ts';
import type { Choice } from './choice.ts';
import type { Attempt, Instant } from './evidence/manifest.ts';
import { instantNow, type HowToCopy, type Survey } from './survey.ts';

/**
 * What a mechanism gives up with where another one may do: too much is written (E2BIG) or nobody can tell when
 * (EAGAIN), it does not know this kind of process (ENOTSUP), something else is in the way (EBUSY), or there are not
 * enough descriptors for it (EMFILE). Not: the target has ended (ESRCH) or is not to be stopped (ETIMEDOUT), a disk is
 * full (ENOSPC), or something was left in the target (EIO).
 */
const ANOTHER_MAY_DO = ['E2BIG', 'EAGAIN', 'ENOTSUP', 'EBUSY', 'EMFILE'];

export interface Copied {
	mechanism: Mechanism;
	still: Still;
	/** When that attempt began. */
	before: Instant;
}

export class Attempts {
	readonly #made: Attempt[] = [];
	readonly #inVain: CallCounts[] = [];

	/** Those that are over, in order. */
	get made(): readonly Attempt[] {
		return this.#made;
	}

	/** What those that gave up have done to the target's blocked calls. */
	get inVain(): readonly CallCounts[] {
		return this.#inVain;
	}

	/** The longest stop of them all, as far as it is known. */
	get longestPauseNs(): number {
		return Math.max(0, ...this.#made.map(({ pauseNs }) => pauseNs ?? 0));
	}

	/** Throws what the last one gives up with; a ProcsnapError says what all of them did. */
	async copy(tracer: Tracer, survey: Survey, { mechanism, next }: Choice, how: HowToCopy): Promise<Copied> {
		const before = instantNow();
		let still;
		try {
			still = await survey.copy(tracer, mechanism, how);
		} catch (error) {
			const [then, ...others] = next;
			if (!(error instanceof ProcsnapError)) throw error;
			// The copy was given up without a pause for this process: a signal that came meanwhile is heard now.
			await nextTurn();
			if (then === undefined || !ANOTHER_MAY_DO.includes(error.code) || how.signal?.aborted === true)
				throw this.#withAll(mechanism, error);
			this.#gaveUp(mechanism, error, before);
			tracer.forgetLastCalls();
			how.gaveUp?.({ mechanism, reason: error.message, next: then });
			return this.copy(tracer, survey, { mechanism: then, next: others, why: '', passedOver: [] }, how);
		}
		const { pauseNs, calls } = still.figures;
		this.#add(mechanism, 'taken', null, { pauseNs, calls: calls?.calls ?? null }, before);
		return { mechanism, still, before };
	}

	#gaveUp(mechanism: Mechanism, { message, inVain }: ProcsnapError, before: Instant): void {
		const did = { pauseNs: inVain?.pauseNs ?? null, calls: inVain?.calls.calls ?? null };
		this.#add(mechanism, 'refused', message, did, before);
		if (inVain !== null) this.#inVain.push(inVain.calls);
	}

	#add(
		mechanism: Mechanism, outcome: Attempt['outcome'], reason: string | null,
		did: { pauseNs: number | null; calls: CallCount[] | null }, { monotonicNs: startedNs }: Instant
	): void {
		this.#made.push({
			mechanism: mechanism.name, outcome, reason, ...did, startedNs, endedNs: instantNow().monotonicNs,
		});
	}

	#withAll({ name }: Mechanism, error: ProcsnapError): ProcsnapError {
		if (this.#made.length === 0) return error;
		const before = this.#made.map(({ mechanism, reason }) => `by ${mechanism}: ${reason}`);
		return new ProcsnapError(error.code, `${before.join('; ')}; by ${name}: ${error.message}`, error.inVain);
	}
}

/** Of stops for the copy, those that were in vain among them. null: nobody counts. */
export const allCounts = (taken: CallCounts | null, inVain: readonly CallCounts[]): CallCounts | null =>
	(taken === null && inVain.length === 0 ? null : sumOfCounts([...inVain, ...(taken === null ? [] : [taken])]));
