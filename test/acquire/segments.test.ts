/** A core has no more segments than its header can count, and the gaps filled for that are none of the target's. */
import test from 'ava';
import { layOut, type Content } from '../../acquire/evidence/core.ts';
import { parseRegions } from '../../common/proc/regions.ts';

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
		counts([scattered(2 ** 30, 30_000, 1, 'duplicate'), scattered(2 ** 35, 30_000, 9, 'duplicate')]),
		[30_000, 30_000]
	);
});

test('otherwise the smallest gaps are filled, those of the duplicate first', (t) => {
	t.deepEqual(
		counts([
			scattered(2 ** 30, 40_000, 1, 'duplicate'), scattered(2 ** 35, 30_000, 9, 'duplicate'),
			scattered(2 ** 40, 50, 1, 'target'),
		]),
		[1, 30_000, 50]
	);
	t.deepEqual(
		counts([scattered(2 ** 30, 40_000, 1, 'duplicate'), scattered(2 ** 35, 70_000, 9, 'duplicate')]), [1, 1]
	);
	t.deepEqual(
		counts([scattered(2 ** 30, 60_000, 1, 'target'), scattered(2 ** 35, 70_000, 9, 'duplicate')]), [60_000, 1]
	);
});

test('the target\'s gaps are filled only where there would be too many segments all the same', (t) => {
	t.deepEqual(counts([scattered(2 ** 30, 70_000, 1, 'target'), scattered(2 ** 40, 50, 1, 'duplicate')]), [1, 1]);
	t.deepEqual(counts([scattered(2 ** 30, 70_000, 1, 'target'), scattered(2 ** 40, 50, 9, 'target')]), [1, 50]);
});
