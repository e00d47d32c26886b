/** What a copy of a process made by fork does not have as it was: the difference of the two, and what the flags tell. */
import { closeSync, openSync } from 'node:fs';
import { ProcsnapError, Tracer } from '../native/index.ts';
import { bestMechanism, duplicate, isForked, type MechanismName } from './duplicate.ts';
import { Failure, messageOf } from './errors.ts';
import { populatedRuns } from './evidence/pagemap.ts';
import { regionsOf } from './evidence/process.ts';
import { classify, hiddenRegions, withFlags, type Classified } from './evidence/provenance.ts';

export interface HiddenRegion {
	start: number;
	end: number;
	name: string;
	why: 'left-out' | 'wiped' | 'shared' | 'device' | 'secret';
	/** In the target's memory. */
	residentBytes: number;
}

/** Takes a duplicate and ends it; reads no memory. Throws Failure. */
export function findHidden(pid: number, wanted?: MechanismName): { mechanism: MechanismName; regions: HiddenRegion[] } {
	const mechanism = wanted ?? bestMechanism();
	const tracer = Tracer.start();
	try {
		const before = regionsOf(pid, 'maps');
		const taken = duplicate(tracer, pid, mechanism);
		const regions = regionsOf(taken.pid, 'smaps');
		const hidden = withFlags(hiddenRegions(before, regionsOf(pid, 'maps'), regions), () => regionsOf(pid, 'smaps'));
		const classified = classify(regions, hidden, isForked(mechanism));
		const pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
		try {
			return { mechanism, regions: classified.flatMap((each): HiddenRegion[] => {
				const why = reason(each);
				const { start, end, name } = each.region;
				return why === null ? [] : [{ start, end, name, why, residentBytes: populatedRuns(pagemap, each.region, 'resident').reduce((sum, run) => sum + run.end - run.start, 0) }];
			}) };
		} finally {
			closeSync(pagemap);
		}
	} catch (error) {
		if (error instanceof ProcsnapError) throw new Failure(error.message);
		throw error instanceof Failure ? error : new Failure(`process ${pid} cannot be looked at (${messageOf(error)}): is it there, and yours or are you root?`);
	} finally {
		tracer.close();
	}
}

/** A duplicate by syscall has what a fork leaves out; its flags still tell. */
function reason({ capture, region: { flags } }: Classified): HiddenRegion['why'] | null {
	if (capture === 'device' || capture === 'secret') return capture;
	if (capture === 'hidden-by-dontfork' || flags.has('dc')) return 'left-out';
	if (capture === 'wiped-on-fork' || flags.has('wf')) return 'wiped';
	return capture === 'shared-live' ? 'shared' : null;
}
