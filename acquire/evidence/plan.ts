/**
 * Which bytes of which region are evidence: never more than the process has, and nothing that would have to be made to
 * be read. Signals are heard meanwhile.
 */
import type { Image } from '../../mechanisms/shared/types.ts';
import type { Content } from './core.ts';
import { FileParts } from './file-parts.ts';
import type { LiveTarget } from './live.ts';
import { PAGE_BYTES, unionOf, type PagesIn, type Run } from '../../common/proc/pagemap.ts';
import {
	isOfDevice, wantsFilePages, wantsUnchangedPages, type Capture, type Classified, type CoreFilter,
} from './provenance.ts';
import { hasFile, isHugetlb, isKernelCode, overlapping, uncovered, type Region } from '../../common/proc/regions.ts';
import { inTurns } from '../../common/turns.ts';

export interface Planned extends Content, Classified {
	from: Classified['from'];
	/** Of a file's region: the pages that are the process's own, and need no file to be read. */
	own?: Run[];
}

/** What is to be known of a target and its copy. */
export interface Looked {
	/** Pages of the copy, and of the target; null: it has ended. */
	ofCopy: PagesIn;
	ofTarget: PagesIn | null;
	files: Pick<FileParts, 'of'>;
	filter: CoreFilter;
}

/**
 * `pids`: processes that have the copy's files mapped, where there are some. Throws Failure where the copy is gone, and
 * what `signal` was aborted with.
 */
export async function planContents(
	classified: readonly Classified[], copy: Pick<Image, 'populated' | 'pages'>, target: Pick<LiveTarget, 'pages'>,
	pids: readonly number[], filter: CoreFilter, signal?: AbortSignal
): Promise<Planned[]> {
	const looked = await look(classified, copy, target, pids, filter, signal);
	const planned: Planned[] = [];
	await inTurns(classified, (each) => {
		if (isCopysHuge(each)) planned.push(...planHuge(each, looked));
		else planned.push(planOne(each, looked));
	}, signal);
	return planned;
}

/** Of a copy all pages at once; of the target as little as is needed, since that holds its mmap_lock for some time. */
async function look(
	classified: readonly Classified[], copy: Pick<Image, 'populated' | 'pages'>, target: Pick<LiveTarget, 'pages'>,
	pids: readonly number[], filter: CoreFilter, signal: AbortSignal | undefined
): Promise<Looked> {
	const read = classified.filter(({ from, lost }) => from !== null && lost === undefined);
	const copied = read.filter(({ from }) => from === 'duplicate').map(({ region }) => region);
	const ofCopy = await copy.pages?.(copied, signal) ?? ((range, which) => copy.populated(range, which));
	const wantsAll = (region: Region): boolean =>
		wantsFilePages(region) || wantsUnchangedPages(region, ofCopy(region, 'own').length > 0, filter);
	const asks = (each: Classified): boolean =>
		mayAskFile(each) && (each.region.fileOffset === 0 || wantsAll(each.region));
	const asking = read.filter(asks).map(({ region }) => region);
	const files = await FileParts.open(pids, asking, (region) => !wantsAll(region), signal);
	const asked = new Set(asking);
	const isSilent = (region: Region): boolean => asked.has(region) && files.of(region) === null;
	const ofTarget = read.filter((each) =>
		each.from === 'target' || each.capture === 'shared-live' || isCopysHuge(each) || isSilent(each.region));
	// That the copy has no page there says nothing of the target.
	const ranges = ofTarget.map(({ region: { start, end } }) => ({ start, end }));
	return { ofCopy, ofTarget: await target.pages(ranges, signal), files, filter };
}

/** Pages of its file may be taken too: all that there are, or the first one. */
const mayAskFile = ({ region, from, capture }: Classified): boolean =>
	from === 'duplicate' && capture !== 'shared-live' && hasFile(region) && !isHugetlb(region) && !isOfDevice(region);

const isCopysHuge = ({ region, from, capture, lost }: Classified): boolean =>
	from === 'duplicate' && capture === 'frozen' && lost === undefined && isHugetlb(region);

/**
 * Huge pages are few: where there is none left for the target's next write, the kernel takes the one that it shares
 * with its duplicate away from that. What the duplicate has not any more is read from the target. To read a huge page
 * that nobody has takes one from the machine's few.
 */
export function planHuge(each: Classified, { ofCopy, ofTarget }: Pick<Looked, 'ofCopy' | 'ofTarget'>): Planned[] {
	const { region } = each, runs = ofCopy(region, 'all');
	const taken = uncovered(overlapping([region], ofTarget?.(region, 'resident') ?? []), runs);
	const parts = [
		...uncovered([region], taken).map((part): Planned =>
			({ ...each, region: part, runs: overlapping([part], runs).map(({ start, end }) => ({ start, end })) })),
		...taken.map((part): Planned => {
			const { start, end } = part;
			return { ...each, region: part, capture: 'private-live', from: 'target', runs: [{ start, end }] };
		}),
	];
	return parts.sort((a, b) => a.region.start - b.region.start);
}

/** Pure, but for what it was given. */
export function planOne(each: Classified, { ofCopy, ofTarget, files, filter }: Looked): Planned {
	const { region, from, capture } = each;
	if (from === null || each.lost !== undefined) {
		return { ...each, runs: [] };
	}
	// Swapped-out pages of the target would come back into its memory: they are not read (source.ts).
	if (from === 'target') {
		if (ofTarget === null) return { ...each, runs: [], capture: 'unreadable', lost: 'ESRCH' };
		const own = hasFile(region) && !region.shared ? { own: ofTarget(region, 'own') } : {};
		const which = isOfDevice(region) ? 'own' : each.asItRuns === true ? 'all' : 'resident';
		return { ...each, ...own, runs: ofTarget(region, which) };
	}
	// No copy has page tables of shared memory: which pages there are, the target's tell.
	if (capture === 'shared-live') {
		return { ...each, runs: ofTarget?.(region, 'all') ?? ofCopy(region, 'all') };
	}
	// A fork copies no page tables of the kernel's code, and a debugger asks for it.
	if (isKernelCode(region)) {
		return { ...each, runs: [{ start: region.start, end: region.end }] };
	}
	if (isHugetlb(region)) {
		return { ...each, runs: ofCopy(region, 'all') };
	}
	const own = ofCopy(region, 'own');
	// Others would be made by its driver, or are the kernel's.
	if (isOfDevice(region)) {
		return own.length === 0 ? { ...each, runs: [], capture: 'device', from: null } : { ...each, own, runs: own };
	}
	if (!hasFile(region)) {
		return { ...each, runs: own };
	}
	const there = (wanted: Region): Run[] => {
		const parts = files.of(wanted);
		if (parts === 'whole') return [{ start: wanted.start, end: endInFile(wanted) }];
		return unionOf(parts ?? ofTarget?.(wanted, 'all') ?? [], parts === null ? ofCopy(wanted, 'all') : []);
	};
	if (wantsFilePages(region) || wantsUnchangedPages(region, own.length > 0, filter)) {
		return { ...each, capture: privateCapture(own), own, runs: unionOf(there(region), own) };
	}
	// gdb knows a program by the first page of its file.
	const header = region.fileOffset === 0 ? there({ ...region, end: region.start + PAGE_BYTES }) : [];
	return { ...each, capture: privateCapture(own), own, runs: unionOf(header, own) };
}

/** What lies behind the end of its file, as far as that is known, is not there. */
const endInFile = ({ start, end, fileOffset, fileBytes = Infinity }: Region): number =>
	Math.max(start, Math.min(end, start + Math.ceil((fileBytes - fileOffset) / PAGE_BYTES) * PAGE_BYTES));

const privateCapture = (own: readonly Run[]): Capture => (own.length > 0 ? 'frozen' : 'file');
