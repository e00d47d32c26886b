/** The end of a copy, and what that and all that nobody asked for did to the target. */
import type { Still } from '../mechanisms/shared/types.ts';
import { ProcsnapError, type CallCount, type CallCounts, type Ended, type Tracer } from '../native/index.ts';
import { sumOf } from './calls.ts';
import { atMostText } from '../common/format.ts';
import { cutTexts } from './texts.ts';

/** What stops have done that no request was for: the tracer had to bury the duplicate later, or a thread came late. */
export interface Untold { pauseNs: number; calls: CallCount[] }

export type StillEnd = Pick<Ended, 'unburied' | 'endedEarly'> & {
	/** Of the stop for the end and of those that the tracer has tried by itself by then. null: not known. */
	endPauseNs: number | null;
	endFailed: string | null;
	/** What the stop for the end did to blocked calls. */
	counts: CallCounts;
};

/** Never throws what the mechanism says: the evidence is there, and how the copy ended is a line of the ledger. */
export function endStill(still: Pick<Still, 'end'>, tracer: Pick<Tracer, 'lastCalls'>): StillEnd {
	try {
		const { pauseNs, unaskedPauseNs, unburied, endedEarly, restartedCalls, lengthenedTimeouts, cutCalls, calls } =
			still.end();
		const counts = { restartedCalls, lengthenedTimeouts, cutCalls, calls };
		return { endPauseNs: pauseNs + unaskedPauseNs, unburied, endedEarly, endFailed: null, counts };
	} catch (error) {
		if (!(error instanceof ProcsnapError)) throw error;
		return {
			endPauseNs: null, unburied: null, endedEarly: null, endFailed: error.message, counts: tracer.lastCalls,
		};
	}
}

/** null: the tracer is gone, and nobody knows. */
export function untoldOf(tracer: Pick<Tracer, 'untold'>): Untold | null {
	try {
		const { pauseNs, calls } = tracer.untold();
		return { pauseNs, calls };
	} catch (error) {
		if (!(error instanceof ProcsnapError)) throw error;
		return null;
	}
}

export function untoldTexts(untold: Untold | null): string[] {
	if (untold === null) return ['nobody knows whether the target was stopped again: the tracer is gone'];
	const stopped = `the target was stopped for ${atMostText(untold.pauseNs)} at most, to reap the duplicate`;
	return [...(untold.pauseNs === 0 ? [] : [stopped]), ...cutTexts(untold.calls)];
}

export interface Toll {
	endedEarly: string | null;
	/** Of all stops. */
	calls: CallCount[];
	/** What is to be said of them. */
	texts: string[];
}

/**
 * There will be no evidence, and so no ledger: ends the copy, or what the tracer holds where there is none, and says
 * what all stops did to the target. `calls` is what they have done by now.
 */
export function endInVain(tracer: Tracer, held: Pick<Still, 'end'>, calls: CallCount[]): Toll {
	let endedEarly: string | null = null, unaskedPauseNs = 0, done = calls;
	try {
		const ended = held.end();
		({ endedEarly, unaskedPauseNs } = ended);
		done = sumOf(done, ended.calls);
	} catch (error) {
		if (!(error instanceof ProcsnapError)) throw error;	// it holds none, or is gone
	}
	const untold = untoldOf(tracer), all = sumOf(done, untold?.calls ?? []);
	const texts = untoldTexts(untold === null ? null : { pauseNs: unaskedPauseNs + untold.pauseNs, calls: [] });
	return { endedEarly, calls: all, texts: [...texts, ...cutTexts(all)] };
}
