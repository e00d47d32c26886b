/** The copy, and what is to be read of it. */
import type { Image, Mechanism, Still, UnreadThread } from '../mechanisms/shared/types.ts';
import { xsaveComponents, type ThreadRegisters, type Tracer } from '../native/index.ts';
import { Failure } from '../common/errors.ts';
import { livingThread, processNote, type Executed, type Identity, type ProcessNote } from '../common/proc/process.ts';
import { hasFile } from '../common/proc/regions.ts';
import type { Attempts } from './attempts.ts';
import type { Choice } from './choice.ts';
import type { Instant } from './evidence/manifest.ts';
import { allNotes } from './evidence/notes.ts';
import { planContents, type Planned } from './evidence/plan.ts';
import type { CoreFilter } from './evidence/provenance.ts';
import { NotPlanned } from './failing.ts';
import type { HowToCopy, Survey } from './survey.ts';

/** What is known once the copy is there, and needs the target no more. */
export interface Moment {
	still: Still;
	image: Image;
	mechanism: Mechanism;
	before: Instant;
	/** What the target executed then, which need not be what it executed when it was looked at. */
	executed: Executed & { path: string };
	threads: ThreadRegisters[];
	unreadThreads: UnreadThread[];
	planned: Planned[];
	/** The core's. */
	notes: Buffer;
	filter: CoreFilter;
	/** Survey.unlocatedBytes() */
	unlocatedBytes: number;
}

/** Throws what a copy is refused with; NotPlanned where it was there, and could not be looked at. */
export async function copyAndPlan(
	tracer: Tracer, survey: Survey, target: Identity, choice: Choice, attempts: Attempts, onlyPrivate: boolean,
	how: HowToCopy
): Promise<Moment> {
	const copied = await attempts.copy(tracer, survey, choice, how);
	try {
		const planned = await plan(survey, target, onlyPrivate, copied.still.pid, how.signal);
		return { ...copied, image: survey.image, ...planned };
	} catch (error) {
		throw new NotPlanned(error);
	}
}

export const placed = (planned: readonly Planned[]): Planned[] => planned.filter(({ runs }) => runs.length > 0);

type Plan = Pick<Moment, 'executed' | 'threads' | 'unreadThreads' | 'planned' | 'notes' | 'filter' | 'unlocatedBytes'>;

async function plan(
	survey: Survey, target: Identity, onlyPrivate: boolean, copyPid: number, signal: AbortSignal | undefined
): Promise<Plan> {
	const { image, live } = survey;
	const executed = image.executed(), classified = await survey.classified(signal);
	const threads = image.threads()
		.sort((a, b) => Number(b.tid === target.pid) - Number(a.tid === target.pid) || a.tid - b.tid);
	const filter = { coredumpFilter: survey.coredumpFilter, onlyPrivate };
	const pids = [...(copyPid === 0 ? [] : [copyPid]), livingThread(target.pid)];
	const planned = await planContents(classified, image, live, pids, filter, signal);
	const files = classified.map(({ region }) => region).filter((region) => hasFile(region))
		.map(({ start, end, fileOffset, name }) => ({ start, end, fileOffset, name }));
	const process: ProcessNote = {
		...image.note(), ...ofTarget(target), pid: target.pid, ppid: target.ppid, command: executed.command,
		commandLine: executed.commandLine.join(' '),
	};
	return {
		executed, threads, unreadThreads: image.unreadThreads?.() ?? [], planned,
		notes: allNotes(threads, process, image.auxv(), files, xsaveComponents()),
		filter, unlocatedBytes: survey.unlocatedBytes(classified),
	};
}

/** As it is now; where it has ended since, what is known. */
function ofTarget({ pid }: Identity): Partial<ProcessNote> {
	try {
		const { pgrp, sid, state, nice } = processNote(pid);
		return { pgrp, sid, state, nice };
	} catch (error) {
		if (!(error instanceof Failure)) throw error;
		return { state: 'Z' };
	}
}
