import test from 'ava';
import {
	classify, missingRegions, wantsFilePages, wantsUnchangedPages, wipedAndGone, type Classified,
} from '../../../acquire/evidence/provenance.ts';
import { parseRegions, type Region } from '../../../common/proc/regions.ts';

interface Given { name?: string; flags?: string; at?: number; inode?: number; kind?: Region['fileKind'] }

function region(permissions: string, { name = '', flags = '', at = 0x10000, inode = 0, kind }: Given = {}): Region {
	const [found] =
		parseRegions(
			`${at.toString(16)}-${(at + 0x4000).toString(16)} ${permissions} 00000000 ` +
				`${inode === 0 ? '00:00' : 'fe:00'} ${inode} ${name}\nVmFlags: ${flags}\n`
		);
	return kind === undefined ? found! : { ...found!, fileKind: kind };
}

const told = ({ capture, from }: Classified): string => `${capture}, ${from ?? 'nobody'}`;
const one = (duplicate: Region, forked = true): string => classify([duplicate], [], forked).map(told).join('; ');

test('of the duplicate: private memory is frozen, shared memory is not', (t) => {
	t.is(one(region('rw-p', { flags: 'rd wr mr mw me ac' })), 'frozen, duplicate');
	t.is(one(region('r-xp', { name: '/bin/x', inode: 3, flags: 'rd ex' })), 'frozen, duplicate');
	t.is(one(region('---p')), 'frozen, duplicate', 'what the process may not read, it has all the same');
});

test('shared memory is read from the target where the duplicate was made as by fork(), which is given none', (t) => {
	const shared = region('rw-s', { name: '/memfd:x (deleted)', inode: 3, flags: 'rd wr sh' });
	t.is(one(shared), 'shared-live, target');
	t.deepEqual(classify([], [shared], true).map(told), ['shared-live, target'], 'absent');
	t.is(one(shared, false), 'shared-live, duplicate');
});

test('of what is absent, only the flag of MADV_DONTFORK says that it is hidden', (t) => {
	for (const [permissions, flags, expected] of [
		['rw-p', 'rd wr dc', 'hidden-by-dontfork'], ['rw-s', 'rd wr sh dc', 'hidden-by-dontfork'],
		['rw-s', 'rd wr sh', 'shared-live'],
		['rw-p', 'rd wr', 'private-live'], ['r--s', 'rd sh', 'shared-live'],
	] as const) {
		t.deepEqual(
			classify([], [region(permissions, { name: '/srv/data', inode: 3, flags })], true).map(told),
			[`${expected}, target`], `${permissions} ${flags}`
		);
	}
});

test('what cannot be read any more is unreadable, and what never is read is called by its name', (t) => {
	const all = classify(
		[], [], true,
		[
			{ region: region('rw-s', { name: '/dev/shm/x', inode: 3 }), errno: 'ESRCH' },
			{ region: region('rw-s', { at: 0x20000, name: '/dev/nvidia0', inode: 3, kind: 'device' }), errno: 'ESRCH' },
		]
	);
	t.deepEqual(
		all.map((each) => [told(each), each.lost]), [['unreadable, target', 'ESRCH'], ['device, nobody', undefined]]
	);
});

test('what fork() wipes is the target\'s; the kernel\'s own call does not wipe', (t) => {
	const wiped = region('rw-p', { flags: 'rd wr wf' });
	t.is(one(wiped, true), 'wiped-on-fork, target');
	t.is(one(wiped, false), 'frozen, duplicate');
});

test('devices and secrets are read by nobody, wherever they are found', (t) => {
	for (const device of [
		region('rw-s', { name: '/dev/nvidia0', inode: 3, kind: 'device' }),
		region('rw-s', { name: '/srv/a', inode: 3, kind: 'device' }),
		region('rw-s', { name: '/anything', inode: 3, flags: 'rd wr sh io' }),
		region('r--p', { name: '[vvar]', flags: 'rd pf io dd' }), region('rw-p', { flags: 'pf' }),
		region('rw-p', { name: '/dev/mem', inode: 3, flags: 'wf pf', kind: 'device' }),
		region('rw-s', { name: 'anon_inode:[perf_event]', inode: 3 }), region('rw-s', { name: 'socket:[7]', inode: 3 }),
	]) {
		t.is(one(device), 'device, nobody', device.name);
		t.is(one(device, false), 'device, nobody', device.name);
		t.deepEqual(classify([], [device], true).map(told), ['device, nobody'], 'hidden');
	}
	const secret = region('rw-s', { name: '/secretmem (deleted)', inode: 3, kind: 'secret' });
	t.is(one(secret), 'secret, nobody');
	t.deepEqual(classify([], [secret], true).map(told), ['secret, nobody']);
});

test('a name says nothing: what is no device is memory, and so are private pages of a device', (t) => {
	for (const name of [
		'/dev/evil.so', '/dev/zero (deleted)', '/dev/shm/x', '/secretmem', '/secretmem (deleted)', '/secretmem.so',
		'/anon_inode:[x]', '/socket:[7]',
	]) {
		t.is(one(region('rw-s', { name, inode: 3 })), 'shared-live, target', name);
		t.is(one(region('rwxp', { name, inode: 3 })), 'frozen, duplicate', name);
		t.is(one(region('rw-s', { name, inode: 3, kind: 'other' })), 'shared-live, target', name);
	}
	t.is(one(region('rwxp', { name: '/dev/zero', inode: 3, kind: 'device' })), 'frozen, duplicate');
	t.false(wantsFilePages(region('rwxp', { name: '/dev/zero (deleted)', inode: 3, kind: 'device' })));
});

test('absent regions come from the target, and all are in order of address', (t) => {
	const all = classify(
		[region('rw-p', { at: 0x10000 }), region('rw-p', { at: 0x30000 })],
		[region('rw-p', { at: 0x20000, flags: 'dc' }), region('rw-p', { at: 0x5000, flags: 'dc' })], true
	);
	t.deepEqual(all.map((each) => [each.region.start, told(each)]), [
		[0x5000, 'hidden-by-dontfork, target'], [0x10000, 'frozen, duplicate'],
		[0x20000, 'hidden-by-dontfork, target'], [0x30000, 'frozen, duplicate'],
	]);
});

const spans = (...parts: Array<[number, number]>): Region[] =>
	parts.map(([start, end]) => ({ ...region('rw-p'), start, end }));
const shared = (...parts: Array<[number, number]>): Region[] =>
	spans(...parts).map((each) => ({ ...each, shared: true }));
type Spans = Array<[number, number]>;

/** What is absent, and what is lost; flags are those of `after`. */
function missing(
	before: Region[], after: Region[] | null, duplicate: Region[], known: Region[] | null = after
): { absent: Spans; lost: Array<[number, number, string]> } {
	const { absent, lost } = missingRegions(before, after, duplicate, () => known);
	return {
		absent: absent.map(({ start, end }) => [start, end]),
		lost: lost.map(({ region: { start, end }, errno }) => [start, end, errno]),
	};
}

const hidden = (before: Region[], after: Region[], duplicate: Region[]): Spans =>
	missing(before, after, duplicate).absent;

test('missing is what the target had before and after, and the duplicate has not', (t) => {
	const target = spans([0x1000, 0x5000], [0x8000, 0x9000]);
	t.deepEqual(hidden(target, target, target), []);
	t.deepEqual(hidden(target, target, spans([0x1000, 0x5000])), [[0x8000, 0x9000]]);
	t.deepEqual(
		hidden(target, target, spans([0x1000, 0x2000], [0x4000, 0x5000], [0x8000, 0x9000])), [[0x2000, 0x4000]],
		'the middle of a region'
	);
	t.deepEqual(hidden(target, target, []), [[0x1000, 0x5000], [0x8000, 0x9000]]);
});

test('what was mapped or unmapped meanwhile was hidden by nobody', (t) => {
	const always = spans([0x1000, 0x5000]), more = spans([0x1000, 0x5000], [0x8000, 0x9000]);
	t.deepEqual(hidden(always, more, always), [], 'mapped after the moment');
	t.deepEqual(hidden(more, always, always), [], 'unmapped before it');
	t.deepEqual(hidden(always, always, more), [], 'mapped before it and unmapped after');
	t.deepEqual(
		hidden(more, spans([0x1000, 0x5000], [0x8800, 0x9000]), always), [[0x8800, 0x9000]], 'a part of it unmapped'
	);
	t.deepEqual(
		hidden(spans([0x1000, 0x3000], [0x3000, 0x5000]), always, []), [[0x1000, 0x3000], [0x3000, 0x5000]],
		'two that were merged'
	);
	t.deepEqual(
		hidden(always, spans([0x1000, 0x3000], [0x3000, 0x5000]), []), [[0x1000, 0x3000], [0x3000, 0x5000]],
		'one that was split, each part with its own flags'
	);
});

test('shared memory that was given up before it could be read is lost, and named; nothing else is', (t) => {
	const always = spans([0x1000, 0x5000]), segment = shared([0x8000, 0xa000]);
	const before = [...always, ...segment];
	t.deepEqual(missing(before, always, always), { absent: [], lost: [[0x8000, 0xa000, 'ENODATA']] });
	t.deepEqual(
		missing(before, [...always, ...shared([0x8000, 0x9000])], always),
		{ absent: [[0x8000, 0x9000]], lost: [[0x9000, 0xa000, 'ENODATA']] }
	);
	t.deepEqual(
		missing(before, before, always, always), { absent: [], lost: [[0x8000, 0xa000, 'ENODATA']] },
		'given up between two looks'
	);
	t.deepEqual(
		missing([...always, ...spans([0x8000, 0x9000])], always, always).lost, [], 'private memory that was unmapped'
	);
});

test('of a target that has ended all that the duplicate has not is lost', (t) => {
	const always = spans([0x1000, 0x5000]), before = [...always, ...shared([0x8000, 0xa000])];
	t.deepEqual(missing(before, null, always), { absent: [], lost: [[0x8000, 0xa000, 'ESRCH']] });
	t.deepEqual(
		missing(before, before, always, null), { absent: [], lost: [[0x8000, 0xa000, 'ESRCH']] }, 'between two looks'
	);
});

test('the target\'s page tables are walked only where something is missing', (t) => {
	const all = spans([0x1000, 0x5000]);
	missingRegions(all, all, all, () => t.fail());
	missingRegions(spans([0x1000, 0x5000], [0x8000, 0x9000]), all, all, () => t.fail());
	t.pass();
});

test('a file\'s own pages: code, and what no path leads to', (t) => {
	t.true(wantsFilePages(region('r-xp', { name: '/bin/x', inode: 3 })));
	t.true(wantsFilePages(region('rw-p', { name: '/tmp/x (deleted)', inode: 3 })));
	t.false(wantsFilePages(region('r--p', { name: '/bin/x', inode: 3 })));
	t.false(wantsFilePages(region('r-xp', { name: '[vdso]' })), 'no file');
});

test('what a fork has left out and is elsewhere by now, or replaced, is lost, and called so', (t) => {
	const always = spans([0x1000, 0x5000]), dc = new Set(['dc']);
	const left = spans([0x8000, 0xa000]).map((each) => ({ ...each, flags: dc }));
	const look = (after: Region[], known = after) => missingRegions(always, after, always, () => known, left);
	const found = ({ absent, lost }: ReturnType<typeof look>): Spans[] =>
		[absent, lost.map((each) => each.region)].map((some) => some.map(({ start, end }) => [start, end]));
	t.deepEqual(found(look([...always, ...left])), [[[0x8000, 0xa000]], []], 'at rest');
	t.deepEqual(found(look(always)), [[], [[0x8000, 0xa000]]], 'elsewhere');
	t.deepEqual(found(look([...always, ...left], always)), [[], [[0x8000, 0xa000]]], 'gone between two looks');
	t.deepEqual(
		found(look([...always, ...spans([0x8000, 0xa000])])), [[], [[0x8000, 0xa000]]], 'something else is there'
	);
	t.deepEqual(
		classify([], [], true, look(always).lost).map((each) => [told(each), each.lost]),
		[['hidden-by-dontfork, target', 'ENODATA']]
	);
});

test('what a fork has wiped and the target has not there any more is lost', (t) => {
	const wiped = { ...region('rw-p', { flags: 'rd wr wf' }) };
	t.deepEqual(wipedAndGone([wiped], [wiped]), []);
	t.deepEqual(wipedAndGone([wiped], null), [], 'it has ended: reading it says so');
	t.deepEqual(wipedAndGone([wiped, region('rw-p')], []), [wiped]);
	t.deepEqual(wipedAndGone([wiped], [region('rw-p', { name: '/x', inode: 3 })]), [wiped], 'a file is there');
	t.deepEqual(
		classify([], [], true, [{ region: wiped, errno: 'ENODATA' }]).map(told), ['wiped-on-fork, target']
	);
});

test('unchanged pages that the kernel would dump', (t) => {
	const file = region('rw-p', { name: '/lib/x.so', inode: 3, flags: 'rd wr' });
	const wants = (coredumpFilter: number | null, changed: boolean, what = file, onlyPrivate = false): boolean =>
		wantsUnchangedPages(what, changed, { coredumpFilter, onlyPrivate });
	t.deepEqual([wants(0x33, true), wants(null, true)], [true, true]);
	t.deepEqual([wants(0x33, false), wants(null, false)], [false, false]);
	t.deepEqual([wants(0x32, true), wants(0x36, false), wants(4, false)], [false, true, true]);
	t.false(wants(0xff, true, file, true), 'a choice');
	t.false(wants(0xff, true, region('rw-p', { name: '/x', inode: 3, flags: 'dd' })), 'MADV_DONTDUMP');
	t.false(wants(0xff, true, region('rw-p')), 'no file');
	t.false(wants(0xff, true, region('rw-s', { name: '/x', inode: 3 })));
	t.false(wants(0xff, true, region('rw-p', { name: '/dev/zero', inode: 3, kind: 'device' })));
});
