/**
 * What is told of a core: the types of manifest.json. Times of day are ISO 8601 in UTC, the others nanoseconds. Texts
 * that are the kernel's or the target's are as common/bytes-text.ts reads them: bytes that are no UTF-8 are U+DC80 to
 * U+DCFF.
 */
import type { CallCount } from '../../native/index.ts';
import type { Waiting } from '../../mechanisms/shared/types.ts';
import type { Capture, CoreFilter } from './provenance.ts';
import type { Executed, Identity } from '../../common/proc/process.ts';
import type { Unreadable } from './source.ts';

/**
 * 1: without `partial`, and without the five fields of the ledger from `cutCalls` on. 1 and 2: each region with content
 * has its own SHA-256. 1 to 3: without `mechanism.why` and the ledger's `attempts`. 1 to 4: the contents of regions lie
 * in the core one after the other, up to its end. 1 to 5: without what is here `null` for them, bytes of a name that
 * are no UTF-8 are lost, and inodes are JSON's numbers. All are read as well.
 */
export const SCHEMA_VERSION = 6;

/**
 * A larger region has no SHA-256 of its own: the hashes of its chunks guard it, and hashing it twice would make the
 * CPUs of a small machine, and not its disk, what a take waits for.
 */
const LARGEST_DIGESTED_BYTES = 64 << 20;

/** Has a region with so many bytes of content a SHA-256 of its own? `version`: of the manifest. */
export const isDigested = (bytes: number, version = SCHEMA_VERSION): boolean =>
	bytes > 0 && (version < 3 || bytes <= LARGEST_DIGESTED_BYTES);

/** A moment on both clocks. */
export interface Instant {
	wallClock: string;
	/** CLOCK_MONOTONIC_RAW of the collector's machine: it cannot be set. */
	monotonicNs: number;
}

export interface RegionRecord {
	/** Hexadecimal, as in /proc/PID/maps. */
	start: string;
	end: string;
	permissions: string;
	name: string;
	/** `inode`: decimal, since it has 64 bits. */
	file: { device: string; inode: string; offset: number } | null;
	capture: Capture;
	/** Whose memory was read; null: nobody's. */
	readFrom: 'duplicate' | 'target' | null;
	/** In the core; the parts between them were not populated, or are in the file. */
	segments: Array<{ start: string; bytes: number; offset: number }>;
	bytes: number;
	/** Of its segments' bytes, one after the other; null where there are none, or more than 64 MiB of them. */
	sha256: string | null;
	/**
	 * When it was read, CLOCK_MONOTONIC_RAW: what is shared-live, or of the target, is as of then. null: not after the
	 * copy was made.
	 */
	readBetweenNs: [number, number] | null;
	unreadable: Array<{ start: string; bytes: number; errno: Unreadable['errno'] }>;
	/**
	 * Huge pages of the duplicate that the target took back before they were read, and that were read from the target:
	 * as of then, while the rest of the region is of the moment. Left out: none, or all of it is private-live.
	 */
	takenBack?: Array<{ start: string; bytes: number }>;
}

/** What the target suffered, and how that is known. null: not known. What is a bound or an estimate is called so. */
export interface Ledger {
	/**
	 * A bound: no thread of the target was stopped for longer. From when the first one could be stopped to the last
	 * one's release (inject), of the longest of its stops (precopy); for how long the kernel held its mmap_lock
	 * (syscall). Of all attempts that were made.
	 */
	pauseNs: number;
	/** From the request to the copy being ready to be read, of the attempt that it was taken by. */
	takeNs: number;
	/**
	 * A bound like pauseNs, of a second stop, in which the target reaps the ended duplicate (inject); where that was
	 * tried again, of all stops for it until this was sealed.
	 */
	endPauseNs: number | null;
	/**
	 * A bound: all that the target had while the duplicate was there, those that it would have had anyway among them.
	 */
	minorFaults: number | null;
	majorFaults: number | null;
	/** As the kernel counts it: inexact by some pages for each CPU. */
	residentKiBBefore: number;
	residentKiBAfter: number | null;
	/**
	 * An estimate, of the moment before the duplicate was ended: what of it was private, dirty and of no file. That the
	 * target wrote to it meanwhile, so that it was there twice, is the usual reason; what it gave up meanwhile counts
	 * too, and what of the copies was swapped out does not.
	 */
	copiedBytes: number | null;
	/**
	 * Blocked calls that a stop would have ended, for the duplicate or for its end, and that were put back. This and
	 * the following counts are of all attempts.
	 */
	restartedCalls: number | null;
	/** Among these: calls with a timeout that may have begun anew. */
	lengthenedTimeouts: number | null;
	/** From the moment until the end of the duplicate began, or until it was noticed that it had ended before. */
	duplicateLivedNs: number;
	/** Blocked calls that returned early, with less than was asked for, and could not be put back. */
	cutCalls: number | null;
	/** The last three by call; of more than 64 kinds of calls only the first are here. */
	calls: CallCount[] | null;
	/** Why the ended duplicate was still a zombie child of the target's when this was sealed; null: it was not. */
	unburied: string | null;
	/** Why procsnap's tracer ended the duplicate before it was asked to; null: it did not. */
	endedEarly: string | null;
	/**
	 * Why nobody could say how the duplicate ended: then endPauseNs is not known, and perhaps the duplicate is still
	 * a zombie.
	 */
	endFailed: string | null;
	/** By which mechanisms a copy was tried, in order; the last one is what was taken. null: not known. */
	attempts: Attempt[] | null;
}

/** One way that was tried. */
export interface Attempt {
	mechanism: string;
	outcome: 'taken' | 'refused';
	/** Why it was given up; null: it was not. */
	reason: string | null;
	/** The longest of its stops. null: not known. */
	pauseNs: number | null;
	/** What its stops did to blocked calls. null: nobody counts, or not known. */
	calls: CallCount[] | null;
	/** CLOCK_MONOTONIC_RAW. */
	startedNs: number;
	endedNs: number;
}

/**
 * Not all of the duplicate was read before it was ended, or not all that was read could be written. What is missing is
 * zeros in the core, and `unreadable` (ESRCH, ENOSPC).
 */
export interface Incomplete {
	reason: string;
	missingBytes: number;
	/** CLOCK_MONOTONIC_RAW, when it was noticed: the duplicate had ended by then. */
	sinceNs: number;
}

/** An address range of the target, as it was mapped. */
export type MappedRecord = Pick<RegionRecord, 'start' | 'end' | 'permissions' | 'name'>;

/** Of what was read from `momentNs` to `endedNs`. */
export interface NotOfOneMoment {
	/** CLOCK_MONOTONIC_RAW. */
	endedNs: number;
	/** What was mapped at the end and not at the beginning, so that it was not read; null: the target had ended. */
	appeared: MappedRecord[] | null;
	/** What was mapped at the beginning, and at the end no more, be it read or not; null: the target had ended. */
	gone: MappedRecord[] | null;
}

/** What was executed when the copy was made, and what is known of its file. */
export interface Program extends Executed {
	/** null: its file could not be asked. */
	programBytes: number | null;
	/** null: it could not be read, or not in time. */
	programSha256: string | null;
	/** As the kernel has it in the list of regions; null: no region is of it, or not known. `inode`: decimal. */
	programFile: { device: string; inode: string } | null;
	/** What the target has executed between the moment and the end of the take; null: nothing else, or not known. */
	executedSince: Executed | null;
}

/** Of a whole core, as OpenSSL calls them. */
export const WHOLE_DIGESTS = ['sha256', 'sha1', 'md5'] as const;
export type WholeDigest = (typeof WHOLE_DIGESTS)[number];

/** In hexadecimal. null: not made, or not known. */
export type FileDigests = Record<WholeDigest, string | null>;

export interface Manifest {
	schemaVersion: number;
	/** `sha256`: of its own files (acquire/tool-digest.ts); null: not known. */
	tool: { name: 'procsnap'; version: string; sha256: string | null };
	/** `options`: as they were given; null: not known. */
	collector: { user: string; uid: number; host: string; publicKeySha256: string; options: string[] | null };
	machine: {
		kernel: string; architecture: string; bootId: string; cpus: number;
		/** IANA's name, `Europe/Berlin`, of the collector's; null: not known. */
		timeZone: string | null;
		/** Does a time service keep the machine's clock right (adjtimex(2), STA_UNSYNC)? null: not known. */
		clockSynchronized: boolean | null;
		/** How far the machine's clock was set while the take lasted; null: not known. */
		clockSetByNs: number | null;
	};
	target: Identity & Program;
	/** To whom it was sent as it was taken: the id is the receiver's. null: it was kept where it was taken. */
	transfer: { id: string; receiver: string } | null;
	/** Which one (mechanisms/), perhaps one that this procsnap does not have. `why`: it was used; null: not known. */
	mechanism: { name: string; description: string; why: string | null };
	/** When the attempt began that it was taken by. */
	before: Instant;
	/** No private page changed after it; or nothing was read before it, where `notOfOneMoment` is there. */
	momentNs: number;
	/** `wallClock`: so long after `before` as the clock tells that cannot be set; until version 5: as it was read. */
	after: Instant;
	/** From the moment until the last thread's registers were read; 0 where the target stood still for both. */
	skewNs: number;
	/**
	 * `waiting`: its registers were not read, and are not in the core; where it waited, null: it ran, or that is not
	 * known. Left out: they are there.
	 */
	threads: Array<{ tid: number; skewNs: number; running: boolean; partial: boolean; waiting?: Waiting | null }>;
	regions: RegionRecord[];
	/** All of it was read from the target while that ran, each region at another time. Left out: it was not. */
	notOfOneMoment?: NotOfOneMoment;
	/** null: all that was to be read of the duplicate was. */
	partial: Incomplete | null;
	ledger: Ledger;
	/** Which unchanged pages of files were wanted; left out: none but code and what no path leads to. */
	filter?: CoreFilter;
	/** Of addresses that a fork leaves out, and that were not found while the target could be stopped. */
	unlocatedBytes?: number;
	/** Of the target's memory that was to be read, and could not be, these included: lacking.ts. */
	lackingBytes?: number;
	core: {
		file: 'core';
		bytes: number;
		chunkBytes: number;
		/** Root of the tree of RFC 6962 over its chunks; their leaves are in `leaves`. */
		merkleRoot: string;
		leaves: 'leaves';
	} & FileDigests;
	/**
	 * The target had ended, and its duplicate was moved to the collector's control groups, CLOCK_MONOTONIC_RAW.
	 * `stays`: those of the target's where it stayed, each with the reason. Left out: it was where the target was.
	 */
	leftGroups?: { sinceNs: number; stays: string[] };
	/** The target's program, where no path leads to it any more; null: one did, or it could not be read. */
	program: { file: 'program'; bytes: number; sha256: string } | null;
}
