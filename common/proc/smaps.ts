/**
 * /proc/PID/smaps (proc_pid_smaps(5)) as it comes, piece by piece: of many regions it is long. Each region has an
 * entry: its line of maps, some 25 lines that count, and VmFlags. Pure.
 */
import { textOf } from '../bytes-text.ts';
import { flagsIn, parseRegion, type Region } from './regions.ts';

export interface CountedRegion extends Region {
	/** Any page of it is in memory or swapped out: else none need be looked for. */
	populated: boolean;
}

/** No name has a new line. */
const FLAGS = '\nVmFlags:';
const NEW_LINE = 0x0a;
/** Those that say that there is a page: of the pool of huge pages Rss knows nothing. */
const POPULATED = ['\nRss:', '\nSwap:', '\nPrivate_Hugetlb:', '\nShared_Hugetlb:'];

/** Takes what there is of a file from its beginning, and then what was left of that with what came since. */
export interface EntryReader {
	/** How many bytes need not come again: those of whole entries. Throws at what smaps cannot have. */
	add: (bytes: Buffer) => number;
}

/** `each` is given a region's line, and what follows it up to the flags and with them. */
function reader(each: (head: string, counts: string, flags: string) => void): EntryReader {
	return {
		add: (bytes) => {
			const end = endOfEntries(bytes), text = textOf(bytes.subarray(0, end));
			for (let at = 0; at < text.length;) {
				const headEnd = text.indexOf('\n', at), flagsAt = text.indexOf(FLAGS, headEnd) + 1;
				const flagsEnd = text.indexOf('\n', flagsAt);
				each(text.slice(at, headEnd), text.slice(headEnd, flagsAt), text.slice(flagsAt, flagsEnd));
				at = flagsEnd + 1;
			}
			return end;
		},
	};
}

/** 0: there is no whole one yet. */
function endOfEntries(bytes: Buffer): number {
	const last = bytes.lastIndexOf(NEW_LINE), flagsAt = last < 1 ? -1 : bytes.lastIndexOf(FLAGS, last - 1);
	return flagsAt < 0 ? 0 : bytes.indexOf(NEW_LINE, flagsAt + 1) + 1;
}

/** What a line of an entry counts, in KiB. 0: it has no such line. `name`: with the new line before it. */
function countOf(counts: string, name: string): number {
	const at = counts.indexOf(name);
	return at < 0 ? 0 : parseInt(counts.slice(at + name.length, counts.indexOf('\n', at + 1)), 10);
}

/** Most lines say that there is nothing. */
const isAny = (counts: string, name: string): boolean => {
	const at = counts.indexOf(name);
	return at >= 0 && !counts.startsWith(' 0 kB', counts.indexOf('\n', at + 1) - 5);
};

/** The regions, in order of address. */
export class SmapsRegions implements EntryReader {
	readonly found: CountedRegion[] = [];
	/** Few regions have flags that no other one has. */
	readonly #flags = new Map<string, ReadonlySet<string>>();
	readonly add = reader((head, counts, line) => {
		const region = parseRegion(head);
		if (region === null) return;
		let flags = this.#flags.get(line);
		if (flags === undefined) {
			flags = flagsIn(line);
			this.#flags.set(line, flags);
		}
		this.found.push({ ...region, flags, populated: POPULATED.some((name) => isAny(counts, name)) });
	}).add;
}

/**
 * An estimate of the bytes that a process has as its duplicate had them, and that are there twice now. Pages of files
 * that reading the duplicate brought in are dirty and its alone too where the file was just written: not these. Of the
 * duplicate's entries.
 */
export class SmapsCopied implements EntryReader {
	regions = 0;
	#kiB = 0;
	readonly add = reader((head, counts) => {
		this.regions += 1;
		// Permissions: `rw-s`.
		if (head.charAt(head.indexOf(' ') + 4) === 's') return;
		this.#kiB += Math.min(countOf(counts, '\nPrivate_Dirty:'), countOf(counts, '\nAnonymous:')) +
			countOf(counts, '\nPrivate_Hugetlb:');
	}).add;

	get bytes(): number {
		return 1024 * this.#kiB;
	}
}
