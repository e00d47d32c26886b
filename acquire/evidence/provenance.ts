/** How each region of a process can be captured from its duplicate, and how it must not be. Pure. */
import { hasFile, isUnlinked, overlapping, uncovered, type Region } from '../../common/proc/regions.ts';

export const CAPTURES = {
	'frozen': 'private memory, from the duplicate: as of the moment',
	'shared-live': 'shared memory: read while it went on changing',
	'private-live': 'private memory, read from the live target, resident pages only: where there is no duplicate, or ' +
		'it was not given that, most often since its file has a lock',
	'file': 'unchanged pages of a file: from the file, as it was when they were read; or not at all, where a path ' +
		'leads to it',
	'hidden-by-dontfork': 'a fork leaves it out (MADV_DONTFORK): read from the target, in its stop or live, resident ' +
		'pages only',
	'wiped-on-fork': 'a fork leaves zeros (MADV_WIPEONFORK): read from the live target, resident pages only',
	'device': 'memory of a device or of the kernel: never read, since reading can have side effects',
	'secret': 'memfd_secret(2): the kernel shows it to nobody',
	'unreadable': 'the kernel refused to read it',
} as const;
export type Capture = keyof typeof CAPTURES;

export interface Classified {
	region: Region;
	capture: Capture;
	/** Whose memory is read. null: nobody's. */
	from: 'duplicate' | 'target' | null;
	/** Why none of it can be read: the target has ended (ESRCH), or it gave this memory up (ENODATA). */
	lost?: Lost['errno'];
	/** It was copied while the target stood still, and is of the moment. */
	kept?: boolean;
	/** There is no copy: what is swapped out, and would come back if it were read, is listed as not read. */
	asItRuns?: true;
}

/** A region that the target had, and that cannot be read any more. */
export interface Lost {
	region: Region;
	errno: 'ESRCH' | 'ENODATA';
}

/**
 * Rings that the kernel shares with a process: perf_event_open(2), io_uring(7), packet(7). Not all kernels mark them.
 * No path begins like that, so only the kernel gives such a name.
 */
const OF_KERNEL = /^(?:anon_inode:|socket:)/;

/** Pages that are not the process's own are a driver's, or the kernel's. */
export const isOfDevice = ({ fileKind, name }: Region): boolean => fileKind === 'device' || OF_KERNEL.test(name);

/**
 * VM_IO or VM_PFNMAP: no ordinary memory. [vvar] has them too. A private mapping of a device without these may have
 * pages of the process's own, which are as all others.
 */
const isDevice = (region: Region): boolean =>
	region.flags.has('io') || region.flags.has('pf') || (region.shared && isOfDevice(region));

/**
 * `duplicate`: its regions with flags. `absent`: regions, with flags, that only the target has.
 * `forked`: the duplicate was made as fork() would, so that what was to be wiped is zeros. `keepsShared`: it has shared
 * memory too. One that is forked is given none: it would hold locks, segments and sockets that the target gives up or
 * dies with.
 */
export function classify(
	duplicate: readonly Region[], absent: readonly Region[], forked: boolean, lost: readonly Lost[] = [],
	keepsShared = !forked
): Classified[] {
	const ofDuplicate = duplicate.map((region): Classified => {
		const barred = neverRead(region);
		if (barred !== null) return barred;
		if (region.shared) return { region, capture: 'shared-live', from: keepsShared ? 'duplicate' : 'target' };
		if (forked && region.flags.has('wf')) return { region, capture: 'wiped-on-fork', from: 'target' };
		return { region, capture: 'frozen', from: 'duplicate' };
	});
	const ofTarget = absent.map((region): Classified =>
		neverRead(region) ?? { region, capture: captureOfAbsent(region), from: 'target' });
	const ofNobody = lost.map(({ region, errno }): Classified =>
		neverRead(region) ?? { region, capture: captureOfLost(region), from: 'target', lost: errno });
	return [...ofDuplicate, ...ofTarget, ...ofNobody].sort((a, b) => a.region.start - b.region.start);
}

/** Of a target that is read as it runs: nothing is of a moment. Its regions with flags, as far as they are known. */
export const classifyRunning = (target: readonly Region[]): Classified[] =>
	classify([], target, false).map((each) => ({ ...each, asItRuns: true }));

/** Only the flag of MADV_DONTFORK shows that a program has hidden it. */
function captureOfAbsent({ flags, shared }: Region): Capture {
	if (flags.has('dc')) return 'hidden-by-dontfork';
	return shared ? 'shared-live' : 'private-live';
}

function captureOfLost({ flags }: Region): Capture {
	if (flags.has('dc')) return 'hidden-by-dontfork';
	return flags.has('wf') ? 'wiped-on-fork' : 'unreadable';
}

function neverRead(region: Region): Classified | null {
	if (isDevice(region)) return { region, capture: 'device', from: null };
	return region.fileKind === 'secret' ? { region, capture: 'secret', from: null } : null;
}

/** What of the target's memory the duplicate has not: `absent`, with flags, can be read from the target. */
export interface Missing {
	absent: Region[];
	lost: Lost[];
}

/**
 * `before` and `after`: the target's regions before the moment and after it. What was private and is in one of them
 * only was mapped or unmapped meanwhile, and hidden by nobody. `withFlags` gives the target's regions with flags, since
 * a device must not be read: this walks its page tables, and is done only where something is missing. For both,
 * null: the target has ended. `leftOut`, with the flag of MADV_DONTFORK: what a fork is known to have left out at the
 * moment, and has to be read yet; it may have been moved, or replaced, since.
 */
export function missingRegions(
	before: Region[], after: readonly Region[] | null, duplicate: readonly Region[],
	withFlags: () => readonly Region[] | null, leftOut: readonly Region[] = []
): Missing {
	const missing = uncovered(inOrder([...uncovered(before, leftOut), ...leftOut]), duplicate);
	const given = after === null ? null : uncovered(missing, after);
	if (after !== null && given !== null) {
		const there = uncovered(missing, given);
		if (there.length === 0) return { absent: [], lost: lostWith('ENODATA', given) };
		const known = withFlags();
		if (known !== null) {
			const replaced = overlapping(there.filter(isHidden), known.filter((region) => !isHidden(region)));
			return {
				absent: uncovered(overlapping(known, there), replaced),
				lost: lostWith('ENODATA', [...uncovered(missing, known), ...replaced]),
			};
		}
	}
	return { absent: [], lost: missing.map((region) => ({ region, errno: 'ESRCH' })) };
}

/** Of memory that was given up, the duplicate has what was private, but for what a fork leaves out. */
const lostWith = (errno: Lost['errno'], regions: readonly Region[]): Lost[] =>
	regions.filter((region) => region.shared || isHidden(region)).map((region) => ({ region, errno }));

const isHidden = ({ flags }: Region): boolean => flags.has('dc');

export const inOrder = <Each extends { start: number }>(regions: Each[]): Each[] =>
	regions.toSorted((a, b) => a.start - b.start);

/**
 * What of a duplicate's regions a fork has wiped, and the target has not any more where it was: it cannot be read.
 * `after`: the target's, or null where it has ended.
 */
export const wipedAndGone = (duplicate: readonly Region[], after: readonly Region[] | null): Region[] => {
	const wiped = duplicate.filter(({ flags, shared }) => flags.has('wf') && !shared);
	return after === null ? [] : uncovered(wiped, after.filter((region) => !region.shared && !hasFile(region)));
};

/** Of a file's unchanged pages these are taken with the evidence: code, and what no path leads to any more. */
export const wantsFilePages = (region: Region): boolean =>
	hasFile(region) && !isOfDevice(region) && (region.executable || isUnlinked(region));


/** What the target's core would have by its own filter: core(5). */
export interface CoreFilter {
	/** The bits of /proc/PID/coredump_filter; null: they cannot be read. */
	coredumpFilter: number | null;
	/** Unchanged pages are left out all the same, but for those that wantsFilePages() names. */
	onlyPrivate: boolean;
}

const ANON_PRIVATE = 1 << 0, MAPPED_PRIVATE = 1 << 2;
/** What the kernel begins every process with. */
const DEFAULT_FILTER = 0x33;

/**
 * Would the kernel dump all pages of this private mapping of a file, unchanged ones too? That of which one page was
 * written to is private memory to it, and dumped as a whole: fs/coredump.c, vma_dump_size(). `changed`: it has pages
 * of its own.
 */
export function wantsUnchangedPages(
	region: Region, changed: boolean, { coredumpFilter, onlyPrivate }: CoreFilter
): boolean {
	const filter = coredumpFilter ?? DEFAULT_FILTER;
	if (onlyPrivate || region.shared || !hasFile(region) || isOfDevice(region) || region.flags.has('dd')) return false;
	return (filter & MAPPED_PRIVATE) !== 0 || (changed && (filter & ANON_PRIVATE) !== 0);
}
