/**
 * What a copy of a process made by fork does not have as it was: the difference of the two, and what the flags tell.
 */
import { Failure, messageOf } from '../common/errors.ts';
import type { Run } from '../common/proc/pagemap.ts';
import { regionsOf, startTicksOf } from '../common/proc/process.ts';
import { hasFile, uncovered } from '../common/proc/regions.ts';
import type { Mechanism } from '../mechanisms/shared/types.ts';
import { ProcsnapError, type CallCount } from '../native/index.ts';
import { endInVain } from './ending.ts';
import type { Classified } from './evidence/provenance.ts';
import { startTracer, Survey } from './survey.ts';

export interface HiddenRegion {
	start: number;
	end: number;
	name: string;
	why: 'left-out' | 'wiped' | 'shared' | 'device' | 'secret' | 'absent';
	/** In the target's memory; null: the target had given it up, or moved it, before anybody could look. */
	residentBytes: number | null;
}

export interface Hidden {
	regions: HiddenRegion[];
	/** Bytes of addresses that a fork left out as well, and of which nobody knows where they were. */
	unlocatedBytes: number;
	/**
	 * What the stops for the duplicate and for its end did to blocked calls of the target. null: the mechanism counts
	 * nothing.
	 */
	calls: CallCount[] | null;
	/** What is to be said of that, and of stops that nobody asked for. */
	texts: string[];
}

/** Takes a duplicate and ends it; keeps no memory. Throws Failure. */
export async function findHidden(pid: number, mechanism: Mechanism, stopLimitMs?: number): Promise<Hidden> {
	if (!mechanism.ofOneMoment)
		throw new Failure(`${mechanism.name} makes no copy that the process could be compared with: name another --mechanism`);
	if (!mechanism.allFlags)
		throw new Failure(
			`a copy by ${mechanism.name} has what a fork leaves out or wipes, and does not tell that it is: hidden compares ` +
				`a duplicate with the process; name another --mechanism, or none`
		);
	const tracer = startTracer(stopLimitMs);
	let survey: Survey | undefined;
	try {
		survey = new Survey({ pid, startTicks: startTicksOf(pid) });
		const still = await survey.copy(tracer, mechanism), { calls: counts } = still.figures, { live } = survey;
		const classified = await survey.classified();
		// What only the target had cannot be told apart any more: that nothing is hidden would be wrong.
		if (classified.some(({ lost }) => lost === 'ESRCH'))
			throw new Failure(`process ${pid} has ended meanwhile: what it hid is not known`);
		const hidden = classified.flatMap((each) => {
			const why = reason(each);
			return why === null ? [] : [{ region: each.region, why, isLost: each.lost !== undefined }];
		});
		const there = hidden.filter(({ isLost }) => !isLost).map(({ region }) => region);
		const resident = await live.pages(there);
		// One that has moved away meanwhile has no pages here, which is not to say that it has none.
		const gone = uncovered(there, regionsOf(pid, 'maps'));
		const found = hidden.map(({ region, why, isLost }): HiddenRegion => {
			const { start, end, name } = region;
			const bytes = bytesIn(isLost ? [] : resident?.(region, 'resident') ?? []);
			const isKnown = bytes > 0 || !(isLost || gone.some((part) => part.start < end && part.end > start));
			return { start, end, name, why, residentBytes: isKnown ? bytes : null };
		});
		const { calls, texts } = endInVain(tracer, still, counts?.calls ?? []);
		const unlocatedBytes = survey.unlocatedBytes(classified);
		return { regions: found, unlocatedBytes, calls: counts === null ? null : calls, texts };
	} catch (error) {
		const known = error instanceof ProcsnapError || error instanceof Failure;
		const text = known
			? error.message
			: `process ${pid} cannot be looked at (${messageOf(error)}): is it there, and yours or are you root?`;
		// Refused at the last moment, or without its duplicate, the target may have been stopped in vain.
		throw new Failure([text, ...endInVain(tracer, survey?.still ?? tracer, tracer.lastCalls.calls).texts].join(
			'; '
		));
	} finally {
		tracer.close();
		survey?.close();
	}
}

const bytesIn = (runs: readonly Run[]): number => runs.reduce((sum, { start, end }) => sum + end - start, 0);

/** A copy that is not forked has what a fork leaves out; its flags still tell. */
function reason({ capture, region }: Classified): HiddenRegion['why'] | null {
	if (capture === 'device' || capture === 'secret') return capture;
	if (capture === 'hidden-by-dontfork' || region.flags.has('dc')) return 'left-out';
	if (capture === 'wiped-on-fork' || region.flags.has('wf')) return 'wiped';
	// What is of a file with a lock procsnap itself keeps out of the duplicate: a fork has it.
	if (capture === 'private-live' && !hasFile(region)) return 'absent';
	return capture === 'shared-live' ? 'shared' : null;
}
