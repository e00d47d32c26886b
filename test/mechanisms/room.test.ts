/** Where a copy is kept that is no process. */
import test from 'ava';
import { placeFor } from '../../mechanisms/shared/room.ts';

const GIB = 2 ** 30;

test('a folder alone: there, whatever its size', (t) => {
	t.deepEqual(placeFor(100 * GIB, { folder: '/out' }, GIB), { folder: '/out', mostBytes: 0 });
});

test('in memory up to half of what is available, or to what is allowed', (t) => {
	t.deepEqual(placeFor(GIB, {}, 2 * GIB), { folder: '', mostBytes: GIB });
	t.deepEqual(placeFor(GIB, { memoryBytes: GIB }, 8 * GIB), { folder: '', mostBytes: GIB });
	t.deepEqual(
		placeFor(3 * GIB, { memoryBytes: 3 * GIB }, 4 * GIB), { folder: '', mostBytes: 3 * GIB }, 'more than half'
	);
});

test('above that, in the folder that is named beside it', (t) => {
	for (const memoryBytes of [GIB, 1])
		t.deepEqual(placeFor(GIB + 1, { memoryBytes, folder: '/spool' }, 8 * GIB), { folder: '/spool', mostBytes: 0 });
	t.deepEqual(placeFor(5, { memoryBytes: 5, folder: '/spool' }, 8 * GIB), { folder: '', mostBytes: 5 });
});

test('or refused, with what to do', (t) => {
	const end = ': name a folder on a disk for it (--spool DIR)';
	t.is(
		placeFor(GIB + 1, {}, 2 * GIB),
		`a copy of 1.0 GiB in memory is more than half of the 2.0 GiB that are available${end}`
	);
	t.is(
		placeFor(2 * GIB, { memoryBytes: GIB }, 8 * GIB),
		`a copy of 2.0 GiB in memory is more than the 1.0 GiB of memory that it may take (--memory)${end}`
	);
	t.is(
		placeFor(4 * GIB, { memoryBytes: 9 * GIB }, 3 * GIB),
		`a copy of 4.0 GiB in memory is more than the 3.0 GiB that are available${end}`
	);
});
