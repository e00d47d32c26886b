import test from 'ava';
import { layOut } from '../../../acquire/evidence/core.ts';
import type { Manifest } from '../../../acquire/evidence/manifest.ts';
import type { Planned } from '../../../acquire/evidence/plan.ts';
import { takenBackTexts } from '../../../acquire/texts.ts';
import { manifestText, recordRegions } from '../../../acquire/evidence/records.ts';
import { parseRegions } from '../../../common/proc/regions.ts';

const PAGE = 4096;

/** So many regions of two pages, with a page between. */
function planned(count: number): Planned[] {
	const [one] = parseRegions('1000-3000 rw-p 00000000 00:00 0 a "\\n\t" name\n');
	return Array.from({ length: count }, (_, i) => {
		const start = 2 ** 40 + 3 * PAGE * i, region = { ...one!, start, end: start + 2 * PAGE };
		return { region, capture: 'frozen', from: 'duplicate', runs: [{ start, end: region.end }] };
	});
}

const recorded = (
	regions: Planned[], unreadable: Array<{ start: number; end: number; errno: string }>,
	takenBack: Array<{ start: number; end: number }> = []
) =>
	recordRegions(
		regions, layOut(regions, Buffer.alloc(0)), { times: [], unreadable, takenBack },
		Buffer.alloc(32 * regions.length)
	);

test('what could not be read is listed with its region, in whichever order it was found', async (t) => {
	const regions = planned(4), at = (region: number, page: number) => 2 ** 40 + (3 * region + page) * PAGE;
	const records = await recorded(regions, [
		{ start: at(3, 0), end: at(3, 2), errno: 'ESRCH' }, { start: at(0, 1), end: at(1, 1), errno: 'EIO' },
		{ start: at(1, 1), end: at(1, 2), errno: 'ENODATA' },
	]);
	t.deepEqual(records.map(({ unreadable, capture }) => [
		capture, ...unreadable.map(({ start, bytes, errno }) => [Number(start), bytes, errno]),
	]), [
		['frozen', [at(0, 1), PAGE, 'EIO']],
		['unreadable', [at(1, 0), PAGE, 'EIO'], [at(1, 1), PAGE, 'ENODATA']],
		['frozen'],
		['unreadable', [at(3, 0), 2 * PAGE, 'ESRCH']],
	]);
	t.is(records[0]?.start, '0x10000000000');
});

test('huge pages that were taken back: these parts are named; where all were it is private-live', async (t) => {
	const regions = planned(3), at = (region: number, page: number) => 2 ** 40 + (3 * region + page) * PAGE;
	const records = await recorded(regions, [], [
		{ start: at(1, 1), end: at(1, 2) }, { start: at(2, 1), end: at(2, 2) }, { start: at(2, 0), end: at(2, 1) },
	]);
	t.deepEqual(records.map(({ capture, readFrom, takenBack }) => [capture, readFrom, takenBack]), [
		['frozen', 'duplicate', undefined],
		['frozen', 'duplicate', [{ start: `0x${at(1, 1).toString(16)}`, bytes: PAGE }]],
		['private-live', 'target', undefined],
	]);
	t.regex(takenBackTexts(records).join('|'), /^4\S*.K\S+ of frozen regions are later than the moment: [^|]*$/);
	t.deepEqual(takenBackTexts([records[0]!, records[2]!]), []);
});

test('regions and unreadable parts are no square: 32 times as many take about 32 times as long', async (t) => {
	const ms = async (count: number): Promise<number> => {
		const regions = planned(count), before = process.cpuUsage();
		const found = await recorded(regions, regions.map(({ region: { start } }) =>
			({ start, end: start + PAGE, errno: 'EIO' })));
		const { user, system } = process.cpuUsage(before);
		t.true(found.every(({ unreadable }) => unreadable.length === 1));
		return (user + system) / 1000;
	};
	await ms(2000);
	const [few, many] = [await ms(1000), await ms(32_000)];
	t.true(many < 120 * few, `${few} ms for 1,000, ${many} ms for 32,000`);
});

test('a manifest\'s text is its JSON, a region a line', async (t) => {
	for (const count of [0, 1, 2, 1700]) {
		const regions = await recorded(planned(count), []);
		const manifest = {
			schemaVersion: 5, target: { command: '\n\t"regions": []', regions: [] }, regions, core: { regions: [] },
		} as unknown as Manifest;
		const text = (await manifestText(manifest)).toString();
		t.deepEqual(JSON.parse(text), manifest, `${count} regions`);
		t.is(text.split('\n').filter((line) => line.startsWith('\t\t{"start":"0x100')).length, count);
		t.true(text.endsWith('\n}\n') && text.startsWith('{\n\t"schemaVersion": 5,\n\t"target": {\n\t\t"command"'));
	}
});
