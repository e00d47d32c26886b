/** Which pages a copy's file has, and where: as the tracer tells it (native/precopy/index.c). */
import test from 'ava';
import { PAGE_BYTES } from '../../common/proc/pagemap.ts';
import { ImageIndex } from '../../mechanisms/shared/image-index.ts';

const CHUNK = 2 << 20, PAGES = CHUNK / PAGE_BYTES, MAPS = '7000-8000 rw-p\n';

interface Entry { address: number; place: number; corrected?: boolean; pages: number[] | 'all' }

function indexOf(...entries: Entry[]): ImageIndex {
	const head = Buffer.alloc(16), maps = Buffer.alloc(Math.ceil(MAPS.length / 8) * 8);
	head.writeBigUInt64LE(BigInt(entries.length), 0);
	head.writeBigUInt64LE(BigInt(MAPS.length), 8);
	maps.write(MAPS);
	return new ImageIndex(Buffer.concat([head, maps, ...entries.map(({ address, place, corrected = false, pages }) => {
		const entry = Buffer.alloc(16 + PAGES / 8, pages === 'all' ? 0xff : 0);
		entry.writeBigUInt64LE(BigInt(address), 0);
		entry.writeInt32LE(place, 8);
		entry.writeUInt32LE(Number(corrected), 12);
		for (const page of pages === 'all' ? [] : pages) entry[16 + (page >> 3)]! |= 1 << (page & 7);
		return entry;
	})]), CHUNK);
}

const at = (chunk: number, page = 0): number => chunk * CHUNK + page * PAGE_BYTES;

test('pages are where their chunk has its place, behind the head', (t) => {
	const index = indexOf(
		{ address: at(8), place: 1, pages: 'all' }, { address: at(9), place: 0, pages: [0, 1, 5] },
		{ address: at(20), place: -1, pages: [] },
	);
	t.is(index.maps, MAPS);
	t.is(index.headBytes, CHUNK);
	t.is(index.offsetOf(at(8, 3)), at(2, 3));
	t.is(index.offsetOf(at(9, 5) + 7), at(1, 5) + 7);
	for (const missing of [at(9, 2), at(7, 511), at(10), at(20)]) t.is(index.offsetOf(missing), null, `${missing}`);
	t.deepEqual(index.populated({ start: at(7), end: at(30) }), [
		{ start: at(8), end: at(9, 2) }, { start: at(9, 5), end: at(9, 6) },
	]);
	t.deepEqual(index.populated({ start: at(8, 510), end: at(9, 1) }), [{ start: at(8, 510), end: at(9, 1) }]);
	t.deepEqual(index.placesOf({ start: at(8, 510), end: at(9, 1) }), [
		{ start: at(8, 510), end: at(9), offset: at(2, 510) }, { start: at(9), end: at(9, 1), offset: at(1) },
	]);
	t.is(index.placesOf({ start: at(9), end: at(9, 3) }), null);
});

test('neighbours in the file, too, are one place', (t) => {
	const index = indexOf({ address: at(8), place: 0, pages: 'all' }, { address: at(9), place: 1, pages: 'all' });
	t.deepEqual(index.placesOf({ start: at(8, 1), end: at(10) }), [{ start: at(8, 1), end: at(10), offset: at(1, 1) }]);
});

test('what was corrected is known by its place', (t) => {
	const index = indexOf(
		{ address: at(8), place: 0, pages: 'all' }, { address: at(9), place: 1, corrected: true, pages: 'all' },
		{ address: at(10), place: 2, pages: 'all' },
	);
	t.false(index.wasCorrected(at(1), CHUNK));
	t.true(index.wasCorrected(at(1), CHUNK + 1));
	t.true(index.wasCorrected(at(2, 511), PAGE_BYTES));
	t.false(index.wasCorrected(at(3), 5 * CHUNK));
});
