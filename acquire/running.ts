/** What is said of a process that is read as it runs: it is of no moment, and something came and went meanwhile. */
import { Failure, isGone } from '../common/errors.ts';
import { regionsOf } from '../common/proc/process.ts';
import { uncovered, type Region } from '../common/proc/regions.ts';
import { asItRuns } from '../mechanisms/shared/all.ts';
import { nowNs, ProcsnapError, type Tracer } from '../native/index.ts';
import type { LiveTarget } from './evidence/live.ts';
import type { MappedRecord, NotOfOneMoment } from './evidence/manifest.ts';
import type { Planned } from './evidence/plan.ts';
import { hex, permissions } from './evidence/records.ts';

/** When all of it was read: which addresses of what was to be read are mapped no more, and which are new. */
export function readAsItRan(
	planned: readonly Planned[], pid: number, live: Pick<LiveTarget, 'isThere'>
): NotOfOneMoment {
	const endedNs = Number(nowNs()), before = planned.map(({ region }) => region), after = regionsIfThere(pid);
	// After the look: of another program's regions nothing follows.
	if (after === null || !live.isThere()) return { endedNs, appeared: null, gone: null };
	return {
		endedNs, appeared: uncovered(after, before).map(recordOf), gone: uncovered(before, after).map(recordOf),
	};
}

const recordOf = (region: Region): MappedRecord => ({
	start: hex(region.start), end: hex(region.end), permissions: permissions(region), name: region.name,
});

function regionsIfThere(pid: number): Region[] | null {
	try {
		return regionsOf(pid, 'maps');
	} catch (error) {
		if (error instanceof Failure || isGone(error)) return null;
		throw error;
	}
}

/** What is left for a process that cannot be copied; null: nothing. Nothing is done to it. */
export function offerFor(tracer: Tracer, pid: number): string | null {
	const would = asItRuns().filter(({ unavailable }) => unavailable() === null).find(({ estimate }) => {
		try {
			return estimate?.(tracer, pid).reasons.every(({ code }) => code === null);
		} catch (error) {
			if (error instanceof ProcsnapError || error instanceof Failure || isGone(error)) return false;
			throw error;
		}
	});
	return would === undefined
		? null
		: `--mechanism ${would.name} would read it as it runs, NOT of one moment, without registers, and without ` +
			`stopping it`;
}
