/**
 * How much memory this process may take: its control groups' limits, and where there are none, a share of the
 * machine's. What is under way is admitted only while it fits in.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';

/** Of the machine's memory, where nothing else limits it. */
const SHARE = 0.5;
/** Of a limit: what the kernel counts besides, and what V8 has not given back yet. */
const USABLE = 0.85;

/** Which files of a group limit it, by the version of the hierarchy. A soft limit slows down: it counts too. */
const LIMITS = { 1: ['memory.limit_in_bytes'], 2: ['memory.max', 'memory.high'] } as const;

/**
 * Garbage of a receiver that receives anything, however little: measured, 48 MiB from its start (97 MiB resident) to
 * its first transfer (145 MiB).
 */
const GARBAGE_BYTES = 48 << 20;

type Version = keyof typeof LIMITS;

const textOf = (path: string): string => {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
};

/**
 * In bytes; Infinity: no group of this process has one. A group is limited by those above it too. `root`: tests have
 * a /proc and a /sys of their own. What cannot be read limits nothing.
 */
export function groupLimit(root = '/'): number {
	const mounts = textOf(join(root, 'proc/self/mounts')).split('\n').flatMap((line) => {
		const [, path = '', type = '', options = ''] = line.split(' ');
		const version: Version | null = type === 'cgroup2' ? 2
			: type === 'cgroup' && options.split(',').includes('memory') ? 1 : null;
		return version === null ? [] : [{ path, version }];
	});
	const groups = textOf(join(root, 'proc/self/cgroup')).split('\n').flatMap((line) => {
		const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
		const version: Version | null = controllers === '' ? 2
			: controllers?.split(',').includes('memory') === true ? 1 : null;
		return version === null || group === undefined ? [] : [{ group, version }];
	});
	const limits = mounts.flatMap(({ path, version }) =>
		groups.filter((each) => each.version === version).flatMap(({ group }) =>
			upwards(group).flatMap((at) => LIMITS[version].map((file) =>
				Number.parseInt(textOf(join(root, path, at, file)), 10)))));
	return Math.min(Infinity, ...limits.filter((limit) => limit > 0));
}

function upwards(group: string): string[] {
	return group === '/' ? ['/'] : [group, ...upwards(dirname(group))];
}

/** What is left of it for transfers, in bytes, when nothing has come yet. */
export function roomForTransfers(
	limit = groupLimit(), machine = totalmem(), ownBytes = process.memoryUsage.rss()
): number {
	return Math.max(0, Math.floor(Math.min(limit * USABLE, machine * SHARE) - ownBytes - GARBAGE_BYTES));
}

/** Of the room, what one peer may have at once: the rest is for others, however long it keeps that. */
const SHARE_OF_ONE = 0.5;

/** So much there is, and who has taken some of it gives it back. */
export class Room {
	readonly bytes: number;
	readonly mostOfOne: number;
	#left: number;
	readonly #taken = new Map<string, number>();

	/** `least`: what one may have in any case. */
	constructor(bytes: number, least: number) {
		this.bytes = bytes;
		this.mostOfOne = Math.min(bytes, Math.max(least, Math.floor(bytes * SHARE_OF_ONE)));
		this.#left = bytes;
	}

	/** undefined: it does not fit in now, or `who` has too much. The result gives it back, once or more. */
	take(bytes: number, who: string): (() => void) | undefined {
		const own = this.#taken.get(who) ?? 0;
		if (bytes > this.#left || own + bytes > this.mostOfOne) return undefined;
		this.#change(who, bytes);
		let taken = bytes;
		return () => {
			this.#change(who, -taken);
			taken = 0;
		};
	}

	#change(who: string, bytes: number): void {
		this.#left -= bytes;
		const own = (this.#taken.get(who) ?? 0) + bytes;
		if (own === 0) this.#taken.delete(who);
		else this.#taken.set(who, own);
	}
}
