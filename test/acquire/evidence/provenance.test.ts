import test from 'ava';
import { classify, hiddenRegions, wantsFilePages, type Classified } from '../../../acquire/evidence/provenance.ts';
import { parseRegions, type Region } from '../../../acquire/evidence/regions.ts';

function region(permissions: string, { name = '', flags = '', at = 0x10000, inode = 0 } = {}): Region {
	const [found] = parseRegions(`${at.toString(16)}-${(at + 0x4000).toString(16)} ${permissions} 00000000 ${inode === 0 ? '00:00' : 'fe:00'} ${inode} ${name}\nVmFlags: ${flags}\n`);
	return found!;
}

const told = ({ capture, from }: Classified): string => `${capture}, ${from ?? 'nobody'}`;
const one = (duplicate: Region, forked = true): string => classify([duplicate], [], forked).map(told).join('; ');

test('of the duplicate: private memory is frozen, shared memory is not', (t) => {
	t.is(one(region('rw-p', { flags: 'rd wr mr mw me ac' })), 'frozen, duplicate');
	t.is(one(region('r-xp', { name: '/bin/x', inode: 3, flags: 'rd ex' })), 'frozen, duplicate');
	t.is(one(region('---p')), 'frozen, duplicate', 'what the process may not read, it has all the same');
	t.is(one(region('rw-s', { name: '/memfd:x (deleted)', inode: 3, flags: 'rd wr sh' })), 'shared-live, duplicate');
});

test('what fork() wipes is the target\'s; the kernel\'s own call does not wipe', (t) => {
	const wiped = region('rw-p', { flags: 'rd wr wf' });
	t.is(one(wiped, true), 'wiped-on-fork, target');
	t.is(one(wiped, false), 'frozen, duplicate');
});

test('devices and secrets are read by nobody, wherever they are found', (t) => {
	for (const device of [
		region('rw-s', { name: '/dev/nvidia0', inode: 3 }), region('rw-s', { name: '/anything', inode: 3, flags: 'rd wr sh io' }),
		region('r--p', { name: '[vvar]', flags: 'rd pf io dd' }), region('rw-p', { flags: 'pf' }), region('rw-p', { name: '/dev/mem', inode: 3, flags: 'wf' }),
	]) {
		t.is(one(device), 'device, nobody', device.name);
		t.is(one(device, false), 'device, nobody', device.name);
		t.deepEqual(classify([], [device], true).map(told), ['device, nobody'], 'hidden');
	}
	const secret = region('rw-s', { name: '/secretmem (deleted)', inode: 3 });
	t.is(one(secret), 'secret, nobody');
	t.deepEqual(classify([], [secret], true).map(told), ['secret, nobody']);
});

test('device files that are memory are memory', (t) => {
	t.is(one(region('rw-s', { name: '/dev/zero (deleted)', inode: 3 })), 'shared-live, duplicate');
	t.is(one(region('rw-s', { name: '/dev/shm/x', inode: 3 })), 'shared-live, duplicate');
	t.is(one(region('rw-p', { name: '/dev/hugepages/x', inode: 3 })), 'frozen, duplicate');
	t.is(one(region('rw-s', { name: '/dev/zeroes', inode: 3 })), 'device, nobody', 'another name');
	t.is(one(region('rw-s', { name: '/dev/shmem', inode: 3 })), 'device, nobody', 'another folder');
	t.is(one(region('rw-p', { name: '/home/dev/shm', inode: 3 })), 'frozen, duplicate');
});

test('hidden regions come from the target, and all are in order of address', (t) => {
	const all = classify([region('rw-p', { at: 0x10000 }), region('rw-p', { at: 0x30000 })], [region('rw-p', { at: 0x20000, flags: 'dc' }), region('rw-p', { at: 0x5000 })], true);
	t.deepEqual(all.map((each) => [each.region.start, told(each)]), [
		[0x5000, 'hidden-by-dontfork, target'], [0x10000, 'frozen, duplicate'], [0x20000, 'hidden-by-dontfork, target'], [0x30000, 'frozen, duplicate'],
	]);
});

const spans = (...parts: Array<[number, number]>): Region[] => parts.map(([start, end]) => ({ ...region('rw-p'), start, end }));
const hidden = (before: Region[], after: Region[], duplicate: Region[]): Array<[number, number]> => hiddenRegions(before, after, duplicate).map(({ start, end }) => [start, end]);

test('hidden is what the target had before and after, and the duplicate has not', (t) => {
	const target = spans([0x1000, 0x5000], [0x8000, 0x9000]);
	t.deepEqual(hidden(target, target, target), []);
	t.deepEqual(hidden(target, target, spans([0x1000, 0x5000])), [[0x8000, 0x9000]]);
	t.deepEqual(hidden(target, target, spans([0x1000, 0x2000], [0x4000, 0x5000], [0x8000, 0x9000])), [[0x2000, 0x4000]], 'the middle of a region');
	t.deepEqual(hidden(target, target, []), [[0x1000, 0x5000], [0x8000, 0x9000]]);
});

test('what was mapped or unmapped meanwhile was hidden by nobody', (t) => {
	const always = spans([0x1000, 0x5000]), more = spans([0x1000, 0x5000], [0x8000, 0x9000]);
	t.deepEqual(hidden(always, more, always), [], 'mapped after the moment');
	t.deepEqual(hidden(more, always, always), [], 'unmapped before it');
	t.deepEqual(hidden(always, always, more), [], 'mapped before it and unmapped after');
	t.deepEqual(hidden(more, spans([0x1000, 0x5000], [0x8800, 0x9000]), always), [[0x8800, 0x9000]], 'a part of it unmapped');
	t.deepEqual(hidden(spans([0x1000, 0x3000], [0x3000, 0x5000]), always, []), [[0x1000, 0x3000], [0x3000, 0x5000]], 'two that were merged');
});

test('a file\'s own pages: code, and what no path leads to', (t) => {
	t.true(wantsFilePages(region('r-xp', { name: '/bin/x', inode: 3 })));
	t.true(wantsFilePages(region('rw-p', { name: '/tmp/x (deleted)', inode: 3 })));
	t.false(wantsFilePages(region('r--p', { name: '/bin/x', inode: 3 })));
	t.false(wantsFilePages(region('r-xp', { name: '[vdso]' })), 'no file');
});
