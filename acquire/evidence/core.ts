/**
 * The layout of an ELF core (elf(5)): header, program headers, notes, then what a copy's file has already
 * (in-place.ts), then the memory, region by region in order of address. Everything is known before the first byte is
 * read, so that a core can be streamed. Pure.
 */
import { mergeRuns, PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import type { Region } from '../../common/proc/regions.ts';
import type { InPlace } from './in-place.ts';

/** A part of a region that has content in the core. `p_paddr` is `p_vaddr`: Volatility 3 lays its layer by it. */
export interface Segment extends Run {
	/** Where it is in the core, in bytes. */
	offset: number;
}

export interface Content {
	region: Region;
	runs: Run[];
	/** Whose memory it is. What lies between a target's pages is zeros: to read it would bring it into its memory. */
	from?: 'duplicate' | 'target' | null;
}

export interface PlacedContent {
	region: Region;
	segments: Segment[];
}

export interface CoreLayout {
	/** ELF header, program headers, notes, up to the first segment. */
	head: Buffer;
	contents: PlacedContent[];
	/** Bytes of the core that are in its file already, with what is between its segments. null: none. */
	inPlace: Run | null;
	/** Of the whole core. */
	bytes: number;
}

const HEADER_BYTES = 64;
const SECTION_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT = { LOAD: 1, NOTE: 4 } as const;
/** e_phnum has 16 bits. This says that the number is in the first section header, as the kernel's own cores do it. */
const PN_XNUM = 0xffff;
/**
 * More are not worth what they cost: each is a line in the head of the core, and some in the manifest, which is read
 * whole. Only gaps are filled for that: a process with more regions has a segment for each.
 */
const MOST_SEGMENTS = 2 ** 18;

/** `inPlace`: what stays where it is, if the head finds room before it. */
export function layOut(contents: readonly Content[], notes: Buffer, inPlace: InPlace | null = null): CoreLayout {
	const staying = new Set(inPlace?.segments.keys());
	const merged = fewEnough(contents.filter((content) => !staying.has(content)));
	const parts = [...merged.map(({ runs }) => runs), ...inPlace?.segments.values() ?? []];
	const segments = parts.reduce((sum, { length }) => sum + length, 0);
	const extended = segments + 1 >= PN_XNUM, tableAt = HEADER_BYTES + (extended ? SECTION_HEADER_BYTES : 0);
	const notesAt = tableAt + (segments + 1) * PROGRAM_HEADER_BYTES;
	const headBytes = toPage(notesAt + notes.length);
	if (inPlace !== null && headBytes > inPlace.range.start) return layOut(contents, notes);
	let offset = inPlace === null ? headBytes : toPage(inPlace.range.end);
	const others = merged.values();
	const placed = contents.map((content): PlacedContent => {
		const there = inPlace?.segments.get(content);
		if (there !== undefined) return { region: content.region, segments: there };
		const { region, runs } = others.next().value as Content;
		return {
			region,
			segments: runs.map((run) => {
				const segment = { ...run, offset };
				offset += run.end - run.start;
				return segment;
			}),
		};
	});

	const head = Buffer.alloc(headBytes);
	elfHeader(head, segments + 1, tableAt);
	programHeader(head, tableAt, { type: PT.NOTE, flags: 0, start: 0, offset: notesAt, bytes: notes.length });
	let at = tableAt + PROGRAM_HEADER_BYTES;
	for (const { region, segments: parts } of placed) {
		const flags = (region.executable ? 1 : 0) | (region.writable ? 2 : 0) | (region.readable ? 4 : 0);
		for (const { start, end, offset: where } of parts) {
			programHeader(head, at, { type: PT.LOAD, flags, start, offset: where, bytes: end - start });
			at += PROGRAM_HEADER_BYTES;
		}
	}
	notes.copy(head, notesAt);
	return { head, contents: placed, inPlace: inPlace?.range ?? null, bytes: offset };
}

const toPage = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

/**
 * Only where there would be too many segments are gaps filled: the smallest, then those of twice as much; the
 * target's only where that does not help.
 */
function fewEnough(contents: readonly Content[]): readonly Content[] {
	const runs = contents.reduce((sum, content) => sum + content.runs.length, 0);
	if (runs <= MOST_SEGMENTS) return contents;
	const [others, ofTarget] = [gapCounts(contents, false), gapCounts(contents, true)];
	const sumTo = (counts: readonly number[], size: number): number =>
		counts.slice(0, size + 1).reduce((sum, count) => sum + count, 0);
	const sizes = others.map((_, size) => size);
	const without = sizes.find((size) => runs - sumTo(others, size) <= MOST_SEGMENTS);
	const size = without ??
		sizes.find((each) => runs - sumTo(others, each) - sumTo(ofTarget, each) <= MOST_SEGMENTS) ?? SIZES - 1;
	return contents.map(({ region, runs: parts, from }) => ({
		region, from: from ?? null,
		runs: from === 'target' && without !== undefined ? parts : mergeRuns(parts, PAGE_BYTES * 2 ** size),
	}));
}

/** Of a page, of up to two, of up to four ... No region of user space is larger than the last. */
const SIZES = 36;

/** How many gaps there are of each size, in regions of the target or in all others. */
function gapCounts(contents: readonly Content[], ofTarget: boolean): number[] {
	const counts = new Array<number>(SIZES).fill(0);
	for (const { runs, from } of contents) {
		if ((from === 'target') !== ofTarget) continue;
		for (let i = 1; i < runs.length; i++) {
			const gap = (runs[i] as Run).start - (runs[i - 1] as Run).end;
			const size = Math.max(0, Math.ceil(Math.log2(gap / PAGE_BYTES)));
			counts[size] = (counts[size] ?? 0) + 1;
		}
	}
	return counts;
}

/** `tableAt`: where the program headers begin. */
function elfHeader(head: Buffer, programHeaders: number, tableAt: number): void {
	Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(head);	// 64 bits, little-endian, version 1
	head.writeUInt16LE(4, 16);	// ET_CORE
	head.writeUInt16LE(62, 18);	// EM_X86_64
	head.writeUInt32LE(1, 20);
	writeNumber(head, tableAt, 32);	// e_phoff
	head.writeUInt16LE(HEADER_BYTES, 52);
	head.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
	head.writeUInt16LE(Math.min(programHeaders, PN_XNUM), 56);
	if (programHeaders < PN_XNUM) return;
	writeNumber(head, HEADER_BYTES, 40);	// e_shoff
	head.writeUInt16LE(SECTION_HEADER_BYTES, 58);
	head.writeUInt16LE(1, 60);	// e_shnum: the first one, which is of no section (SHT_NULL)
	writeNumber(head, 1, HEADER_BYTES + 32);	// sh_size: as many section headers
	head.writeUInt32LE(programHeaders, HEADER_BYTES + 44);	// sh_info
}

function programHeader(
	head: Buffer, at: number, { type, flags, start, offset, bytes }: {
		type: number; flags: number; start: number; offset: number; bytes: number;
	}
): void {
	const isMemory = type === PT.LOAD;
	head.writeUInt32LE(type, at);
	head.writeUInt32LE(flags, at + 4);
	const numbers = [offset, start, start, bytes, isMemory ? bytes : 0, isMemory ? PAGE_BYTES : 4];
	for (const [i, number] of numbers.entries()) writeNumber(head, number, at + 8 + 8 * i);
}

/** Of 64 bits, of which a number holds 53. */
function writeNumber(head: Buffer, value: number, at: number): void {
	head.writeUInt32LE(value % 2 ** 32, at);
	head.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}
