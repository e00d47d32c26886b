/**
 * Which bytes of which region are evidence: never more than the process has, and nothing that would have to be made to
 * be read. Signals are heard meanwhile.
 */
import type { Image } from '../../mechanisms/shared/types.ts';
import type { Content } from './core.ts';
import { FileParts } from './file-parts.ts';
import type { LiveTarget } from './live.ts';
import { PAGE_BYTES, unionOf, type PagesIn, type Run } from '../../common/proc/pagemap.ts';
import { wantsFilePages, type Capture, type Classified } from './provenance.ts';
import { hasFile, isHugetlb, isKernelCode, type Region } from '../../common/proc/regions.ts';
import { turns } from '../../common/turns.ts';

export interface Planned extends Content, Classified {
	from: Classified['from'];
}

/** What is to be known of a target and its copy. */
export interface Looked {
	/** Pages of the copy, and of the target; null: it has ended. */
	ofCopy: PagesIn;
	ofTarget: PagesIn | null;
	files: Pick<FileParts, 'of'>;
}

/**
 * `pids`: processes that have the copy's files mapped, where there are some. Throws Failure where the copy is gone, and
 * what `signal` was aborted with.
 */
export async function planContents(
	classified: readonly Classified[], copy: Pick<Image, 'populated' | 'pages'>, target: Pick<LiveTarget, 'pages'>,
	pids: readonly number[], signal?: AbortSignal
): Promise<Planned[]> {
	const looked = await look(classified, copy, target, pids, signal);
	const planned: Planned[] = [], turn = turns(signal);
	for (const each of classified) {
		planned.push(planOne(each, looked));
		await turn();
	}
	return planned;
}

/** Of a copy all pages at once; of the target as little as is needed, since that holds its mmap_lock for some time. */
async function look(
	classified: readonly Classified[], copy: Pick<Image, 'populated' | 'pages'>, target: Pick<LiveTarget, 'pages'>,
	pids: readonly number[], signal: AbortSignal | undefined
): Promise<Looked> {
	const read = classified.filter(({ from, lost }) => from !== null && lost === undefined);
	const ofCopy = read.filter(({ from }) => from === 'duplicate').map(({ region }) => region);
	const files = await FileParts.open(
		pids, read.filter(asksFile).map(({ region }) => region), (region) => !wantsFilePages(region), signal
	);
	const isSilent = (each: Classified): boolean => asksFile(each) && files.of(each.region) === null;
	const ofTarget = read.filter((each) => each.from === 'target' || each.capture === 'shared-live' || isSilent(each))
		.map(({ region }) => region);
	return {
		ofCopy: await copy.pages?.(ofCopy, signal) ?? ((range, which) => copy.populated(range, which)),
		ofTarget: await target.pages(ofTarget, signal), files,
	};
}

/** Pages of its file are taken too: all that there are, or the first one. */
const asksFile = ({ region, from, capture }: Classified): boolean =>
	from === 'duplicate' && capture !== 'shared-live' && hasFile(region) && !isHugetlb(region) &&
		(wantsFilePages(region) || region.fileOffset === 0);

/** Pure, but for what it was given. */
export function planOne(each: Classified, { ofCopy, ofTarget, files }: Looked): Planned {
	const { region, from, capture } = each;
	if (from === null || each.lost !== undefined) {
		return { ...each, runs: [] };
	}
	// Swapped-out pages of the target would come back into its memory: they are not read.
	if (from === 'target') {
		const runs = ofTarget?.(region, 'resident');
		return runs === undefined ? { ...each, runs: [], capture: 'unreadable', lost: 'ESRCH' } : { ...each, runs };
	}
	// No copy has page tables of shared memory: which pages there are, the target's tell.
	if (capture === 'shared-live') {
		return { ...each, runs: ofTarget?.(region, 'all') ?? ofCopy(region, 'all') };
	}
	// A fork copies no page tables of the kernel's code, and a debugger asks for it.
	if (isKernelCode(region)) {
		return { ...each, runs: [{ start: region.start, end: region.end }] };
	}
	// To read a huge page that is not there takes one from the machine's few.
	if (isHugetlb(region)) {
		return { ...each, runs: ofCopy(region, 'all') };
	}
	const own = ofCopy(region, 'own');
	if (!hasFile(region)) {
		return { ...each, runs: own };
	}
	const there = (wanted: Region): Run[] => {
		const parts = files.of(wanted);
		if (parts === 'whole') return [{ start: wanted.start, end: wanted.end }];
		return unionOf(parts ?? ofTarget?.(wanted, 'all') ?? [], parts === null ? ofCopy(wanted, 'all') : []);
	};
	if (wantsFilePages(region)) {
		return { ...each, capture: privateCapture(own), runs: unionOf(there(region), own) };
	}
	// gdb knows a program by the first page of its file.
	const header = region.fileOffset === 0 ? there({ ...region, end: region.start + PAGE_BYTES }) : [];
	return { ...each, capture: privateCapture(own), runs: unionOf(header, own) };
}

const privateCapture = (own: readonly Run[]): Capture => (own.length > 0 ? 'frozen' : 'file');
