/** What is told of a core: the types of manifest.json. Times of day are ISO 8601 in UTC, the others nanoseconds. */
import type { Capture } from './provenance.ts';
import type { Identity } from './process.ts';
import type { Unreadable } from './source.ts';

export const SCHEMA_VERSION = 1;

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
	file: { device: string; inode: number; offset: number } | null;
	capture: Capture;
	/** Whose memory was read; null: nobody's. */
	readFrom: 'duplicate' | 'target' | null;
	/** In the core; the parts between them were not populated, or are in the file. */
	segments: Array<{ start: string; bytes: number; offset: number }>;
	bytes: number;
	/** Of its segments' bytes, one after the other; null where there are none. */
	sha256: string | null;
	/** When it was read, CLOCK_MONOTONIC_RAW: what is shared-live, or of the target, is as of then. */
	readBetweenNs: [number, number] | null;
	unreadable: Array<{ start: string; bytes: number; errno: Unreadable['errno'] }>;
}

/** What the target suffered, and how that is known. */
export interface Ledger {
	/** The most that it can have been kept: from the first thread's interruption to the last one's release (inject), for how long the kernel held its mmap_lock (syscall). */
	pauseNs: number;
	takeNs: number;
	/** A second, short stop to reap the duplicate (inject). */
	endPauseNs: number;
	/** Of the target's, while the duplicate was there; those that it would have had anyway among them. */
	minorFaults: number;
	majorFaults: number;
	residentKiBBefore: number;
	residentKiBAfter: number;
	/** Memory that was there twice at the end, since the target wrote to it meanwhile: private and dirty in the duplicate, of no file. null: not told. */
	copiedBytes: number | null;
	restartedCalls: number | null;
	lengthenedTimeouts: number | null;
	/** Until its end began. */
	duplicateLivedNs: number;
}

export interface Manifest {
	schemaVersion: number;
	tool: { name: 'procsnap'; version: string };
	collector: { user: string; uid: number; host: string; publicKeySha256: string };
	machine: { kernel: string; architecture: string; bootId: string; cpus: number };
	target: Identity;
	/** To whom it was sent as it was taken: the id is the receiver's. null: it was kept where it was taken. */
	transfer: { id: string; receiver: string } | null;
	mechanism: { name: 'syscall' | 'inject'; description: string };
	before: Instant;
	/** No private page changed after it. */
	momentNs: number;
	after: Instant;
	/** From the moment until the last thread's registers were read; 0 where the target stood still for both. */
	skewNs: number;
	threads: Array<{ tid: number; skewNs: number; running: boolean; partial: boolean }>;
	regions: RegionRecord[];
	ledger: Ledger;
	core: {
		file: 'core';
		bytes: number;
		chunkBytes: number;
		/** Root of the tree of RFC 6962 over its chunks; their leaves are in `leaves`. */
		merkleRoot: string;
		leaves: 'leaves';
	};
}
