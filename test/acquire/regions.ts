/** What targets/regions.c has, and a look at a process's pages from outside. */
import type { ExecutionContext } from 'ava';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Target } from '../native/help.ts';
import { startTarget, temporaryFolder } from './help.ts';

export const PAGE = 4096, HUGE = 2 << 20;
const TABLE = 16;

const NAMES = [
	'anonymous', 'heap', 'sharedAnonymous', 'sharedMemfd', 'fileModified', 'fileUnread', 'dontfork', 'wipeonfork',
	'protNone', 'secret', 'partlyPastEnd', 'pastEnd', 'device', 'hugetlb', 'thp', 'reserved',
] as const;
export type RegionName = (typeof NAMES)[number];

export interface TargetRegion {
	/** 0: there is none on this machine. */
	start: number;
	end: number;
	/** Addresses of the pages that the target wrote to. */
	written: number[];
}

export interface RegionsTarget {
	target: Target;
	file: string;
	region: Record<RegionName, TargetRegion>;
	/** What the target wrote to a page of a region. */
	pageOf: (name: RegionName, page: number) => Buffer;
}

function isWritten(name: RegionName, page: number): boolean {
	if (['fileUnread', 'partlyPastEnd', 'pastEnd', 'device'].includes(name)) return false;
	if (name === 'hugetlb' || name === 'thp') return page < HUGE / PAGE;
	return page < 16 && (page % 5 === 1 || page % 5 === 2);
}

export async function startRegions(t: ExecutionContext): Promise<RegionsTarget> {
	const file = join(temporaryFolder(t), 'file');
	writeFileSync(file, randomBytes(1024 * PAGE));
	const target = await startTarget(t, 'regions', file);
	await target.asleep();
	const region = Object.fromEntries(NAMES.map((name, n): [RegionName, TargetRegion] => {
		const first = target.number(TABLE + 2 * n), pages = target.number(TABLE + 2 * n + 1);
		const written = Array.from({ length: pages }, (_, page) => page).filter((page) => isWritten(name, page))
			.map((page) => first + page * PAGE);
		return [name, { start: first, end: first + pages * PAGE, written }];
	})) as Record<RegionName, TargetRegion>;
	const pageOf = (name: RegionName, page: number): Buffer => {
		const bytes = Buffer.alloc(PAGE), base = BigInt(NAMES.indexOf(name) + 1) << 56n | BigInt(
			page - region[name].start
		);
		for (let at = 0; at < PAGE; at += 8) bytes.writeBigUInt64LE(base | BigInt(at), at);
		return bytes;
	};
	return { target, file, region, pageOf };
}

export const mapsOf = (pid: number): string => readFileSync(`/proc/${pid}/maps`, 'utf8');

/** Kibibytes, as smaps has them for all regions: VmRSS of status is inexact, since each CPU counts for itself. */
export const residentKiB = (pid: number): number =>
	[...readFileSync(`/proc/${pid}/smaps`, 'utf8').matchAll(/^Rss: +(\d+) kB$/gm)].reduce(
		(sum, [, value]) => sum + Number(value), 0
	);

/** The addresses of all pages that are in memory, by /proc/PID/pagemap. */
export function residentPages(pid: number): number[] {
	const fd = openSync(`/proc/${pid}/pagemap`, 'r');
	const pages = [...mapsOf(pid).matchAll(/^([0-9a-f]+)-([0-9a-f]+) .*$/gm)].filter(([line]) =>
		!line.endsWith('[vsyscall]')).flatMap(([, from = '', to = '']) => {
		const start = parseInt(from, 16), count = (parseInt(to, 16) - start) / PAGE, entries = Buffer.alloc(8 * count);
		readSync(fd, entries, 0, entries.length, start / PAGE * 8);
		return Array.from({ length: count }, (_, i) => i).filter((i) => (entries[8 * i + 7] ?? 0) & 0x80)
			.map((i) => start + i * PAGE);
	});
	closeSync(fd);
	return pages;
}

/** Of struct rseq, where the kernel writes on which CPU the thread goes on. */
const RSEQ = 4, RSEQ_BYTES = 32;

/**
 * SHA-256 of each of these pages, which are there; null where they cannot be read. Less what the kernel keeps there.
 */
export function digestPages(target: Target, pages: readonly number[]): Map<number, string | null> {
	const fd = openSync(`/proc/${target.pid}/mem`, 'r'), bytes = Buffer.alloc(PAGE), rseq = target.number(RSEQ);
	const digests = pages.map((page): [number, string | null] => {
		try {
			readSync(fd, bytes, 0, PAGE, page);
			if (page <= rseq && rseq < page + PAGE) bytes.fill(0, rseq - page, rseq - page + RSEQ_BYTES);
			return [page, createHash('sha256').update(bytes).digest('hex')];
		} catch {
			return [page, null];	// of a device, or secret
		}
	});
	closeSync(fd);
	return new Map(digests);
}
