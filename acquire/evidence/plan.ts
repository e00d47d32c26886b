/** Which bytes of which region are evidence: never more than the process has. */
import type { Image } from '../../mechanisms/shared/types.ts';
import type { Content } from './core.ts';
import type { LiveTarget } from './live.ts';
import { PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import { wantsFilePages, type Capture, type Classified } from './provenance.ts';
import { hasFile, isHugetlb, isKernelCode } from '../../common/proc/regions.ts';

export interface Planned extends Content, Classified {
	from: Classified['from'];
}

/** Of `target` too: reading its pagemap holds its mmap_lock for 2 MiB of addresses at a time. */
export function planContents(
	classified: readonly Classified[], copy: Pick<Image, 'populated'>, target: LiveTarget
): Planned[] {
	return classified.map((each) => planOne(each, copy, target));
}

function planOne(each: Classified, copy: Pick<Image, 'populated'>, target: LiveTarget): Planned {
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
	// To read a huge page that is not there takes one from the machine's few.
	if (isHugetlb(region)) {
		return { ...each, runs: copy.populated(region, 'all') };
	}
	const own = copy.populated(region, 'own');
	if (wantsFilePages(region)) {
		return { ...each, capture: privateCapture(own), runs: [whole] };
	}
	if (!hasFile(region)) {
		return { ...each, runs: own };
	}
	// gdb knows a program by the first page of its file.
	const header: Run[] = region.fileOffset === 0 && own[0]?.start !== region.start
		? [{ start: region.start, end: region.start + PAGE_BYTES }]
		: [];
	return { ...each, capture: privateCapture(own), runs: [...header, ...own] };
}

const privateCapture = (own: readonly Run[]): Capture => (own.length > 0 ? 'frozen' : 'file');
