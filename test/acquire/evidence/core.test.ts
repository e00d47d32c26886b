import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { layOut, type Content, type CoreLayout } from '../../../acquire/evidence/core.ts';
import { NT, note } from '../../../acquire/evidence/notes.ts';
import { PAGE_BYTES } from '../../../common/proc/pagemap.ts';
import { parseRegions, type Region } from '../../../common/proc/regions.ts';

const MOST = 262_144;

function region(at: number, pageCount: number, permissions = 'rw-p'): Region {
	const [found] =
		parseRegions(
			`${at.toString(16)}-${(at + pageCount * PAGE_BYTES).toString(16)} ${permissions} 00000000 00:00 0\n`
		);
	return found!;
}

/** `runs`: first page and the one after the last. */
const content = (of: Region, ...runs: Array<[number, number]>): Content =>
	({
		region: of,
		runs: runs.map(([start, end]) => ({ start: of.start + start * PAGE_BYTES, end: of.start + end * PAGE_BYTES })),
	});

interface Header {
	type: string; offset: number; address: number; physical: number; fileBytes: number; memoryBytes: number;
	flags: string; alignment: number;
}

/** What readelf finds in it. The file has the core's head, and a hole for the rest. */
function readBack(t: ExecutionContext, { head, bytes }: CoreLayout): { elf: string; headers: Header[] } {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	const path = join(folder, 'core');
	writeFileSync(path, head);
	truncateSync(path, bytes);
	const elf = execFileSync(
		'readelf', ['-hlW', path],
		{
			encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 64 << 20,
			stdio: ['ignore', 'pipe', 'pipe'],
		}
	);
	const headers = [
		...elf.matchAll(/^ {2}(NOTE|LOAD) +0x(\w+) 0x(\w+) 0x(\w+) 0x(\w+) 0x(\w+) ([RWE ]{3}) 0x(\w+)$/gm),
	].map(([, type = '', ...rest]): Header => {
		const [offset, address, physical, fileBytes, memoryBytes, , alignment] =
			rest.map((text) => parseInt(text, 16)) as [number, number, number, number, number, number, number];
		return { type, offset, address, physical, fileBytes, memoryBytes, flags: rest[5] ?? '', alignment };
	});
	return { elf, headers };
}

/** What must hold of every core. */
function assertSound(t: ExecutionContext, layout: CoreLayout, headers: readonly Header[], notes: Buffer): void {
	const [first, ...loads] = headers;
	t.like(first, { type: 'NOTE', offset: 64 + headers.length * 56, fileBytes: notes.length });
	t.is(Buffer.compare(layout.head.subarray(first!.offset, first!.offset + notes.length), notes), 0);
	t.is(layout.head.length % PAGE_BYTES, 0);
	t.true(loads.length <= MOST, `${loads.length} segments`);
	let offset = layout.head.length, address = 0;
	const wrong = loads.filter((load) => {
		const right = load.type === 'LOAD' && load.offset === offset && load.address >= address &&
			load.address % PAGE_BYTES === 0
			&& load.physical === load.address && load.fileBytes > 0 && load.fileBytes === load.memoryBytes &&
				load.alignment === PAGE_BYTES;
		offset += load.fileBytes;
		address = load.address + load.fileBytes;
		return !right;
	});
	t.deepEqual(wrong, [], 'each follows the one before, in the file and in memory');
	t.is(offset, layout.bytes);
	const segments = layout.contents.flatMap((placed) => placed.segments);
	t.is(segments.length, loads.length);
	t.deepEqual(
		segments.filter((segment, i) =>
			segment.start !== loads[i]?.address || segment.end !== segment.start + loads[i].fileBytes ||
				segment.offset !== loads[i].offset),
		[], 'and it is told so'
	);
}

test('a core as readelf reads it: one segment for each run, with its region\'s permissions', (t) => {
	const notes = note(NT.AUXV, Buffer.alloc(16, 7));
	const layout = layOut([
		content(region(0x400000, 8, 'r-xp'), [0, 8]),
		content(region(0x600000, 1000, 'rw-p'), [1, 3], [500, 501], [999, 1000]),
		content(region(0x7f0000000000, 4, '---p'), [3, 4]),
		content(region(0x7ffffffff000, 1, 'r--s'), [0, 1]),
	], notes);
	const { elf, headers } = readBack(t, layout);
	assertSound(t, layout, headers, notes);
	t.deepEqual(headers.slice(1).map(({ address, fileBytes, flags }) => [address, fileBytes / PAGE_BYTES, flags]), [
		[0x400000, 8, 'R E'], [0x601000, 2, 'RW '], [0x7f4000, 1, 'RW '], [0x9e7000, 1, 'RW '],
		[0x7f0000003000, 1, '   '], [0x7ffffffff000, 1, 'R  '],
	]);
	for (const expected of [
		/Class: +ELF64\n/, /Data: +2's complement, little endian\n/, /Type: +CORE \(Core file\)\n/,
		/Machine: +Advanced Micro Devices X86-64\n/, /Number of program headers: +7\n/,
		/Number of section headers: +0\n/,
	])
		t.regex(elf, expected);
});

test('a core of nothing but notes, of no multiple of a page', (t) => {
	for (const bytes of [4, 3000, 4096, 100_000]) {
		const notes = note(NT.AUXV, Buffer.alloc(bytes, 1)), layout = layOut([], notes);
		t.is(layout.bytes, layout.head.length);
		assertSound(t, layout, readBack(t, layout).headers, notes);
	}
});

test('more runs than a core has segments: neighbours are merged, and none is lost', (t) => {
	const notes = note(NT.AUXV, Buffer.alloc(16));
	const scattered = (at: number, runs: number, apart: number): Content =>
		({
			region: region(at, runs * apart),
			runs: Array.from({ length: runs }, (_, i) => at + i * apart * PAGE_BYTES)
				.map((start) => ({ start, end: start + PAGE_BYTES })),
		});
	for (const contents of [
		[scattered(0x10000000, 300_000, 2)],
		[scattered(0x10000000, 140_000, 40), scattered(0x7f0000000000, 140_000, 100)],
		[scattered(0x10000000, MOST - 1, 300), scattered(0x7f0000000000, 2, 300)],
	]) {
		const layout = layOut(contents, notes);
		t.true(layout.contents.reduce((sum, { segments }) => sum + segments.length, 0) <= MOST);
		for (const [index, { runs, region: { start, end } }] of contents.entries()) {
			const { segments } = layout.contents[index]!;
			let at = 0;
			const lost = runs.filter((run) => {
				while (at < segments.length && segments[at]!.end < run.end) at++;
				return at === segments.length || segments[at]!.start > run.start;
			});
			t.is(lost.length, 0, 'every page that was wanted is there');
			t.true(
				segments.every((segment) => segment.start >= start && segment.end <= end), 'and none of another region'
			);
		}
	}
});
