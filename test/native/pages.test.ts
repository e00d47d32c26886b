/** Where a process has pages, and a file data: the same by PAGEMAP_SCAN and entry by entry. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../common/errors.ts';
import { PageMap, populatedRuns, unionOf, type Which } from '../../common/proc/pagemap.ts';
import { parseRegions } from '../../common/proc/regions.ts';
import { addon } from '../../native/addon.ts';
import { errnoName } from '../../native/error.ts';
import { pagesOf, partsOf } from '../../native/index.ts';
import { startTarget, temporaryFolder } from '../acquire/help.ts';
import { program, start } from './help.ts';

const PAGE = 4096;
const WHICH: Which[] = ['all', 'own', 'resident'];

for (const [kind, count] of [['regions', 500], ['private', 16], ['guard', 16], ['shared', 16]] as const) {
	test(`pages of a process (${kind}): by a scan, by their entries, and region by region`, async (t) => {
		const { pid, process: target } = await startTarget(t, 'plenty', kind, count);
		const regions = parseRegions(readFileSync(`/proc/${pid}/maps`, 'utf8'));
		const fd = openSync(`/proc/${pid}/pagemap`, 'r');
		t.teardown(() => closeSync(fd));
		const [scanned, read] = [await pagesOf(fd, regions), await pagesOf(fd, regions, { scan: false })];
		for (const region of regions) {
			for (const which of WHICH) {
				const expected = populatedRuns(fd, region, which), where = `${which}, ${region.name}`;
				t.deepEqual(scanned.in(region, which), expected, where);
				t.deepEqual(read.in(region, which), expected, where);
			}
		}
		const gone = new AbortController();
		gone.abort();
		await t.throwsAsync(pagesOf(fd, regions, { signal: gone.signal }), { name: 'AbortError' });
		target.kill('SIGKILL');
		await new Promise((resolve) => target.once('exit', resolve));
		for (const scan of [true, false])
			await t.throwsAsync(pagesOf(fd, regions, { scan }), { instanceOf: Failure, message: /ended while/ });
	});
}

test('a look that finds more runs than the kernel keeps at a time has come behind all that it has found', (t) => {
	t.regex(execFileSync(program('scanned'), { encoding: 'utf8' }), /^(?:ok|not here)$/m);
});

test('one look at a live process walks no more of its addresses than it may have pages', async (t) => {
	const target = await start(t, 'left-out', 'plain', PAGE), from = target.number(1) - 2 ** 40, mostPages = 1 << 15;
	const fd = openSync(`/proc/${target.pid}/pagemap`, 'r');
	t.teardown(() => closeSync(fd));
	// No time is left, so that there is one look alone; what lies below the process's memory is empty.
	const { code, walked } = await addon().scanPages(fd, from, from + 2 ** 40, mostPages, 0);
	t.log(code === 0 ? `${(walked - from) / PAGE} pages` : `not here: ${errnoName(code)}`);
	t.true(code !== 0 || walked === from + mostPages * PAGE);
});

test('nothing is asked of no range', async (t) => {
	t.deepEqual((await pagesOf(-1, [])).in({ start: 0, end: 2 ** 47 }, 'all'), []);
	await t.throwsAsync(pagesOf(-1, [{ start: 0, end: PAGE }]), { code: 'EBADF' });
});

test('the parts of a file that are no holes', async (t) => {
	const fd = openSync(join(temporaryFolder(t), 'file'), 'w+');
	t.teardown(() => closeSync(fd));
	const mib = 1 << 20;
	ftruncateSync(fd, 64 * mib);
	for (const at of [0, 8 * mib, 63 * mib]) writeSync(fd, Buffer.alloc(mib, 'd'), 0, mib, at);
	const parts = (start: number, end: number) => partsOf(fd, { start, end });
	t.deepEqual(await parts(0, 64 * mib), [[0, 1], [8, 9], [63, 64]].map(([from, to]) =>
		({ start: from! * mib, end: to! * mib })));
	t.deepEqual(await parts(8.5 * mib, 63.5 * mib), [
		{ start: 8.5 * mib, end: 9 * mib }, { start: 63 * mib, end: 63.5 * mib },
	]);
	t.deepEqual(await parts(2 * mib, 8 * mib), []);
	const zero = openSync('/dev/zero', 'r');
	t.teardown(() => closeSync(zero));
	await t.throwsAsync(partsOf(zero, { start: PAGE, end: 2 * PAGE }), { code: 'EINVAL' });
});

test('many of the kernel\'s zeros are no memory, and a few are', (t) => {
	const [file, present, swapped, zero] = [1 << 2, 1 << 3, 1 << 4, 1 << 5], mib = 1 << 20;
	const map = new PageMap([
		Float64Array.of(0, mib, present | zero, mib, 2 * mib, present, 2 * mib, 4 * mib, present | zero),
		Float64Array.of(4 * mib, 5 * mib, swapped, 5 * mib, 6 * mib, present | file, 8 * mib, 9 * mib, swapped | file),
	]);
	const all = { start: 0, end: 2 ** 40 };
	t.deepEqual(map.in(all, 'own'), [{ start: 0, end: 2 * mib }, { start: 4 * mib, end: 5 * mib }]);
	t.deepEqual(map.in(all, 'resident'), [{ start: 0, end: 2 * mib }, { start: 5 * mib, end: 6 * mib }]);
	t.deepEqual(map.in({ start: mib, end: 8 * mib + PAGE }, 'all'), [
		{ start: mib, end: 2 * mib }, { start: 4 * mib, end: 6 * mib }, { start: 8 * mib, end: 8 * mib + PAGE },
	]);
	t.deepEqual(map.in({ start: 3 * mib, end: 3 * mib + PAGE }, 'own'), [], 'of a long run, whatever part');
});

test('what is in one of two lists of runs, or in both', (t) => {
	const runs = (...pairs: Array<[number, number]>) => pairs.map(([start, end]) => ({ start, end }));
	t.deepEqual(unionOf(runs([0, 2], [8, 9]), runs([1, 4], [4, 5], [20, 21])), runs([0, 5], [8, 9], [20, 21]));
	t.deepEqual(unionOf(runs([0, 20]), runs([1, 4], [30, 31])), runs([0, 20], [30, 31]));
	t.deepEqual(unionOf([], runs([1, 2])), runs([1, 2]));
});
