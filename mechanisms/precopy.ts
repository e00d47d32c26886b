/**
 * precopy: the target's memory is copied while it runs, and what it has changed since is read in a stop that does not
 * grow with its size. native/precopy/.
 */
import { livingThread } from '../common/proc/process.ts';
import { NOTHING_DONE, nowNs, precopyUnavailable, ProcsnapError, type Reason, type Tracer } from '../native/index.ts';
import { calibrated } from './shared/calibration.ts';
import { KeptImage, notesOf } from './shared/kept-image.ts';
import { placeForProcess } from './shared/room.ts';
import type { CopyProgress, CopyRoom, Disturbance, Estimate, Mechanism, Still, Target } from './shared/types.ts';

/** So long at a time this process waits for the tracer, or until a step is over that waits for the target's sleep. */
const SLICE_MS = 20;
/** In the order of native/procsnap.h. */
const DOING = ['reading', 'checking', 'putting the target back as it was', 'done'];
/** Each page is protected and unprotected, and a nap follows that is as long. */
const WITH_NAPS = 2;
const PAGE_KIB = 4;

function* copying(tracer: Tracer, { pid }: Target, room: CopyRoom = {}): Generator<CopyProgress, Still> {
	const place = placeForProcess(pid, room);
	if (typeof place === 'string') throw new ProcsnapError('E2BIG', place);
	tracer.precopy(pid, place.folder, place.mostBytes);
	const files = `/proc/${tracer.pid}/fd`;
	let copy, done = false;
	try {
		const thread = livingThread(pid), before = notesOf(pid);
		do {
			copy = tracer.precopyGoOn(SLICE_MS);
			const { phase, bytesRead, residentBytes: totalBytes, passes, writtenPages, wholeBytes } = copy;
			const file = { path: `${files}/${copy.imageFile}`, wholeBytes };
			const now = { doing: DOING[phase] ?? '', bytesRead, totalBytes, passes, writtenPages };
			yield room.stays === true ? { ...now, file } : now;
		} while (!copy.done);
		const { takeNs, pauseNs, momentNs, imageFile, indexFile } = copy;
		const image = new KeptImage({
			pid: thread, image: `${files}/${imageFile}`, index: `${files}/${indexFile}`, inFolder: place.folder !== '',
			chunkBytes: tracer.chunkBytes, momentNs, threads: () => tracer.registers(), before,
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

/** A tracer that is gone has given it up by itself. */
function giveUp(tracer: Tracer): void {
	try {
		tracer.end();
	} catch (error) {
		if (!(error instanceof ProcsnapError)) throw error;
	}
}

function estimate(tracer: Tracer, pid: number, room: CopyRoom = {}): Estimate {
	const found = tracer.check(pid, 'precopy'), place = placeForProcess(pid, room);
	const tooLarge: Reason[] = typeof place === 'string'
		? [{ name: 'collector-memory', code: 'ENOMEM', text: place }]
		: [];
	const disturbance = found.pauseNs === null ? null : disturbanceOf(tracer, found.residentKib);
	return {
		...found, reasons: [...found.reasons, ...tooLarge], disturbance,
		// What cannot be told is not to be chosen for it.
		pauseNs: disturbance === null || tooLarge.length > 0 ? null : found.pauseNs,
		unseen: ['syscall user dispatch (Wine)', 'memory that is written to faster than it can be read'],
	};
}

/** null: it cannot be tried here. */
function disturbanceOf(tracer: Tracer, residentKib: number): Disturbance | null {
	try {
		const { protectNs, unprotectNs } = calibrated('precopy', () => tracer.calibrate());
		const pageNs = Math.max(protectNs, unprotectNs);
		return { pageNs, lastsNs: Math.round(residentKib / PAGE_KIB * (protectNs + unprotectNs) * WITH_NAPS) };
	} catch (error) {
		if (error instanceof ProcsnapError) return null;
		throw error;
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
	ofOneMoment: true,
	cooperative: false,
	notForEvidence: null,
	unavailable: () =>
		(process.arch === 'x64' ? precopyUnavailable() : `it knows x86-64 only, this machine is ${process.arch}`),
	estimate,
	open: (tracer, target) => {
		const steps = copying(tracer, target);
		for (;;) {
			const { done, value } = steps.next();
			if (done === true) return value;
		}
	},
	copying,
};
