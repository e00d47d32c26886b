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
const PROGRAM_HEADER_BYTES = 56;
const PT = { LOAD: 1, NOTE: 4 } as const;
/** e_phnum has 16 bits, and 0xffff says that the number is elsewhere, where few readers look. */
const MOST_SEGMENTS = 0xfff0;
/** No region of user space is larger. */
const LARGEST_GAP_BYTES = 2 ** 47;

/**
 * `inPlace`: what stays where it is, if the head finds room before it and all segments find room in the head. Throws if
 * there are more regions than a core can have.
 */
export function layOut(contents: readonly Content[], notes: Buffer, inPlace: InPlace | null = null): CoreLayout {
	const staying = new Set(inPlace?.segments.keys());
	const merged = fewEnough(contents.filter((content) => !staying.has(content)));
	const parts = [...merged.map(({ runs }) => runs), ...inPlace?.segments.values() ?? []];
	const segments = parts.reduce((sum, { length }) => sum + length, 0);
	const notesAt = HEADER_BYTES + (segments + 1) * PROGRAM_HEADER_BYTES;
	const headBytes = toPage(notesAt + notes.length);
	if (inPlace !== null && (headBytes > inPlace.range.start || segments > MOST_SEGMENTS))
		return layOut(contents, notes);
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
	elfHeader(segments + 1).copy(head);
	programHeader(PT.NOTE, 0, 0, notesAt, notes.length, 4).copy(head, HEADER_BYTES);
	let at = HEADER_BYTES + PROGRAM_HEADER_BYTES;
	for (const { region, segments: parts } of placed) {
		const flags = (region.executable ? 1 : 0) | (region.writable ? 2 : 0) | (region.readable ? 4 : 0);
		for (const { start, end, offset: where } of parts) {
			programHeader(PT.LOAD, flags, start, where, end - start, PAGE_BYTES).copy(head, at);
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
function fewEnough(contents: readonly Content[]): Content[] {
	if (contents.length > MOST_SEGMENTS) {
		throw new Error(
			`a core can have ${MOST_SEGMENTS} segments, and this process has ${contents.length} regions with content`
		);
	}
	let merged: Content[] = [];
	for (const ofTarget of [false, true]) {
		for (let gap = 0; gap < LARGEST_GAP_BYTES; gap = Math.max(PAGE_BYTES, 2 * gap)) {
			merged = contents.map(({ region, runs, from }) =>
				({ region, runs: from === 'target' && !ofTarget ? runs : mergeRuns(runs, gap) }));
			if (merged.reduce((sum, { runs }) => sum + runs.length, 0) <= MOST_SEGMENTS) return merged;
		}
	}
	return merged;	// one for each region
}

function elfHeader(programHeaders: number): Buffer {
	const header = Buffer.alloc(HEADER_BYTES);
	Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);	// 64 bits, little-endian, version 1
	header.writeUInt16LE(4, 16);	// ET_CORE
	header.writeUInt16LE(62, 18);	// EM_X86_64
	header.writeUInt32LE(1, 20);
	header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);	// e_phoff
	header.writeUInt16LE(HEADER_BYTES, 52);
	header.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
	header.writeUInt16LE(programHeaders, 56);
	return header;
}

function programHeader(
	type: number, flags: number, address: number, offset: number, bytes: number, alignment: number
): Buffer {
	const header = Buffer.alloc(PROGRAM_HEADER_BYTES);
	header.writeUInt32LE(type, 0);
	header.writeUInt32LE(flags, 4);
	const memoryBytes = type === PT.LOAD ? bytes : 0;
	[offset, address, address, bytes, memoryBytes, alignment].forEach((value, i) =>
		header.writeBigUInt64LE(BigInt(value), 8 + 8 * i));
	return header;
}
