/** What a copy of a process made by fork does not have as it was: the difference of the two, and what the flags tell. */
import { ProcsnapError, Tracer, type CallCount } from '../native/index.ts';
import { bestMechanism, duplicate, isForked, type MechanismName } from './duplicate.ts';
import { endInVain } from './ending.ts';
import { Failure, messageOf } from '../common/errors.ts';
import { LiveTarget } from './evidence/live.ts';
import { regionsOf } from '../common/proc/process.ts';
import { classify, missingRegions, type Classified } from './evidence/provenance.ts';
import { hasFile } from '../common/proc/regions.ts';

export interface HiddenRegion {
	start: number;
	end: number;
	name: string;
	why: 'left-out' | 'wiped' | 'shared' | 'device' | 'secret' | 'absent';
	/** In the target's memory. */
	residentBytes: number;
}

export interface Hidden {
	mechanism: MechanismName;
	regions: HiddenRegion[];
	/** What the stops for the duplicate and for its end did to blocked calls of the target. null: nobody counts (syscall). */
	calls: CallCount[] | null;
	/** What is to be said of that, and of stops that nobody asked for. */
	texts: string[];
}

/** Takes a duplicate and ends it; reads no memory. Throws Failure. */
export function findHidden(pid: number, wanted?: MechanismName, stopLimitMs?: number): Hidden {
	const mechanism = wanted ?? bestMechanism();
	const tracer = Tracer.start(stopLimitMs === undefined ? {} : { stopLimitMs });
	let live: LiveTarget | undefined;
	try {
		const before = regionsOf(pid, 'maps');
		const target = live = new LiveTarget(pid);
		const taken = duplicate(tracer, pid, mechanism);
		const regions = regionsOf(taken.pid, 'smaps');
		const { absent } = missingRegions(before, regionsOf(pid, 'maps'), regions, () => target.regions());
		const found = classify(regions, absent, isForked(mechanism)).flatMap((each): HiddenRegion[] => {
			const why = reason(each);
			const { start, end, name } = each.region;
			return why === null ? [] : [{ start, end, name, why, residentBytes: (target.populated(each.region, 'resident') ?? []).reduce((sum, run) => sum + run.end - run.start, 0) }];
		});
		const { calls, texts } = endInVain(tracer, taken.calls ?? []);
		return { mechanism, regions: found, calls: taken.calls === null ? null : calls, texts };
	} catch (error) {
		const known = error instanceof ProcsnapError || error instanceof Failure;
		const text = known ? error.message : `process ${pid} cannot be looked at (${messageOf(error)}): is it there, and yours or are you root?`;
		// Refused at the last moment, or without its duplicate, the target may have been stopped in vain.
		throw new Failure([text, ...endInVain(tracer, tracer.lastCalls.calls).texts].join('; '));
	} finally {
		tracer.close();
		live?.close();
	}
}

/** A duplicate by syscall has what a fork leaves out; its flags still tell. */
function reason({ capture, region }: Classified): HiddenRegion['why'] | null {
	if (capture === 'device' || capture === 'secret') return capture;
	if (capture === 'hidden-by-dontfork' || region.flags.has('dc')) return 'left-out';
	if (capture === 'wiped-on-fork' || region.flags.has('wf')) return 'wiped';
	// What is of a file with a lock procsnap itself keeps out of the duplicate: a fork has it.
	if (capture === 'private-live' && !hasFile(region)) return 'absent';
	return capture === 'shared-live' ? 'shared' : null;
}
