/** How each region of a process can be captured from its duplicate, and how it must not be. Pure. */
import { hasFile, isUnlinked, uncovered, type Region } from './regions.ts';

export const CAPTURES = {
	'frozen': 'private memory, from the duplicate: as of the moment',
	'shared-live': 'shared memory: read through the duplicate while it went on changing',
	'file': 'unchanged pages of a file: from the file, as it was when they were read; or not at all, where a path leads to it',
	'hidden-by-dontfork': 'a fork leaves it out (MADV_DONTFORK): read from the live target, resident pages only',
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
}

/** Device files that are memory all the same. */
const MEMORY_DEVICE = /^\/dev\/(?:zero(?: \(deleted\))?$|shm\/|hugepages\/)/;

/** Rings that the kernel shares with a process: perf_event_open(2), io_uring(7), packet(7). Not all kernels mark them. */
const OF_KERNEL = /^(?:anon_inode:|socket:)/;

/** VM_IO or VM_PFNMAP: no ordinary memory. [vvar] has them too. */
const isDevice = ({ flags, name }: Region): boolean =>
	flags.has('io') || flags.has('pf') || OF_KERNEL.test(name) || (name.startsWith('/dev/') && !MEMORY_DEVICE.test(name));

const isSecret = ({ name }: Region): boolean => name.startsWith('/secretmem');

/**
 * `duplicate`: its regions with flags. `hidden`: regions, with flags, that only the target has.
 * `forked`: the duplicate was made as fork() would, so that what was to be wiped is zeros.
 */
export function classify(duplicate: readonly Region[], hidden: readonly Region[], forked: boolean): Classified[] {
	const ofDuplicate = duplicate.map((region): Classified => {
		const barred = neverRead(region);
		if (barred !== null) return barred;
		if (region.shared) return { region, capture: 'shared-live', from: 'duplicate' };
		if (forked && region.flags.has('wf')) return { region, capture: 'wiped-on-fork', from: 'target' };
		return { region, capture: 'frozen', from: 'duplicate' };
	});
	const ofTarget = hidden.map((region): Classified => neverRead(region) ?? { region, capture: 'hidden-by-dontfork', from: 'target' });
	return [...ofDuplicate, ...ofTarget].sort((a, b) => a.region.start - b.region.start);
}

function neverRead(region: Region): Classified | null {
	if (isDevice(region)) return { region, capture: 'device', from: null };
	return isSecret(region) ? { region, capture: 'secret', from: null } : null;
}

/**
 * What the target has and the duplicate has not. The target's regions are those that it had both before and after
 * the moment: what it maps or unmaps meanwhile was hidden by nobody.
 */
export const hiddenRegions = (before: Region[], after: readonly Region[], duplicate: readonly Region[]): Region[] =>
	uncovered(uncovered(before, uncovered(before, after)), duplicate);

/**
 * `hidden` with flags: a device among them must not be read. smaps of the target, which walks its page tables, is read
 * only where something is hidden; what is not in it any more is taken for a device.
 */
export function withFlags(hidden: Region[], smaps: () => Region[]): Region[] {
	if (hidden.length === 0) return hidden;
	const known = smaps();
	return hidden.map((region) => ({ ...region, flags: known.find(({ start, end }) => start <= region.start && region.end <= end)?.flags ?? new Set(['io']) }));
}

/** Of a file's unchanged pages these are taken with the evidence: code, and what no path leads to any more. */
export const wantsFilePages = (region: Region): boolean => hasFile(region) && (region.executable || isUnlinked(region));

