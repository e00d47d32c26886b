import test from 'ava';
import { layOut } from '../../../acquire/evidence/core.ts';
import type { LiveTarget } from '../../../acquire/evidence/live.ts';
import { planHuge } from '../../../acquire/evidence/plan.ts';
import { CoreSource } from '../../../acquire/evidence/source.ts';
import type { Region } from '../../../common/proc/regions.ts';

const PAGE = 4096, START = 0x20_0000;

const huge: Region = {
	start: START, end: START + 4 * PAGE, readable: true, writable: true, executable: false, shared: false,
	fileOffset: 0, device: '00:0f', inode: 3n, name: '/anon_hugepage (deleted)', flags: new Set(['rd', 'wr', 'ht']),
};
const each = { region: huge, capture: 'frozen', from: 'duplicate' } as const;
const run = (first: number, end: number) => ({ start: START + first * PAGE, end: START + end * PAGE });

test('huge pages that the copy has not and the target has are to be read from the target', (t) => {
	const plan = (copy: Array<[number, number]>, target: Array<[number, number]> | null) =>
		planHuge(each, {
			ofCopy: () => copy.map(([a, b]) => run(a, b)),
			ofTarget: target === null ? null : () => target.map(([a, b]) => run(a, b)),
		}).map(({ region, capture, from, runs }) => [
			(region.start - START) / PAGE, (region.end - START) / PAGE, capture, from,
			runs.reduce((sum, { start, end }) => sum + end - start, 0) / PAGE,
		]);
	t.deepEqual(plan([[0, 4]], [[0, 4]]), [[0, 4, 'frozen', 'duplicate', 4]]);
	t.deepEqual(plan([[0, 4]], null), [[0, 4, 'frozen', 'duplicate', 4]]);
	t.deepEqual(plan([], [[0, 4]]), [[0, 4, 'private-live', 'target', 4]]);
	t.deepEqual(plan([[0, 1]], [[0, 3]]), [
		[0, 1, 'frozen', 'duplicate', 1], [1, 3, 'private-live', 'target', 2], [3, 4, 'frozen', 'duplicate', 0],
	]);
});

/** A core of these regions, of a duplicate that cannot be read. */
async function taken(region: Region): Promise<{ source: CoreSource; bytes: Buffer }> {
	const layout = layOut([{ region, runs: [run(0, 4)] }], Buffer.alloc(8));
	const target = {
		populated: (range: { start: number; end: number }) => [range],
		read: (room: Uint8Array, at: number, length: number) => {
			room.fill(0x74, at, at + length);
			return Promise.resolve(length);
		},
	} as unknown as LiveTarget;
	const source = await CoreSource.open(layout, ['duplicate'], [[]], {
		openMemory: () => Promise.resolve({
			read: () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })),
			close: () => Promise.resolve(),
		}),
	}, target);
	const bytes = Buffer.alloc(layout.bytes);
	await source.fill(bytes);
	await source.close();
	return { source, bytes: bytes.subarray(layout.contents[0]?.segments[0]?.offset) };
}

test('huge pages that the target took back before they were read are read from it; others are zeros', async (t) => {
	const { source, bytes } = await taken(huge);
	t.true(bytes.equals(Buffer.alloc(4 * PAGE, 0x74)));
	t.deepEqual(source.unreadable, []);
	t.is(source.takenBack.reduce((sum, { start, end }) => sum + end - start, 0), 4 * PAGE);
	const other = await taken({ ...huge, flags: new Set(['rd', 'wr']) });
	t.true(other.bytes.equals(Buffer.alloc(4 * PAGE)));
	t.deepEqual([other.source.unreadable, other.source.takenBack], [[{ ...run(0, 4), errno: 'EIO' }], []]);
});
