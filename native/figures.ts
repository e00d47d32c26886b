/** What the native core says of a take, a copy, an end, a check: its figures, and how some of them are decoded. */
import { addon } from './addon.ts';
import type { LeftOut } from './left-out.ts';

/** What a stop did to the target's blocked calls of one kind. */
export interface CallCount {
	/** `epoll_wait`, or `syscall 232` where its name is not known. */
	call: string;
	/** Put back, so that the target does not see the stop. */
	restarted: number;
	/** Among these: the timeout may begin anew. */
	lengthened: number;
	/** Returned early, with less than was asked for, and could not be put back. */
	cut: number;
}

/** What stops did to the target's blocked calls. */
export interface CallCounts {
	/** Blocked calls that would have returned EINTR and were put back. */
	restartedCalls: number;
	/** Among them, those with a relative timeout of which the part gone by could not be told: it starts anew. */
	lengthenedTimeouts: number;
	/** Blocked calls that returned early, with less than was asked for, and could not be put back. */
	cutCalls: number;
	/** The same by call. Of more than 64 kinds of calls only the first are here, and all are in the sums. */
	calls: CallCount[];
}

/** What a duplicate cost, and whom. */
export interface Duplicate extends CallCounts {
	/** The duplicate's process id. It is stopped for ever and reads as the target was. */
	pid: number;
	/** Threads of the target that were stopped for the copy; their registers are in `registers`. */
	threads: number;
	/** From the call to the duplicate being ready to read: what create_proc_snap() costs its caller. */
	takeNs: number;
	/** From the first thread's interruption to the last one's release: the most the target can have been kept. */
	pauseNs: number;
	/** For how long the target had registers or a signal mask that were not its own. */
	windowNs: number;
	/** The clone system call alone, between its entry stop and its exit stop. */
	cloneNs: number;
	/** CLOCK_MONOTONIC_RAW at the moment of the copy: after it and before the release. */
	momentNs: number;
	/** What a fork leaves out of it (MADV_DONTFORK); null: nothing. */
	leftOut: LeftOut | null;
}

/** What a precopy did to its target, from one time to another (CLOCK_MONOTONIC_RAW, nanoseconds). */
export interface Spell {
	/** `first stop`, `first pass` ...: procsnap.h, enum ps_precopy_part. */
	name: string;
	startNs: number;
	endNs: number;
	/** Of its steps that held the lock of the target's mappings the longest. */
	longestStepNs: number;
	/** All of the target's threads stand still. */
	stopped: boolean;
}

/** A copy that is made while its target runs, and how far it is. native/precopy/. */
export interface Precopy {
	done: boolean;
	/** As native/procsnap.h numbers them: passes, check, clean-up, done. */
	phase: number;
	/** Over all of the target's memory, by now. */
	passes: number;
	/** Stops that were to be the moment: after all but the last, of some pages nobody could tell when they changed. */
	attempts: number;
	/** Read in all, and about as much as there is to read. */
	bytesRead: number;
	residentBytes: number;
	/** When it is done: of the moment. */
	threads: number;
	momentNs: number;
	/** From its begin until nothing was left in the target. */
	takeNs: number;
	/** Of the first stop, and of the longest one. */
	setupPauseNs: number;
	pauseNs: number;
	/** Pages that the last whole pass found written to since the one before it. */
	writtenPages: number;
	/** Pages read in the last stop. */
	lastPages: number;
	/** The longest step that held the lock of the target's mappings. */
	longestStepNs: number;
	/** How many there were; how many waited for the sleep of a thread that has a rhythm, and for how long in all. */
	steps: number;
	waits: number;
	waitedNs: number;
	/** While a thread was known to have a rhythm; and of these, while it was awake for a part of the step at least. */
	stepsInRhythm: number;
	stepsAwake: number;
	/** Descriptors of the tracer's: chunks of 2 MiB, and which pages they have (native/precopy/precopy.h). */
	imageFile: number;
	/** When it is done. */
	indexFile: number;
	/**
	 * Of the image's file: what is before it has been kept once, and changes in chunks alone that the index calls
	 * corrected.
	 */
	wholeBytes: number;
	/** Of the pages that the copy has. */
	copyBytes: number;
	/** What was done to the target, in order and without gaps. While it is not done, the last one has no end: 0. */
	spells: Spell[];
}

/** A duplicate that the kernel made, by create_proc_snap2(): figures as it tells them (kernel-patch/README.md). */
export interface Snapshot {
	/** The duplicate's process id: a child of the tracer's that never runs. */
	pid: number;
	/** Threads of the target; each has a parked task in the duplicate. */
	threads: number;
	/** The system call alone. */
	takeNs: number;
	/** For how long the kernel held the target's mmap_lock: no longer can the target have waited for it. */
	pauseNs: number;
	/** No private page changed after this moment: CLOCK_MONOTONIC_RAW, converted from the kernel's CLOCK_MONOTONIC. */
	momentNs: number;
	/** How long the call waited for that lock. The target runs meanwhile. */
	lockWaitNs: number;
	/** From the moment until the last thread's registers were read. */
	skewNs: number;
	/** Resident pages of 4 KiB taken by reference, and pinned ones, which were copied before the moment. */
	pagesShared: number;
	pagesCopied: number;
	regionsTaken: number;
	/** Of these: shared or special, so that they go on changing. */
	regionsLive: number;
	/** Of these: regions that fork() would have left out or wiped. */
	regionsUncovered: number;
	/** Regions that a driver forbids to copy: they are not in the duplicate. */
	regionsLeftOut: number;
}

/**
 * The counts are of the stop that `pauseNs` is of, and of those of this target that nobody asked for and nobody was
 * told of.
 */
export interface Ended extends CallCounts {
	/** The kill() call alone. */
	killNs: number;
	/** From the start of kill() until the duplicate's memory is gone and it is no child of anybody. */
	reapNs: number;
	/** How long the target was stopped a second time, to reap its child, or in vain; 0 where that was not needed. */
	pauseNs: number;
	/**
	 * How long it was stopped, all in all, to bury duplicates that were left as zombies; what was told before is not
	 * told again.
	 */
	unaskedPauseNs: number;
	/** Why the ended duplicate is still in the process table, as a zombie child of the target's; null: it is not. */
	unburied: string | null;
	/** Why the tracer ended the duplicate before it was asked to; null: it did not. */
	endedEarly: string | null;
}

/** An end that stopped nobody, took no time and left nothing. */
export const NOTHING_DONE: Readonly<Ended> = {
	killNs: 0, reapNs: 0, pauseNs: 0, unaskedPauseNs: 0, unburied: null, endedEarly: null,
	restartedCalls: 0, lengthenedTimeouts: 0, cutCalls: 0, calls: [],
};

/** One thread's registers. */
export interface ThreadRegisters {
	/** 0: not known (`snapPlain`, all but the first). */
	tid: number;
	/** How long after the moment of the copy they were read; 0 where the target was stopped for both. */
	skewNs: number;
	/** The thread was on a CPU when they were read. */
	running: boolean;
	/** Its AMX tiles are missing in `xstate`. */
	partial: boolean;
	/** struct user_regs_struct of <sys/user.h>, 27 words of 8 bytes. */
	general: Uint8Array;
	/** The XSAVE area as PTRACE_GETREGSET NT_X86_XSTATE gives it. */
	xstate: Uint8Array;
}

/** The classical way: all of the target's memory, copied while it stood still. The tracer keeps the copy. */
export interface Copy extends CallCounts {
	bytes: number;
	threads: number;
	takeNs: number;
	pauseNs: number;
	/** Bytes of private readable regions that gave an error instead. */
	unreadableBytes: number;
	regions: number;
}

/** What speaks against a duplicate, or is to be known before. */
export interface Reason {
	/** One word for scripts, such as `memory-cgroup`. */
	name: string;
	/** The errno's name with which a take is refused; null: a note. */
	code: string | null;
	/** What, where, the figures, and what to do. */
	text: string;
}

/** What precopy's steps cost on this machine, for one page, at least. */
export interface Calibration { protectNs: number; unprotectNs: number }

/** What a copy would cost, and what speaks against it: procsnap.h, "preflight". */
export interface Preflight {
	reasons: Reason[];
	threads: number;
	residentKib: number;
	/** Page tables, which a duplicate has as well. */
	tablesKib: number;
	/** By how much memory can grow, at most, while a duplicate is there; 0 where none is made. */
	growthKib: number;
	/** Room under the tightest limit; null: there is none. */
	headroomKib: number | null;
	/**
	 * The longest of the stops, estimated; of a duplicate by forks of the tracer's own, timed now. null: not estimated,
	 * since it is refused.
	 */
	pauseNs: number | null;
}

/** `read`, or `syscall 999` where its name is not known. */
export const callName = (number: number): string => addon().callName(number);

/** What `bytes`, a struct ps_calls, says of each kind of call. Pure. */
export function callsIn(bytes: Uint8Array): { cutCalls: number; calls: CallCount[] } {
	const { callsHeadBytes, callBytes, callKinds } = addon().constants;
	if (bytes.length < callsHeadBytes) return { cutCalls: 0, calls: [] };
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const int = (at: number): number => view.getInt32(at, true);
	const kinds = Math.min(int(12), callKinds, Math.floor((bytes.length - callsHeadBytes) / callBytes));
	const calls = Array.from({ length: Math.max(0, kinds) }, (_, i): CallCount => {
		const at = callsHeadBytes + i * callBytes;
		return { call: addon().callName(int(at)), restarted: int(at + 4), lengthened: int(at + 8), cut: int(at + 12) };
	});
	return { cutCalls: int(8), calls };
}

export function countsIn(bytes: Uint8Array): CallCounts {
	const sums = new DataView(bytes.buffer, bytes.byteOffset, addon().constants.callsHeadBytes);
	return { restartedCalls: sums.getInt32(0, true), lengthenedTimeouts: sums.getInt32(4, true), ...callsIn(bytes) };
}

/** What `bytes`, a struct ps_spells, tells. Pure. */
export function spellsIn(bytes: Uint8Array): Spell[] {
	const { spellsOffset, spellBytes, spellStartOffset, parts } = addon().constants;
	if (bytes.length < spellsOffset) return [];
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const most = Math.floor((bytes.length - spellsOffset) / spellBytes);
	return Array.from({ length: Math.min(view.getInt32(0, true), most) }, (_, i): Spell => {
		const at = spellsOffset + i * spellBytes;
		const name = parts[view.getInt32(at, true)] ?? 'unknown';
		const [startNs = 0, endNs = 0, longestStepNs = 0] = [0, 1, 2].map((word) =>
			Number(view.getBigInt64(at + spellStartOffset + 8 * word, true)));
		return { name, startNs, endNs, longestStepNs, stopped: view.getInt32(at + 4, true) !== 0 };
	});
}
