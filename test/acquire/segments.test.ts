/**
 * A core has as many segments as there are runs of pages: beyond 65,534 their number is where few readers look, and gdb
 * and readelf do. Beyond 262,144 gaps are filled, and those are none of the target's.
 */
import { join } from 'node:path';
import test from 'ava';
import { layOut, type Content } from '../../acquire/evidence/core.ts';
import { parseRegions } from '../../common/proc/regions.ts';
import { testUnless } from '../unless.ts';
import { CoreFile } from './core-file.ts';
import { noTools, run, startTarget, takeEvidence, verb } from './help.ts';

const PAGE = 4096;

/** A region of which `count` pages are there, with `gap` pages between them. */
function scattered(start: number, count: number, gap: number, from: 'duplicate' | 'target'): Content {
	const end = start + count * (gap + 1) * PAGE;
	const [region] = parseRegions(`${start.toString(16)}-${end.toString(16)} rw-p 00000000 00:00 0 \n`);
	const runs = Array.from({ length: count }, (_, i) => start + i * (gap + 1) * PAGE)
		.map((at) => ({ start: at, end: at + PAGE }));
	return { region: region!, runs, from };
}

const counts = (contents: Content[]): number[] =>
	layOut(contents, Buffer.alloc(0)).contents.map(({ segments }) => segments.length);

test('as many segments as pages where there is room for so many', (t) => {
	t.deepEqual(
		counts([scattered(2 ** 30, 100_000, 1, 'duplicate'), scattered(2 ** 35, 100_000, 9, 'duplicate')]),
		[100_000, 100_000]
	);
});

test('otherwise the smallest gaps are filled, those of the duplicate first', (t) => {
	t.deepEqual(
		counts([
			scattered(2 ** 30, 200_000, 1, 'duplicate'), scattered(2 ** 35, 100_000, 9, 'duplicate'),
			scattered(2 ** 40, 50, 1, 'target'),
		]),
		[1, 100_000, 50]
	);
	t.deepEqual(
		counts([scattered(2 ** 30, 200_000, 1, 'duplicate'), scattered(2 ** 35, 300_000, 9, 'duplicate')]), [1, 1]
	);
	t.deepEqual(
		counts([scattered(2 ** 30, 260_000, 1, 'target'), scattered(2 ** 35, 70_000, 9, 'duplicate')]), [260_000, 1]
	);
});

test('the target\'s gaps are filled only where there would be too many segments all the same', (t) => {
	t.deepEqual(counts([scattered(2 ** 30, 300_000, 1, 'target'), scattered(2 ** 40, 50, 1, 'duplicate')]), [1, 1]);
	t.deepEqual(counts([scattered(2 ** 30, 300_000, 1, 'target'), scattered(2 ** 40, 50, 9, 'target')]), [1, 50]);
});

test('each region has a segment, however many there are', (t) => {
	const one = scattered(2 ** 30, 1, 1, 'duplicate');
	t.is(layOut(Array.from({ length: 270_000 }, () => one), Buffer.alloc(0)).contents.length, 270_000);
});

test('their number is in the header, or where the header says; and nothing is in place without room for that', (t) => {
	const head = (count: number): Buffer => layOut([scattered(2 ** 30, count, 1, 'duplicate')], Buffer.alloc(0)).head;
	const few = head(65_533), many = head(65_534);
	t.deepEqual([few.readUInt16LE(56), few.readUInt16LE(60), Number(few.readBigUInt64LE(32))], [65_534, 0, 64]);
	t.deepEqual([many.readUInt16LE(56), many.readUInt16LE(60), Number(many.readBigUInt64LE(32))], [0xffff, 1, 128]);
	t.is(many.readUInt32LE(Number(many.readBigUInt64LE(40)) + 44), 65_535);
	const inPlace = (count: number) => layOut([scattered(2 ** 35, count, 1, 'duplicate')], Buffer.alloc(0), {
		range: { start: 2 << 20, end: (2 << 20) + PAGE }, segments: new Map(),
	}).inPlace;
	t.not(inPlace(30_000), null);
	t.is(inPlace(65_534), null, 'the head is larger than the room for it: all is written as it comes');
});

const PAGES = 70_000;

testUnless(noTools('gdb', 'readelf'))('70,000 segments: readelf and gdb read them, verify and info too', async (t) => {
	// Every second page, and none of the others.
	const target = await startTarget(t, 'reserve', 2 * PAGES * PAGE / 2 ** 20 + 1, PAGES * PAGE / 2 ** 20, 2);
	const { core, dir, manifest } = await takeEvidence(t, target.pid, '--mechanism', 'inject');
	const at = target.number(1), pages = Math.floor(PAGES * PAGE / 2 ** 20) * 2 ** 20 / PAGE;
	const segments = manifest.regions.reduce((sum, region) => sum + region.segments.length, 0);
	t.true(segments > 0xffff && segments < PAGES + 1000, `${segments} segments`);

	const { status, stdout, stderr } = run('readelf', ['-hlW', core]);
	t.deepEqual([status, stderr], [0, '']);
	t.regex(stdout, new RegExp(`Number of program headers: +65535 \\(${segments + 1}\\)`));
	t.is([...stdout.matchAll(/^ +LOAD /gm)].length, segments);

	const file = CoreFile.open(t, core);
	t.is(file.loads.length, segments);
	const last = at + 2 * (pages - 1) * PAGE, content = 1 + (pages - 1) % 255;
	const gdb = run('gdb', ['-q', '-batch', '-nx', '-ex', `x/2xb 0x${(last + PAGE - 2).toString(16)}`,
		'-ex', `x/xb 0x${(last - PAGE).toString(16)}`, '-c', core]);
	const byte = `0x${content.toString(16).padStart(2, '0')}`;
	t.regex(gdb.stdout, new RegExp(`:\\s+${byte}\\s+${byte}\\s`), 'the last page');
	t.regex(gdb.stderr, /Cannot access memory/, 'the page before it, which is not there');

	t.regex(verb('verify', dir, '--key', join(dir, '..', 'key.pub')), /: whole: /);
	t.true(verb('info', dir).includes(`0x${at.toString(16)}-`));
});
