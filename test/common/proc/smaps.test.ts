import { readFileSync } from 'node:fs';
import test from 'ava';
import { SmapsCopied, SmapsRegions, type EntryReader } from '../../../common/proc/smaps.ts';
import { parseRegions } from '../../../common/proc/regions.ts';

/** As readers of a file in pieces do it: what was left comes again. */
function read<Reader extends EntryReader>(reader: Reader, text: string, pieceBytes: number): Reader {
	const bytes = Buffer.from(text);
	let used = 0;
	for (let at = 0; at < bytes.length; at += pieceBytes)
		used += reader.add(Buffer.from(bytes.subarray(used, at + pieceBytes)));
	return reader;
}

test('in pieces of any size it is what it is as a whole', (t) => {
	const text = readFileSync('/proc/self/smaps', 'utf8'), whole = parseRegions(text);
	t.true(whole.length > 20);
	for (const bytes of [97, 4096, text.length]) {
		const { found } = read(new SmapsRegions(), text, bytes);
		t.is(found.length, whole.length, `pieces of ${bytes} bytes`);
		for (const [i, region] of whole.entries()) t.like(found[i], { ...region });
		t.true(found.some(({ populated }) => populated) && found.some(({ populated }) => !populated));
		t.true(read(new SmapsCopied(), text, bytes).bytes > 1 << 20, 'of this process alone');
	}
});

const REGIONS = `1000-2000 rw-p 00000000 00:00 0 \nRss: 0 kB\nSwap: 0 kB\nVmFlags: rd wr
2000-3000 rw-p 00000000 00:00 0 \nRss: 40 kB\nPrivate_Dirty: 30 kB\nAnonymous: 20 kB\nSwap: 0 kB\nVmFlags: rd wr
3000-4000 rw-s 00000000 00:01 7 /memfd:ä VmFlags: (deleted)\nRss: 0 kB\nPrivate_Dirty: 9 kB\nAnonymous: 9 kB\nSwap: 8 kB\nVmFlags: sh
4000-5000 rw-p 00000000 00:00 0 \nRss: 0 kB\nPrivate_Hugetlb: 2048 kB\nSwap: 0 kB\nVmFlags: ht
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\nRss: 4 kB\nVmFlags: ex\n`;

test('what has pages, and what of them is there twice', (t) => {
	for (const bytes of [1, 3, 1000]) {
		const { found } = read(new SmapsRegions(), REGIONS, bytes);
		t.deepEqual(found.map(({ populated }) => populated), [false, true, true, true]);
		t.deepEqual(found.map(({ name, flags }) => [name, [...flags]]), [
			['', ['rd', 'wr']], ['', ['rd', 'wr']], ['/memfd:ä VmFlags: (deleted)', ['sh']], ['', ['ht']],
		]);
		const { bytes: copied } = read(new SmapsCopied(), REGIONS, bytes);
		t.is(copied, (20 + 2048) * 1024, 'of files and of shared memory nothing');
	}
});

test('nothing of an entry is taken before all of it is there', (t) => {
	const reader = new SmapsRegions(), entry = Buffer.from(REGIONS.slice(0, REGIONS.indexOf('2000-3000')));
	t.is(reader.add(entry.subarray(0, -1)), 0);
	t.deepEqual(reader.found, []);
	t.is(reader.add(entry), entry.length);
	t.is(reader.found.length, 1);
});

test('a line that smaps cannot have is an error', (t) => {
	t.throws(() => read(new SmapsRegions(), 'no region\nVmFlags: rd\n', 100), { message: /not a line of/ });
});
