import { readFileSync } from 'node:fs';
import test from 'ava';
import { copiedBytesIn, SmapsParser } from '../../../common/proc/smaps.ts';
import { parseRegions } from '../../../common/proc/regions.ts';

const parsed = (text: string, pieceBytes: number) => {
	const parser = new SmapsParser(), bytes = Buffer.from(text);
	for (let at = 0; at < bytes.length; at += pieceBytes) parser.add(bytes.subarray(at, at + pieceBytes));
	return parser.end();
};

test('in pieces of any size it is what it is as a whole', (t) => {
	const text = readFileSync('/proc/self/smaps', 'utf8'), whole = parseRegions(text);
	t.true(whole.length > 20);
	for (const bytes of [1, 7, 4096, text.length]) {
		const regions = parsed(text, bytes);
		t.is(regions.length, whole.length, `pieces of ${bytes} bytes`);
		for (const [i, region] of whole.entries()) t.like(regions[i], { ...region });
		t.true(regions.some(({ populated }) => populated) && regions.some(({ populated }) => !populated));
		t.true(regions.some(({ privateDirtyKiB, anonymousKiB }) => privateDirtyKiB > 0 && anonymousKiB > 0));
	}
});

const REGIONS = `1000-2000 rw-p 00000000 00:00 0 \nRss: 0 kB\nSwap: 0 kB\nVmFlags: rd wr
2000-3000 rw-p 00000000 00:00 0 \nRss: 40 kB\nPrivate_Dirty: 30 kB\nAnonymous: 20 kB\nSwap: 0 kB\nVmFlags: rd wr
3000-4000 rw-s 00000000 00:01 7 /memfd:ä (deleted)\nRss: 0 kB\nPrivate_Dirty: 9 kB\nAnonymous: 9 kB\nSwap: 8 kB\nVmFlags: sh
4000-5000 rw-p 00000000 00:00 0 \nRss: 0 kB\nPrivate_Hugetlb: 2048 kB\nSwap: 0 kB\nVmFlags: ht\n`;

test('what has pages, and what of them is there twice', (t) => {
	const regions = parsed(REGIONS, 3);
	t.deepEqual(regions.map(({ populated }) => populated), [false, true, true, true]);
	t.deepEqual(regions.map(({ name, flags }) => [name, [...flags]]), [
		['', ['rd', 'wr']], ['', ['rd', 'wr']], ['/memfd:ä (deleted)', ['sh']], ['', ['ht']],
	]);
	t.is(copiedBytesIn(regions), (20 + 2048) * 1024, 'of files and of shared memory nothing');
});

test('a line that smaps cannot have is an error', (t) => {
	t.throws(() => parsed('no region\n', 100), { message: /not a line of/ });
});
