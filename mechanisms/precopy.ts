/**
 * precopy: the target's memory is copied while it runs, and what it has changed since is read in a stop that does not
 * grow with its size. native/precopy/.
 */
import { readFileSync } from 'node:fs';
import { Failure } from '../common/errors.ts';
import { bytesText } from '../common/format.ts';
import { countersOf, livingThread } from '../common/proc/process.ts';
import { NOTHING_DONE, nowNs, precopyUnavailable, ProcsnapError, type Tracer } from '../native/index.ts';
import { KeptImage, notesOf } from './shared/kept-image.ts';
import type { CopyProgress, CopyRoom, Mechanism, Still, Target } from './shared/types.ts';

/** So long at a time this process waits for the tracer. */
const SLICE_MS = 20;

function* copying(tracer: Tracer, { pid }: Target, { folder = '' }: CopyRoom = {}): Generator<CopyProgress, Still> {
	if (folder === '') checkMemory(residentBytes(pid), availableBytes());
	tracer.precopy(pid, folder);
	let copy, done = false;
	try {
		const thread = livingThread(pid), before = notesOf(pid, thread);
		do {
			copy = tracer.precopyGoOn(SLICE_MS);
			yield { bytesRead: copy.bytesRead, totalBytes: copy.residentBytes, passes: copy.passes };
		} while (!copy.done);
		const { takeNs, pauseNs, momentNs, imageFile, indexFile } = copy;
		const files = `/proc/${tracer.pid}/fd`;
		const image = new KeptImage({
			pid: thread, image: `${files}/${imageFile}`, index: `${files}/${indexFile}`, chunkBytes: tracer.chunkBytes, momentNs,
			threads: () => tracer.registers(), before,
		});
		done = true;
		return {
			figures: { takeNs, pauseNs, calls: tracer.lastCalls },
			phases: copy.spells,
			pid: 0,
			read: (address, length) => {
				const room = tracer.data.subarray(0, length);
				return room.subarray(0, image.read(room, Number(address)));
			},
			image: () => image,
			end: () => {
				const start = nowNs();
				image.close();
				const ended = tracer.end();
				return { ...NOTHING_DONE, ...ended, reapNs: Math.max(ended.reapNs, Number(nowNs() - start)) };
			},
		};
	} finally {
		// Interrupted, or failed: nothing stays in the target.
		if (!done) giveUp(tracer);
	}
}

/** Throws Failure where a copy in memory would take more than half of what this machine has left. Pure. */
export function checkMemory(neededBytes: number, availableBytes: number): void {
	if (neededBytes <= availableBytes / 2) return;
	throw new Failure(
		`a copy of ${bytesText(neededBytes)} in memory is more than half of the ${bytesText(availableBytes)} that are ` +
			`available: name a folder on a disk for it (--spool DIR)`
	);
}

/** 0: it has ended, or is none; the tracer says so, and better. */
function residentBytes(pid: number): number {
	try {
		return countersOf(pid).residentKiB * 1024;
	} catch (error) {
		if (error instanceof Failure) return 0;
		throw error;
	}
}

const availableBytes = (): number =>
	1024 * Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? Infinity);

/** A tracer that is gone has given it up by itself. */
function giveUp(tracer: Tracer): void {
	try {
		tracer.end();
	} catch (error) {
		if (!(error instanceof ProcsnapError)) throw error;
	}
}

export const mechanism: Mechanism = {
	name: 'precopy',
	order: 3,
	title: 'copied while it runs, two short stops: any size, Linux 6.7',
	description: 'pages read while the target runs, protected by a userfaultfd that was made in it; those written to ' +
		'since are read in a stop of all threads',
	duplicates: false,
	forked: false,
	keepsShared: false,
	allFlags: false,
	cooperative: false,
	notForEvidence: null,
	unavailable: () =>
		(process.arch === 'x64' ? precopyUnavailable() : `it knows x86-64 only, this machine is ${process.arch}`),
	estimate: (tracer, pid) => ({ ...tracer.check(pid, 'precopy'), unseen: ['syscall user dispatch (Wine)'] }),
	open: (tracer, target) => {
		const steps = copying(tracer, target);
		for (;;) {
			const { done, value } = steps.next();
			if (done === true) return value;
		}
	},
	copying,
};
