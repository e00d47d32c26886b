/**
 * What the files are that a process has mapped, by what the kernel says of them: a process chooses the names of its
 * files, and what a name in /proc/PID/maps leads to. No file is opened.
 */
import { readFileSync, statSync } from 'node:fs';
import { bytesOfText, textOf } from '../bytes-text.ts';
import type { Region } from './regions.ts';
import { hasFile, isUnlinkedPath } from './regions.ts';

/** File systems of this machine's disks. */
export const ON_DISK: readonly string[] = [
	'ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs', 'overlay', 'zfs', 'bcachefs', 'vfat', 'exfat', 'squashfs', 'erofs',
	'iso9660', 'jfs', 'nilfs2', 'ubifs', 'jffs2', 'reiserfs', 'ntfs3', 'udf',
];
/** Files of these are in memory, and lseek(2), SEEK_DATA, tells what of them. */
export const IN_MEMORY: readonly string[] = ['tmpfs', 'devtmpfs'];
/** Files of these are in memory, and they do not tell what of them. */
export const SILENT: readonly string[] = ['ramfs', 'hugetlbfs', 'rootfs'];

/** To look at a file of another one, as of a file server, may take for ever. */
const ANSWER_AT_ONCE = new Set([...ON_DISK, ...IN_MEMORY, ...SILENT]);

/** How many regions of one file are tried: each may have gone, or be another's by now. */
const MOST_TRIES = 4;

export interface Mount {
	/** As in /proc/PID/maps. */
	device: string;
	/** As seen from the process's own root. */
	path: string;
	type: string;
}

/** /proc/PID/mountinfo, proc_pid_mountinfo(5). Pure. */
export function parseMounts(text: string): Mount[] {
	return text.split('\n').flatMap((line) => {
		const fields = line.split(' '), [major = '', minor] = (fields[2] ?? '').split(':'), dash = fields.indexOf('-');
		if (minor === undefined || dash < 0) return [];
		const path = (fields[4] ?? '').replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
		return [{ device: [major, minor].map(hex).join(':'), path, type: fields[dash + 1] ?? '' }];
	});
}

const hex = (part: string): string => Number(part).toString(16).padStart(2, '0');

/**
 * The regions with `fileKind` and `fileBytes`, where that can be told at once; others are as they were, such as those
 * of a file server. `pid`: whose regions they are, or a process that has most of them too, as its duplicate.
 * `secretDevice`: of memfd_secret(2), null where there is none.
 */
export function withFiles(pid: number, regions: readonly Region[], secretDevice: string | null): Region[] {
	const mounts = [...mountsOf(pid), ...mountsOf('self')];
	const local = new Set(mounts.filter(({ type }) => ANSWER_AT_ONCE.has(type)).map(({ device }) => device));
	const known = new Map<string, Pick<Region, 'fileKind' | 'fileBytes'>>(), tries = new Map<string, number>();
	return regions.map((region) => {
		if (!hasFile(region) || region.fileKind !== undefined) return region;
		if (region.device === secretDevice) return { ...region, fileKind: 'secret' };
		if (!local.has(region.device)) return region;
		const key = fileOf(region), tried = tries.get(key) ?? 0;
		const found = known.get(key) ?? (tried < MOST_TRIES ? lookAt(pid, region, mounts) : null);
		tries.set(key, tried + 1);
		if (found === null) return region;
		known.set(key, found);
		return { ...region, ...found };
	});
}

/** Which file it is of. */
export const fileOf = ({ device, inode }: Pick<Region, 'device' | 'inode'>): string => `${device}:${inode}`;

/** Ways to its file: the kernel's own link, which needs CAP_CHECKPOINT_RESTORE, and the path, if it leads there. */
export const waysTo = (pid: number, { start, end, name }: Region): { link: Buffer; path: Buffer } => ({
	link: Buffer.from(`/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`),
	path: bytesOfText(`/proc/${pid}/root${name}`),
});

function lookAt(pid: number, region: Region, mounts: readonly Mount[]): Pick<Region, 'fileKind' | 'fileBytes'> | null {
	const { link, path } = waysTo(pid, region);
	for (const way of [link, ...(isWayLocal(region.name, mounts) ? [path] : [])]) {
		try {
			const file = statSync(way, { bigint: true });
			// Of some file systems stat(2) gives another number of the device than maps.
			if (file.ino !== region.inode || (way === path && deviceOf(file.dev) !== region.device)) continue;
			return {
				fileKind: file.isCharacterDevice() || file.isBlockDevice() ? 'device' : 'other',
				fileBytes: Number(file.size),
			};
		} catch {
			// The other way, or none: then nobody knows.
		}
	}
	return null;
}

/** Does no part of the path lie on a file system that may not answer? */
const isWayLocal = (name: string, mounts: readonly Mount[]): boolean => name.startsWith('/') &&
	// Of what has no path any more another one may have the name, a link to anywhere.
	!isUnlinkedPath(name) && mounts.every(({
	path, type,
}) => ANSWER_AT_ONCE.has(type) || path === '/' || !(name === path || name.startsWith(`${path}/`)));

/** As that process sees them; none where it has ended. */
export function mountsOf(pid: number | 'self'): Mount[] {
	try {
		return parseMounts(textOf(readFileSync(`/proc/${pid}/mountinfo`)));
	} catch {
		return [];	// it has ended
	}
}

/** `fd:01`, of what stat(2) gives: makedev(3). */
export const deviceOf = (dev: bigint): string => [
	((dev >> 32n) & 0xffff_f000n) | ((dev >> 8n) & 0xfffn), ((dev >> 12n) & 0xffff_ff00n) | (dev & 0xffn),
].map((part) => part.toString(16).padStart(2, '0')).join(':');
