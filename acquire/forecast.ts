/** How much evidence there would be, before anything is done to the target: from its own page table, without a copy. */
import { readFile, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, Failure } from '../common/errors.ts';
import { bytesText } from '../common/format.ts';
import { withFiles } from '../common/proc/mapped-files.ts';
import { livingThread } from '../common/proc/process.ts';
import type { Region } from '../common/proc/regions.ts';
import type { Mechanism } from '../mechanisms/shared/types.ts';
import { secretDevice } from '../native/index.ts';
import type { Destination } from './evidence/folder.ts';
import type { LiveTarget } from './evidence/live.ts';
import { planContents } from './evidence/plan.ts';
import { classify, classifyRunning, type CoreFilter } from './evidence/provenance.ts';
import type { Survey } from './survey.ts';

export interface Forecast {
	/** Of the target, and how many of them have something that is taken. */
	regions: number;
	withContent: number;
	/** About so many the folder will have: the core, and what is said of it. The target may change until then. */
	bytes: number;
}

type Like = Pick<Mechanism, 'keepsShared' | 'ofOneMoment'>;

/** Each in the core's head and in the manifest, about. */
const SEGMENT_BYTES = 56 + 100, REGION_BYTES = 400;
/** Registers, in the core's notes; other files. */
const REST_BYTES = 64 << 10;

/**
 * `mapped`: the target's regions, without flags, which would hold its mmap_lock. What a fork leaves out is taken from
 * the target, and counts as well. null: it has ended. Throws what `signal` was aborted with.
 */
export async function forecast(
	pid: number, mapped: readonly Region[], live: LiveTarget, { keepsShared, ofOneMoment }: Like,
	filter: CoreFilter, signal?: AbortSignal
): Promise<Forecast | null> {
	const thread = livingThread(pid);
	const there = withFiles(thread, mapped, secretDevice());
	const classified = ofOneMoment ? classify(there, [], false, [], keepsShared) : classifyRunning(there);
	const pages = await live.pages(mapped, signal);
	if (pages === null) return null;
	const both = { populated: pages, pages: () => Promise.resolve(pages) };
	const planned = await planContents(classified, both, both, [thread], filter, signal);
	const withContent = planned.filter(({ runs }) => runs.length > 0);
	const bytes = withContent.reduce(
		(sum, { runs }) => sum + runs.reduce((all, { start, end }) => all + end - start + SEGMENT_BYTES, 0), 0
	);
	return {
		regions: mapped.length, withContent: withContent.length,
		bytes: bytes + REGION_BYTES * mapped.length + REST_BYTES,
	};
}

/** What a file in a folder can have, as the file system and this process's limits are now. */
export interface Room { freeBytes: number; largestFileBytes: number }

/** `folder` need not be there: then the one that it will be made in. Throws what statfs(2) gives. */
export async function roomIn(folder: string): Promise<Room> {
	for (let at = folder; ; at = dirname(at)) {
		try {
			const { bsize, blocks, bfree, bavail } = await statfs(at);
			// A file system in memory without a limit has no blocks. Root may use what is kept for it.
			const free = process.getuid?.() === 0 ? bfree : bavail;
			return { freeBytes: blocks === 0 ? Infinity : free * bsize, largestFileBytes: await fileSizeLimit() };
		} catch (error) {
			if (codeOf(error) !== 'ENOENT' || dirname(at) === at) throw error;
		}
	}
}

/** RLIMIT_FSIZE. */
async function fileSizeLimit(): Promise<number> {
	const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
	const soft = /^Max file size +(\d+)/m.exec(limits)?.[1];
	return soft === undefined ? Infinity : Number(soft);
}

/** null: there is room. */
export function whyNoRoom(folder: string, { bytes }: Pick<Forecast, 'bytes'>, room: Room): string | null {
	const what = `the evidence takes about ${bytesText(bytes)}`;
	if (bytes > room.freeBytes)
		return `there is no space for it in ${folder}: ${what}, and ${bytesText(room.freeBytes)} are free; make room, ` +
			`or name a folder on another disk with --out`;
	return bytes > room.largestFileBytes
		? `there is no space for it in ${folder}: ${what}, and a file of this process may have ` +
			`${bytesText(room.largestFileBytes)} (ulimit -f); raise that limit`
		: null;
}

/** Before anything is done to the target. A receiver says itself that it has no room. Throws Failure. */
export async function refuseWithoutRoom(
	{ room, transfer }: Pick<Destination, 'room' | 'transfer'>, survey: Survey, pid: number,
	mechanism: Like, onlyPrivate: boolean, signal: AbortSignal | undefined
): Promise<void> {
	if (transfer !== null || room.folder === undefined || !survey.hasLive) return;
	const filter = { coredumpFilter: survey.coredumpFilter, onlyPrivate }, folder = dirname(room.folder);
	const evidence = await forecast(pid, survey.mapped, survey.live, mechanism, filter, signal);
	const why = evidence === null ? null : whyNoRoom(folder, evidence, await roomIn(folder));
	if (why !== null) throw new Failure(`process ${pid} was not touched, and there is no evidence: ${why}`);
}
