/** /proc/PID/smaps (proc_pid_smaps(5)) as it comes, piece by piece: of many regions it is long. Pure. */
import { textOf } from '../bytes-text.ts';
import { parseRegions, type Region } from './regions.ts';

export interface CountedRegion extends Region {
	/** Any page of it is in memory or swapped out: else none need be looked for. */
	populated: boolean;
	privateDirtyKiB: number;
	anonymousKiB: number;
	privateHugetlbKiB: number;
}

const NEW_LINE = 0x0a;
/** Those that say that there is a page: of the pool of huge pages Rss knows nothing. */
const POPULATED = ['Rss:', 'Swap:', 'Private_Hugetlb:', 'Shared_Hugetlb:'];
const COUNTS = [
	['Private_Dirty:', 'privateDirtyKiB'], ['Anonymous:', 'anonymousKiB'], ['Private_Hugetlb:', 'privateHugetlbKiB'],
] as const;

/**
 * An estimate of the bytes that a process has as its duplicate had them, and that are there twice now. Pages of files
 * that reading the duplicate brought in are dirty and its alone too where the file was just written: not these. Of the
 * duplicate's regions.
 */
export const copiedBytesIn = (duplicate: readonly CountedRegion[]): number => 1024 * duplicate.reduce(
	(sum, { shared, privateDirtyKiB, anonymousKiB, privateHugetlbKiB }) =>
		(shared ? sum : sum + Math.min(privateDirtyKiB, anonymousKiB) + privateHugetlbKiB),
	0
);

export class SmapsParser {
	readonly #regions: CountedRegion[] = [];
	/** Few regions have flags that no other one has. */
	readonly #flags = new Map<string, ReadonlySet<string>>();
	/** That the lines which follow are of; undefined: of one that is no user's. */
	#current: CountedRegion | undefined;
	#rest: Buffer = Buffer.alloc(0);

	/** May change afterwards. Throws at a line that smaps cannot have. */
	add(piece: Uint8Array): void {
		const bytes = Buffer.concat([this.#rest, piece]), end = bytes.lastIndexOf(NEW_LINE) + 1;
		this.#rest = bytes.subarray(end);
		this.#parse(textOf(bytes.subarray(0, end)));
	}

	/** In order of address. */
	end(): CountedRegion[] {
		this.#parse(textOf(this.#rest));
		return this.#regions;
	}

	#parse(text: string): void {
		for (let at = 0; at < text.length;) {
			const found = text.indexOf('\n', at), end = found < 0 ? text.length : found;
			const letter = text.charCodeAt(at);
			// What is counted begins with a capital, a region with a digit or a small letter.
			if (letter < 0x41 || letter > 0x5a) this.#begin(text.slice(at, end));
			else if (text.startsWith('VmFlags:', at)) this.#flagsAre(text.slice(at, end));
			else this.#count(text, at, end);
			at = end + 1;
		}
	}

	#begin(line: string): void {
		const [region] = parseRegions(line);
		this.#current = region === undefined
			? undefined
			: { ...region, populated: false, privateDirtyKiB: 0, anonymousKiB: 0, privateHugetlbKiB: 0 };
		if (this.#current !== undefined) this.#regions.push(this.#current);
	}

	#flagsAre(line: string): void {
		let flags = this.#flags.get(line);
		if (flags === undefined) {
			flags = new Set(line.slice('VmFlags:'.length).trim().split(/ +/));
			this.#flags.set(line, flags);
		}
		if (this.#current !== undefined) this.#current.flags = flags;
	}

	#count(text: string, at: number, end: number): void {
		const current = this.#current;
		// Most lines say that there is nothing.
		if (current === undefined || text.startsWith(' 0 kB', end - 5)) return;
		if (POPULATED.some((name) => text.startsWith(name, at))) current.populated = true;
		for (const [name, field] of COUNTS)
			if (text.startsWith(name, at)) current[field] = parseInt(text.slice(at + name.length, end), 10);
	}
}
