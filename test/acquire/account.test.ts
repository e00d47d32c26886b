/** What could not be read, and what could not be written, in one list. */
import test from 'ava';
import { incompleteOf, missing } from '../../acquire/account.ts';
import { layOut } from '../../acquire/evidence/core.ts';
import { parseRegions } from '../../common/proc/regions.ts';

const PAGE = 4096, START = 0x10000;
const region = parseRegions('10000-1a000 rw-p 00000000 00:00 0 \n')[0]!;
const layout = layOut([{ region, runs: [{ start: START, end: START + 10 * PAGE }] }], Buffer.alloc(0));
const offset = layout.contents[0]!.segments[0]!.offset;
const pages = (first: number, end: number, errno: string) =>
	({ start: START + first * PAGE, end: START + end * PAGE, errno });
const cutAt = (page: number) => ({ at: offset + page * PAGE, reason: 'full', sinceNs: 7 });

test('a cut takes nothing away from what was unreadable before it', (t) => {
	t.deepEqual(missing([pages(1, 3, 'EIO')], layout, null), [pages(1, 3, 'EIO')]);
	t.deepEqual(missing([pages(1, 3, 'EIO')], layout, cutAt(6)), [pages(1, 3, 'EIO'), pages(6, 10, 'ENOSPC')]);
	t.deepEqual(missing([pages(4, 8, 'ESRCH')], layout, cutAt(6)), [pages(4, 6, 'ESRCH'), pages(6, 10, 'ENOSPC')]);
	t.deepEqual(missing([pages(7, 9, 'ESRCH')], layout, cutAt(6)), [pages(6, 10, 'ENOSPC')]);
	t.deepEqual(missing([], layout, { ...cutAt(0), at: 0 }), [pages(0, 10, 'ENOSPC')]);
});

test('why evidence is partial: the disk, then the guard of memory, then the end of the target', (t) => {
	const lost = { sinceNs: 3, bytes: 9 };
	const end = (early: string | null, endedEarly: string | null) =>
		({ early, endedEarly, endFailed: null }) as Parameters<typeof incompleteOf>[1];
	t.is(incompleteOf({ lost: null }, end(null, null), null, 100), null);
	t.deepEqual(
		incompleteOf({ lost }, end('with the target', 'memory'), null, 100),
		{ reason: 'memory', missingBytes: 9, sinceNs: 3 }
	);
	t.is(incompleteOf({ lost }, end('with the target', null), null, 100)?.reason, 'with the target');
	t.regex(incompleteOf({ lost }, end(null, null), null, 100)?.reason ?? '', /something else than procsnap/);
	t.deepEqual(
		incompleteOf({ lost }, end(null, null), { at: 60, reason: 'full', sinceNs: 7 }, 100),
		{ reason: 'full', missingBytes: 40, sinceNs: 7 }
	);
});
