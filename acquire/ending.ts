/** The end of a duplicate, and what that and all that nobody asked for did to the target. */
import { ProcsnapError, type CallCount, type Ended, type Tracer } from '../native/index.ts';
import { sumOf } from './duplicate.ts';
import { atMostText } from '../common/format.ts';
import { cutTexts } from './texts.ts';

/** What stops have done that no request was for: the tracer had to bury the duplicate later, or a thread came late. */
export interface Untold { pauseNs: number; calls: CallCount[] }

export type DuplicateEnd = Pick<Ended, 'unburied' | 'endedEarly'> & {
	/** Of the stop for the end and of those that the tracer has tried by itself by then. null: not known. */
	endPauseNs: number | null;
	endFailed: string | null;
};

/** Never throws what the tracer says: the evidence is there, and how the duplicate ended is a line of the ledger. */
export function endDuplicate(tracer: Pick<Tracer, 'end'>): DuplicateEnd {
	try {
		const { pauseNs, unaskedPauseNs, unburied, endedEarly } = tracer.end();
		return { endPauseNs: pauseNs + unaskedPauseNs, unburied, endedEarly, endFailed: null };
	} catch (error) {
		if (!(error instanceof ProcsnapError)) throw error;
		return { endPauseNs: null, unburied: null, endedEarly: null, endFailed: error.message };
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
 * There will be no evidence, and so no ledger: ends the duplicate, if there is one, and says what all stops did to the
 * target. `calls` is what they have done by now.
 */
export function endInVain(tracer: Tracer, calls: CallCount[]): Toll {
	let endedEarly: string | null = null, unaskedPauseNs = 0, done = calls;
	try {
		const ended = tracer.end();
		({ endedEarly, unaskedPauseNs } = ended);
		done = sumOf(done, ended.calls);
	} catch (error) {
		if (!(error instanceof ProcsnapError)) throw error;	// it holds none, or is gone
	}
	const untold = untoldOf(tracer), all = sumOf(done, untold?.calls ?? []);
	const texts = untoldTexts(untold === null ? null : { pauseNs: unaskedPauseNs + untold.pauseNs, calls: [] });
	return { endedEarly, calls: all, texts: [...texts, ...cutTexts(all)] };
}
