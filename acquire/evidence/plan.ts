/** Which bytes of which region are evidence: never more than the process has. */
import type { Image } from '../../mechanisms/shared/types.ts';
import type { Content } from './core.ts';
import type { LiveTarget } from './live.ts';
import { mergeRuns, PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import {
	isOfDevice, wantsFilePages, wantsUnchangedPages, type Capture, type Classified, type CoreFilter,
} from './provenance.ts';
import { hasFile, isHugetlb, isKernelCode, overlapping, uncovered, type Region } from '../../common/proc/regions.ts';

export interface Planned extends Content, Classified {
	from: Classified['from'];
}

/** Of `target` too: reading its pagemap holds its mmap_lock for 2 MiB of addresses at a time. */
export function planContents(
	classified: readonly Classified[], copy: Pick<Image, 'populated'>, target: LiveTarget, filter: CoreFilter
): Planned[] {
	return classified.flatMap((each) => {
		const isCopys = each.from === 'duplicate' && each.capture === 'frozen' && isHugetlb(each.region);
		return isCopys ? planHuge(each, copy, target) : [planOne(each, copy, target, filter)];
	});
}

/**
 * Huge pages are few: where there is none left for the target's next write, the kernel takes the one that it shares
 * with its duplicate away from that. What the duplicate has not any more is read from the target.
 */
export function planHuge(
	each: Classified, copy: Pick<Image, 'populated'>, target: Pick<LiveTarget, 'populated'>
): Planned[] {
	const { region } = each, ofCopy = copy.populated(region, 'all');
	const taken = uncovered(overlapping([region], target.populated(region, 'resident') ?? []), ofCopy);
	const parts = [
		...uncovered([region], taken).map((part): Planned =>
			({ ...each, region: part, runs: overlapping([part], ofCopy).map(({ start, end }) => ({ start, end })) })),
		...taken.map((part): Planned => {
			const { start, end } = part;
			return { ...each, region: part, capture: 'private-live', from: 'target', runs: [{ start, end }] };
		}),
	];
	return parts.sort((a, b) => a.region.start - b.region.start);
}

function planOne(
	each: Classified, copy: Pick<Image, 'populated'>, target: LiveTarget, filter: CoreFilter
): Planned {
	const { region, from, capture } = each;
	if (from === null || each.lost !== undefined) {
		return { ...each, runs: [] };
	}
	// Swapped-out pages of the target would come back into its memory: they are not read.
	if (from === 'target') {
		const runs = target.populated(region, 'resident');
		return runs === null ? { ...each, runs: [], capture: 'unreadable', lost: 'ESRCH' } : { ...each, runs };
	}
	// No copy has page tables of shared memory: which pages there are, the target's tell.
	if (capture === 'shared-live') {
		return { ...each, runs: target.populated(region, 'all') ?? copy.populated(region, 'all') };
	}
	const whole: Run = { start: region.start, end: region.end };
	// A fork copies no page tables of the kernel's code, and a debugger asks for it.
	if (isKernelCode(region)) {
		return { ...each, runs: [whole] };
	}
	const own = copy.populated(region, 'own');
	// Others would be made by its driver, or are the kernel's.
	if (isOfDevice(region)) {
		return own.length === 0 ? { ...each, runs: [], capture: 'device', from: null } : { ...each, runs: own };
	}
	if (wantsFilePages(region)) {
		return { ...each, capture: privateCapture(own), runs: [whole] };
	}
	if (!hasFile(region)) {
		return { ...each, runs: own };
	}
	if (wantsUnchangedPages(region, own.length > 0, filter)) {
		return { ...each, capture: privateCapture(own), runs: withFile(region, own) };
	}
	// gdb knows a program by the first page of its file.
	const header: Run[] = region.fileOffset === 0 && own[0]?.start !== region.start
		? [{ start: region.start, end: region.start + PAGE_BYTES }]
		: [];
	return { ...each, capture: privateCapture(own), runs: [...header, ...own] };
}

const privateCapture = (own: readonly Run[]): Capture => (own.length > 0 ? 'frozen' : 'file');

/** All pages that there are of its file, and its own. */
function withFile({ start, end, fileOffset, fileBytes = Infinity }: Region, own: readonly Run[]): Run[] {
	const there = Math.min(end, start + Math.max(0, Math.ceil((fileBytes - fileOffset) / PAGE_BYTES) * PAGE_BYTES));
	const behind = own.filter((run) => run.end > there).map((run) => ({ ...run, start: Math.max(run.start, there) }));
	return there > start ? mergeRuns([{ start, end: there }, ...behind], 0) : behind;
}
