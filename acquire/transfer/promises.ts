/**
 * What of the receiver's disk transfers may count on until they are over. Nobody can keep it from others by promising
 * much: of one certificate's promises no more than half of the disk is held for it, and of one that comes slowly no
 * more than comes within a day. What is beyond that may come too, as long as there is room beside what is held for
 * others.
 * Pure.
 */

/** Of what is free when it is promised. */
const SHARE = 0.5;
/** So long a promise is held whole, however little comes. */
const GRACE_MS = 600_000;
/** After that, as much as comes within this time at the speed that it had so far. */
const HORIZON_MS = 86_400_000;

export interface Promised {
	/** The fingerprint of its certificate. */
	peer: string;
	missingBytes: number;
	/** Of these, what is held. */
	heldBytes: number;
}

const sum = (all: readonly Promised[], of: 'missingBytes' | 'heldBytes'): number =>
	all.reduce((bytes, each) => bytes + each[of], 0);

/** What is held for everybody else. */
export const heldForOthers = (peer: string, all: readonly Promised[]): number =>
	sum(all.filter((each) => each.peer !== peer), 'heldBytes');

/** How much is held of so many bytes that a peer promises beside `all`; null: they have no room. */
export function heldOf(peer: string, bytes: number, freeBytes: number, all: readonly Promised[]): number | null {
	const own = all.filter((each) => each.peer === peer);
	if (bytes + sum(own, 'missingBytes') + heldForOthers(peer, all) > freeBytes) return null;
	return Math.min(bytes, Math.max(0, Math.floor(freeBytes * SHARE) - sum(own, 'heldBytes')));
}

/** What is held of a promise of which so much came in so much time. */
export const lastingOf = (heldBytes: number, receivedBytes: number, elapsedMs: number): number =>
	(elapsedMs <= GRACE_MS ? heldBytes : Math.min(heldBytes, receivedBytes / elapsedMs * HORIZON_MS));
