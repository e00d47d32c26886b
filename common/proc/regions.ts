/** The regions of a process, as /proc/PID/smaps has them (proc_pid_smaps(5)). Pure. */

/** Addresses of user space are below 2^56, and those of pages multiples of 4096: a number holds them exactly. */
export interface Region {
	start: number;
	end: number;
	readable: boolean;
	writable: boolean;
	executable: boolean;
	shared: boolean;
	/** Where in the file it begins, in bytes. */
	fileOffset: number;
	/** `fd:01`; `00:00` where there is no file. */
	device: string;
	/** Of 64 bits. 0: there is no file. */
	inode: bigint;
	/** As the kernel writes it: a path, perhaps with ` (deleted)`, `[heap]`, or nothing. */
	name: string;
	/**
	 * What its file is, where that was looked at (mapped-files.ts): a device's, of memfd_secret(2), or any other.
	 */
	fileKind?: 'device' | 'secret' | 'other';
	/** Of that file, where that was looked at. */
	fileBytes?: number;
	/** The two-letter codes of VmFlags. Empty where only maps was read. */
	flags: ReadonlySet<string>;
}

/** Above the addresses of user space, with page tables of five levels too: the kernel's own, [vsyscall]. */
const USER_SPACE_END = 2 ** 56;

/** A name has any characters but a new line, a carriage return too. */
const HEAD = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([sp]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+)(?: +(.*))?$/s;

/** Of regions whose flags nobody has looked at: one for all, since there may be tens of thousands. */
const NO_FLAGS: ReadonlySet<string> = new Set();

/** Of maps or of smaps, which has more lines for each region. Throws at a line that neither can have. */
export function parseRegions(text: string): Region[] {
	const regions: Region[] = [];
	for (const line of text.split('\n')) {
		const region = regionIn(line), last = regions.at(-1);
		if (region !== null) {
			regions.push(region);
		} else if (line.startsWith('VmFlags:')) {
			if (last !== undefined) last.flags = flagsIn(line);
		} else if (line !== '' && !/^[A-Za-z_]+: /.test(line)) {
			throw notALine(line);
		}
	}
	return regions.filter(isOfUser);
}

/** Of its line of maps. null: it is the kernel's own. Throws at any other line. */
export function parseRegion(line: string): Region | null {
	const region = regionIn(line);
	if (region === null) throw notALine(line);
	return isOfUser(region) ? region : null;
}

export const flagsIn = (line: string): Set<string> => new Set(line.slice('VmFlags:'.length).trim().split(/ +/));

const isOfUser = ({ start }: Region): boolean => start < USER_SPACE_END;

const notALine = (line: string): Error => new Error(`not a line of /proc/PID/smaps: ${JSON.stringify(line)}`);

/** By index: to take the parts out by the list's iterator takes longer than to find them. */
function regionIn(line: string): Region | null {
	const head = HEAD.exec(line);
	if (head === null) return null;
	const inode = head[9] ?? '0';
	return {
		start: parseInt(head[1] ?? '', 16), end: parseInt(head[2] ?? '', 16), readable: head[3] === 'r',
		writable: head[4] === 'w', executable: head[5] === 'x', shared: head[6] === 's',
		fileOffset: parseInt(head[7] ?? '', 16), device: head[8] ?? '', inode: inode === '0' ? 0n : BigInt(inode),
		name: head[10] ?? '', flags: NO_FLAGS,
	};
}

export const bytesOf = ({ start, end }: Pick<Region, 'start' | 'end'>): number => end - start;

/** Is there a file behind it, on a file system or in memory only (memfd, shm)? */
export const hasFile = ({ inode }: Region): boolean => inode !== 0n;

/** Of the pool of huge pages, which the administrator set apart; the kernel has a file behind it. */
export const isHugetlb = ({ flags }: Region): boolean => flags.has('ht');

/** Code that the kernel lends to every process: some kilobytes, private, and the same for all. */
export const isKernelCode = ({ name }: Region): boolean => name === '[vdso]';

/** Of a file that no path leads to any more: nobody else will find these bytes. */
export const isUnlinked = (region: Region): boolean => hasFile(region) && isUnlinkedPath(region.name);

/** Of a file, as the kernel writes it. */
export const isUnlinkedPath = (path: string): boolean => path.endsWith(' (deleted)');

/** The parts of `all` that no region of `others` covers, as regions of their own. Both in order of address. */
export function uncovered(
	all: readonly Region[], others: ReadonlyArray<Pick<Region, 'start' | 'end'>>
): Region[] {
	const gaps: Region[] = [];
	let first = 0;	// of the others that can cover a part of what comes: there may be tens of thousands of both
	for (const region of all) {
		let at = region.start;
		while ((others[first]?.end ?? Infinity) <= at) first += 1;
		for (let i = first; i < others.length; i++) {
			const { start, end } = others[i] as Pick<Region, 'start' | 'end'>;
			if (start >= region.end) break;
			if (start > at) gaps.push(cut(region, at, start));
			at = Math.max(at, end);
		}
		if (at < region.end) gaps.push(cut(region, at, region.end));
	}
	return gaps;
}

/**
 * The parts of `all` that are in a region of `others`, as regions of their own. Both in order of address, and without
 * overlap.
 */
export function overlapping(all: readonly Region[], others: ReadonlyArray<Pick<Region, 'start' | 'end'>>): Region[] {
	const parts: Region[] = [];
	let first = 0;
	for (const region of all) {
		while ((others[first]?.end ?? Infinity) <= region.start) first += 1;
		for (let i = first; (others[i]?.start ?? Infinity) < region.end; i++) {
			const { start, end } = others[i] as Pick<Region, 'start' | 'end'>;
			parts.push(cut(region, Math.max(start, region.start), Math.min(end, region.end)));
		}
	}
	return parts;
}

/** A region of which nothing is cut off stays what it is. */
const cut = (region: Region, start: number, end: number): Region => (start === region.start && end === region.end
	? region
	: {
		...region, start, end,
		fileOffset: hasFile(region) ? region.fileOffset + start - region.start : region.fileOffset,
	});
