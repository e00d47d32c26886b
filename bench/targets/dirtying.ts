/** A process's pages made as if it had just written to them, where it cannot be asked to: a bash at its prompt. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { PAGE_BYTES, populatedRuns } from '../../common/proc/pagemap.ts';
import { readRegions } from './program.ts';

const isWritable = ({ permissions }: { permissions: string }): boolean => /^.w.p$/.test(permissions);

/**
 * Writes the first byte of each private page of a process over itself, by /proc/PID/mem. A page that an earlier
 * duplicate left write-protected takes the fault that the process's own write would have taken, and is writable again.
 * The process must be at rest: a byte that it writes in between is overwritten. Returns the number of pages.
 */
export function dirtyFromOutside(pid: number): number {
	const map = openSync(`/proc/${pid}/pagemap`, 'r'), memory = openSync(`/proc/${pid}/mem`, 'r+');
	const byte = Buffer.alloc(1);
	let pages = 0;
	try {
		for (const { start, end } of readRegions(pid).filter(isWritable)) {
			for (const run of populatedRuns(map, { start: Number(start), end: Number(end) }, 'own')) {
				for (let at = run.start; at < run.end; at += PAGE_BYTES, pages += 1) {
					readSync(memory, byte, 0, 1, at);
					writeSync(memory, byte, 0, 1, at);
				}
			}
		}
	} finally {
		closeSync(map);
		closeSync(memory);
	}
	return pages;
}
