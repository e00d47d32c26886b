/** Where a copy is kept that is no process: in the collector's memory while there is enough, else on a disk. */
import { Failure } from '../../common/errors.ts';
import { bytesText } from '../../common/format.ts';
import { availableBytes } from '../../common/proc/memory.ts';
import { countersOf } from '../../common/proc/process.ts';
import type { CopyRoom } from './types.ts';

/** `folder` '': in memory, of which it may take `mostBytes`; 0: all that there is room for. */
export interface Place { folder: string; mostBytes: number }

/** For a copy of about so many bytes; a text is why there is none, and what to do. Pure. */
export function placeFor(neededBytes: number, room: CopyRoom, availableBytes: number): Place | string {
	const { folder, memoryBytes } = room;
	if (folder !== undefined && memoryBytes === undefined) return { folder, mostBytes: 0 };
	const mostBytes = Math.floor(Math.min(memoryBytes ?? availableBytes / 2, availableBytes));
	if (neededBytes <= mostBytes) return { folder: '', mostBytes };
	if (folder !== undefined) return { folder, mostBytes: 0 };
	const limit = memoryBytes !== undefined && memoryBytes <= availableBytes
		? `the ${bytesText(memoryBytes)} of memory that it may take (--memory)`
		: memoryBytes === undefined
			? `half of the ${bytesText(availableBytes)} that are available`
			: `the ${bytesText(availableBytes)} that are available`;
	return `a copy of ${bytesText(neededBytes)} in memory is more than ${limit}: name a folder on a disk for it ` +
		`(--spool DIR)`;
}

/** The same, for a process. */
export const placeForProcess = (pid: number, room: CopyRoom): Place | string =>
	placeFor(ownBytes(pid), room, availableBytes() ?? Infinity);

/** In memory or swapped out. 0: it has ended, or is none; the tracer says so, and better. */
function ownBytes(pid: number): number {
	try {
		const { residentKiB, swappedKiB } = countersOf(pid);
		return (residentKiB + swappedKiB) * 1024;
	} catch (error) {
		if (error instanceof Failure) return 0;
		throw error;
	}
}

/** Of this machine's memory, for a copy; a folder for a larger one may be named beside it. */
export const halfOfMemory = (): number => Math.floor((availableBytes() ?? Infinity) / 2);
