import test from 'ava';
import { isUnlinked, parseRegions, uncovered, type Region } from '../../../common/proc/regions.ts';

const MAPS = `\
55d9de498000-55d9de49a000 r--p 00000000 fe:00 260875                     /usr/bin/sleep
55d9de49a000-55d9de49f000 r-xp 00002000 fe:00 260875                     /usr/bin/sleep
55da00000000-55da00021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 rw-s 00003000 00:01 2061                       /memfd:two words (deleted)
7f0000002000-7f0000003000 ---p 00000000 00:00 0${' '}
7f0000004000-7f0000005000 rw-p 00000000 fe:00 9                          /tmp/  a  file${' '}
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

const SMAPS = `\
7f0000000000-7f0000001000 rw-s 00003000 00:01 2061                       /dev/zero (deleted)
Size:                  4 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd wr sh mr mw me ms sd${' '}
7f0000002000-7f0000003000 rw-p 00000000 00:00 0
Size:                  4 kB
VmFlags: rd wr mr mw me ac dc wf
`;

const named = (regions: Region[]): string[] => regions.map(({ name }) => name);
const places = (regions: Region[]): Array<[number, number]> => regions.map(({ start, end }) => [start, end]);

test('maps: addresses, permissions, files and names, as they are written', (t) => {
	const regions = parseRegions(MAPS);
	t.deepEqual(
		named(regions),
		['/usr/bin/sleep', '/usr/bin/sleep', '[heap]', '/memfd:two words (deleted)', '', '/tmp/  a  file '],
		'[vsyscall] is the kernel\'s'
	);
	t.deepEqual(regions[1], {
		start: 0x55d9de49a000, end: 0x55d9de49f000, readable: true, writable: false, executable: true, shared: false,
		fileOffset: 0x2000, device: 'fe:00', inode: 260875n, name: '/usr/bin/sleep', flags: new Set(),
	});
	t.like(
		regions[3],
		{ writable: true, executable: false, shared: true, fileOffset: 0x3000, device: '00:01', inode: 2061n }
	);
	t.like(regions[4], { readable: false, writable: false, executable: false, shared: false, inode: 0n });
	t.deepEqual(parseRegions(''), []);
});

test('smaps: every region with its flags, and nothing of its other lines', (t) => {
	const regions = parseRegions(SMAPS);
	t.deepEqual(places(regions), [[0x7f0000000000, 0x7f0000001000], [0x7f0000002000, 0x7f0000003000]]);
	t.deepEqual(
		regions.map(({ flags }) => [...flags].join(' ')), ['rd wr sh mr mw me ms sd', 'rd wr mr mw me ac dc wf']
	);
	t.true(regions.every(({ flags }) => !flags.has('')));
});

test('a file\'s name can have any character but a new line: nobody hides by one', (t) => {
	for (const name of [
		'/tmp/a\rb', '/tmp/\u2028', '/tmp/\u2029x', '/tmp/\u001b[2J', '/tmp/VmFlags: io', '/tmp/\ufffd', '/tmp/\\012x',
	]) {
		t.deepEqual(named(parseRegions(`1000-2000 rw-p 00000000 fe:00 9                          ${name}\n`)), [name]);
	}
});

test('what neither file can have is refused, and named', (t) => {
	for (const line of [
		'garbage', '1000-2000 rw-p', '1000-2000 rwxq 00000000 fe:00 9 /a', '1000 rw-p 00000000 fe:00 9 /a',
		'zzzz-2000 rw-p 00000000 fe:00 9 /a', 'Size 4 kB', '\u0000',
	]) {
		t.throws(
			() => parseRegions(`${MAPS}${line}\n`),
			{ message: `not a line of /proc/PID/smaps: ${JSON.stringify(line)}` }
		);
	}
});

test('unlinked: only a file can be, by the end of its name', (t) => {
	const [region] = parseRegions(MAPS) as [Region];
	const unlinked = (name: string, inode: bigint): boolean => isUnlinked({ ...region, name, inode });
	t.true(unlinked('/memfd:x (deleted)', 7n));
	t.false(unlinked('/memfd:x', 7n));
	t.false(unlinked('/tmp/ (deleted)/x', 7n));
	t.false(unlinked('[anon: (deleted)', 0n));
	t.false(unlinked('x (deleted)', 0n));
});

const [FILE, , HEAP] = parseRegions(MAPS) as [Region, Region, Region];
const at = (region: Region, start: number, end: number): Region => ({ ...region, start, end });

test('uncovered: the parts that no other region covers', (t) => {
	const all = [at(HEAP, 0x10000, 0x20000), at(HEAP, 0x30000, 0x40000)];
	const left = (...others: Array<[number, number]>): Array<[number, number]> =>
		places(uncovered(all, others.map(([start, end]) => ({ start, end }))));
	const whole: Array<[number, number]> = [[0x10000, 0x20000], [0x30000, 0x40000]];
	t.deepEqual(left(), whole);
	t.deepEqual(left([0x10000, 0x20000], [0x30000, 0x40000]), []);
	t.deepEqual(left([0, 0x50000]), []);
	t.deepEqual(left([0, 0x10000], [0x20000, 0x30000], [0x40000, 0x50000]), whole, 'neighbours cover nothing');
	t.deepEqual(left([0x14000, 0x18000]), [[0x10000, 0x14000], [0x18000, 0x20000], [0x30000, 0x40000]]);
	t.deepEqual(
		left([0x11000, 0x12000], [0x13000, 0x14000], [0x1f000, 0x31000]),
		[[0x10000, 0x11000], [0x12000, 0x13000], [0x14000, 0x1f000], [0x31000, 0x40000]]
	);
	t.deepEqual(left([0x10000, 0x18000], [0x14000, 0x16000], [0x18000, 0x40000]), [], 'overlapping ones');
});

test('uncovered: a part of a file begins later in it, a part of no file does not', (t) => {
	const file = { ...at(FILE, 0x10000, 0x20000), fileOffset: 0x5000 };
	t.deepEqual(
		uncovered([file], [{ start: 0x12000, end: 0x13000 }]).map(({ start, fileOffset }) => [start, fileOffset]),
		[[0x10000, 0x5000], [0x13000, 0x8000]]
	);
	t.deepEqual(
		uncovered([at(HEAP, 0x10000, 0x20000)], [{ start: 0x10000, end: 0x13000 }]).map(({ fileOffset }) => fileOffset),
		[0]
	);
});

test('uncovered: of tens of thousands of regions each is looked at a few times', (t) => {
	const all = Array.from({ length: 2000 }, (_, i): Region => at(HEAP, i * 0x2000, i * 0x2000 + 0x1000));
	let looks = 0;
	const others = all.map(({ start, end }) => ({ start, get end() { looks += 1; return end; } }));
	t.deepEqual(uncovered(all, others), []);
	t.true(looks < 20 * all.length, `${looks} looks`);
});
