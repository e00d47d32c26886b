/**
 * The seam between the ways to copy a process and those who use them: the evidence tool (acquire/) and the harness
 * (bench/). A mechanism is one file in mechanisms/, which exports `mechanism`; nothing else names it.
 */
import type { PagesIn, Run, Which } from '../../common/proc/pagemap.ts';
import type { Executed, ProcessNote } from '../../common/proc/process.ts';
import type { Region } from '../../common/proc/regions.ts';
import type { CallCounts, Ended, LeftOut, Preflight, ThreadRegisters, Tracer } from '../../native/index.ts';

/** The process to copy. */
export interface Target {
	pid: number;
	/** Only a cooperating workload has one: it forks itself when a mechanism asks it to. */
	fork?: () => { pid: number; forkNs: number };
	/** Has that workload collect its child's exit status. */
	reap?: (pid: number) => void;
}

/** One way to copy a process; or to read one as it runs. */
export interface Mechanism {
	/** As users type it: lower-case letters, digits and hyphens. */
	name: string;
	/**
	 * Place in lists, plans and reports: the smaller first, equal ones by name. The first that is available is the
	 * default, unless an estimate speaks for another one (acquire/choice.ts).
	 */
	order: number;
	/** For lists: what it is, in a few words. */
	title: string;
	/** For evidence: how the copy is made and what is done to the target, in one sentence. */
	description: string;
	/**
	 * It leaves a process, from which the copy is read while the target goes on. Otherwise the tracer holds the copy.
	 */
	duplicates: boolean;
	/** The copy is made by the rules of fork(2): it lacks what MADV_DONTFORK and MADV_WIPEONFORK hide. */
	forked: boolean;
	/** Shared memory can be read through the copy, as the target goes on changing it. */
	keepsShared: boolean;
	/** Its image's regions have all flags that smaps tells; else only those that say how they are captured. */
	allFlags: boolean;
	/**
	 * What is read through it is of one moment. Otherwise it goes on changing while it is read: such a mechanism is
	 * never chosen, only asked for; all of its memory is the target's own, and whatever is made of it says so.
	 */
	ofOneMoment: boolean;
	/** Needs `Target.fork`: it cannot copy a process that knows nothing of procsnap. */
	cooperative: boolean;
	/** Why `procsnap take` does not offer it; null: it does, and its copies have an image. */
	notForEvidence: string | null;
	/** null: it can be used on this machine. Otherwise why not, and what to do. */
	unavailable: () => string | null;
	/**
	 * Predicts pause and memory growth, and gives what speaks against a copy of this process. Nothing is done to the
	 * process. `room`: where the copy would be kept. Left out where the mechanism cannot tell. Throws ProcsnapError.
	 */
	estimate?: (tracer: Tracer, pid: number, room?: CopyRoom) => Estimate;
	/**
	 * Copies the target. Throws ProcsnapError; then the target goes on, and nothing is left. Its code says whether
	 * another mechanism may be tried (acquire/attempts.ts).
	 */
	open: (tracer: Tracer, target: Target) => Still;
	/**
	 * The same in steps, for a copy that takes longer than a user should wait for an answer to Ctrl-C. Whoever gives up
	 * in between calls return(): then nothing is left in the target. Left out where `open` is short.
	 */
	copying?: (tracer: Tracer, target: Target, room?: CopyRoom) => Generator<CopyProgress, Still>;
}

/**
 * Where a copy is kept that is no process. A folder alone: there. Otherwise in the collector's memory, up to
 * `memoryBytes` (default: half of what this machine has left); what is larger is kept in the folder, and refused where
 * none is named.
 */
export interface CopyRoom {
	/** In a file without a name in this folder. */
	folder?: string;
	memoryBytes?: number;
	/** The file that it lies in becomes evidence, if it can. */
	stays?: boolean;
}

/** How far a copy is. More is read than there is, where the target writes meanwhile. */
export interface CopyProgress {
	/** What is being done, in a few words. */
	doing: string;
	bytesRead: number;
	totalBytes: number;
	/** Over all of the target's memory, by now. */
	passes: number;
	/** Pages that the last whole pass found written to since the one before it; 0 where there was only one. */
	writtenPages: number;
	/** The file that it comes to be in, where it will be one that has CopyFile. */
	file?: GrowingFile;
}

/** What is before `wholeBytes` is there; some of it may be corrected later, as CopyFile then tells. */
export interface GrowingFile { path: string; wholeBytes: number }

/** `pauseNs` is the longest stop that is to be expected; null: it is refused, or cannot be told. */
export interface Estimate extends Preflight {
	/** What may speak against a copy and shows only when the target is stopped for it, or copied. */
	unseen: string[];
	/** What is done to the target while it runs; null: nothing, the copy is there after one stop. */
	disturbance: Disturbance | null;
}

/** Steps in which a page table of the target is held, each short, with naps between. */
export interface Disturbance {
	/** Of a step, for each page, on this machine. */
	pageNs: number;
	/** From the first step to the last, with the naps; what is read between comes on top. */
	lastsNs: number;
}

/** What a copy cost, in nanoseconds. */
export interface Figures {
	/** What the call cost its caller. */
	takeNs: number;
	/**
	 * For how long the target could not run, as far as the mechanism can tell: procsnap.h says what each pause spans.
	 */
	pauseNs: number;
	/** What the stop did to blocked system calls of the target; null: no thread is stopped, and nothing is counted. */
	calls: CallCounts | null;
}

/** Something that was done to the target, from one time to another. */
export interface Phase {
	/** In a few words: `first stop`, `check`. Several phases may have one name. */
	name: string;
	/** CLOCK_MONOTONIC_RAW, nanoseconds. */
	startNs: number;
	endNs: number;
	/** All of the target's threads stand still. Else it runs, and is disturbed at most. */
	stopped: boolean;
	/** The longest step that held the lock of the target's mappings. Left out where nobody knows. */
	longestStepNs?: number;
}

/** A copy of a process, whatever it is made of; or the process itself, where the mechanism is not of one moment. */
export interface Still {
	readonly figures: Figures;
	/**
	 * What was done to the target until open() returned, also what was cleaned up by then, in order and without gaps.
	 * Left out where the copy is one act: then callers take the whole of open() as one phase named `copy`.
	 */
	readonly phases?: Phase[];
	/** The process that holds the copy; 0: the tracer holds it, or there is none. */
	readonly pid: number;
	/** Bytes of the copy, valid until the next read; fewer than asked for where a region ends. Not timed. */
	read: (address: bigint, length: number) => Uint8Array;
	/** All that evidence is made of. Throws Failure if the copy is gone. Left out where it is not for evidence. */
	image?: () => Image;
	/** What a fork leaves out of it, as of the moment; null: nothing. Left out where nobody knows, or it is none. */
	readonly leftOut?: LeftOut | null;
	/** Gives the copy up. Throws ProcsnapError where nobody can say what that did. */
	end: () => Ended;
}

/** The copy as evidence: memory with its layout, registers, and what the kernel said of the process. */
export interface Image {
	/**
	 * CLOCK_MONOTONIC_RAW, nanoseconds: no private page changed after it. Where the mechanism is not of one moment:
	 * nothing was read before it.
	 */
	readonly momentNs: number;
	/** From the moment until the last thread's registers were read; 0 where the target stood still for both. */
	readonly skewNs: number;
	threads: () => ThreadRegisters[];
	/** Those whose registers are not read. Left out: all of them are in `threads`. */
	unreadThreads?: () => UnreadThread[];
	/**
	 * With their flags, in order of address. Throws Failure where the copy is gone, and what `signal` was aborted with.
	 */
	regions: (signal?: AbortSignal) => Region[] | Promise<Region[]>;
	/** The pages in [start, end) that the copy has; neighbours are one run. */
	populated: (range: Run, which: Which) => Run[];
	/**
	 * The same for all of these regions, which are those of `regions`, at once and without a pause for this process.
	 * Left out where `populated` takes no time. Throws Failure where the copy is gone, and what `signal` was aborted
	 * with.
	 */
	pages?: (regions: ReadonlyArray<Run & { populated?: boolean }>, signal?: AbortSignal) => Promise<PagesIn>;
	/** /proc/PID/auxv as of the moment. */
	auxv: () => Buffer;
	note: () => ProcessNote;
	/** What the target executed at the moment; `path`: its file, as other processes find it while that can be read. */
	executed: () => Executed & { path: string };
	/**
	 * Estimate of the bytes that are there twice because of the copy by now; null: not known. Throws what `signal` was
	 * aborted with.
	 */
	copiedBytes: (signal?: AbortSignal) => number | null | Promise<number | null>;
	openMemory: () => Promise<Memory>;
	/** The file that it lies in, where that is in a folder. Left out where it lies elsewhere. */
	inFile?: () => CopyFile;
	/** Closes what it has open. Once or more. */
	close: () => void;
}

/** A thread that was not stopped: only of one that waits the kernel tells something. */
export interface UnreadThread {
	tid: number;
	/** How long after the moment it was looked at. */
	skewNs: number;
	/** It was on a CPU, or about to be. */
	running: boolean;
	/** null: it ran, or that may not be known. */
	waiting: Waiting | null;
}

/** Where a thread waits: /proc/PID/task/TID/syscall. Numbers in hexadecimal. */
export interface Waiting {
	/** `read`; null: in no system call. */
	call: string | null;
	arguments: string[];
	stackPointer: string;
	programCounter: string;
}

/** The copy's memory, for reading beside other work. */
export interface Memory {
	/**
	 * Reads into `room` from `at`; the number of bytes. 0: the copy is gone. Throws what read(2) gives. `files`: by
	 * whom files are read, and memory that comes from files.
	 */
	read: (room: Uint8Array, at: number, length: number, address: number, files?: FileReading) => Promise<number>;
	close: () => Promise<void>;
}

/**
 * A file server may never answer, and whoever waits for it waits in the kernel: by somebody else, who can be let go.
 * `file`: a path that another process finds, or a descriptor. Throws what open(2) and pread(2) give, ETIMEDOUT where it
 * takes too long.
 */
export interface FileReading { read: (file: string | number, offset: number, room: Uint8Array) => Promise<number> }

/** A file that has a copy's pages, and room before them for the head of a core, which can be made of it. */
export interface CopyFile {
	/** It may have no name but this one, in /proc/self, which it has as long as the copy is there. */
	path: string;
	/** So many are free at its beginning. */
	headBytes: number;
	/** Up to the end of its last page. */
	bytes: number;
	/** Where the pages of [start, end) are, in order of address; neighbours are one. null: it has not all of them. */
	placesOf: (range: Run) => FilePlace[] | null;
	/** Something of [offset, offset + bytes) was corrected after GrowingFile had told that it was there. */
	wasCorrected: (offset: number, bytes: number) => boolean;
	/** Fills the room from `offset` on. Throws what read(2) gives, and Failure where the copy is gone. */
	read: (room: Uint8Array, offset: number) => Promise<void>;
}

/** Pages [start, end), at `offset`, in bytes. */
export interface FilePlace extends Run { offset: number }
