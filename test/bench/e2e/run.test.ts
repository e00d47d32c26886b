/** A whole smoke run through the command line: what the README promises of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Block } from '../../../bench/types.ts';
import { leftOver } from '../../processes.ts';
import { aFolder, run } from './procsnap.ts';

function filesOf(dir: string): Record<string, string> {
	return Object.fromEntries(readdirSync(dir, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) =>
			[
				join(entry.parentPath, entry.name).slice(dir.length + 1),
				readFileSync(join(entry.parentPath, entry.name), 'latin1'),
			]));
}

test('a smoke run has the paper\'s tables and figures, and report makes them again byte for byte', async (t) => {
	const dir = join(aFolder(t), 'run');
	const { code, output, mark } = await run([
		'bench', '--environment', 'host', '--profile', 'smoke', '--seed', '7', '--out', dir,
	]);
	t.is(code, 0, output);
	t.deepEqual(await leftOver(mark), []);
	const files = filesOf(dir);
	for (const table of [4, 5, 6, 7, 8, 9]) {
		t.true(`tables/table-${table}.csv` in files && `tables/table-${table}.md` in files, `table ${table}`);
		t.regex(output, new RegExp(`^Table ${table}: `, 'm'));
		t.notRegex(files[`tables/table-${table}.csv`] ?? '', /not measured/);
	}
	for (const chart of ['figure-4', 'integrity', 'clone-kill', 'read', 'copy-on-write']) {
		t.true(`charts/${chart}.svg` in files && (files[`charts/${chart}.png`]?.length ?? 0) > 5000, chart);
	}
	t.true(output.trimEnd().endsWith(`Report: ${join(dir, 'report.html')}`));
	const page = files['report.html'] ?? '';
	t.regex(page, /Figure 3: the same memory of original and duplicate/);
	t.notRegex(page, /(src|href)="(https?:)?\/\//, 'the page needs a network');

	const again = await run(['report', dir]);
	t.is(again.code, 0, again.output);
	t.deepEqual(filesOf(dir), files);
});

test('the same seed gives the same order, and integrity holds where it must and fails where it must', async (t) => {
	const folder = aFolder(t);
	const orders: Block[][] = [];
	for (const name of ['a', 'b']) {
		const { code, output } = await run([
			'bench', '--environment', 'host', '--profile', 'smoke', '--experiment', 'integrity', '--seed', '11',
			'--out', join(folder, name),
		]);
		t.is(code, 0, output);
		const [, ...lines] = readFileSync(join(folder, name, 'samples.jsonl'), 'utf8').trim().split('\n');
		const blocks = lines.map((line) => JSON.parse(line) as Block);
		// Which are repeated is the machine's doing.
		orders.push(blocks.filter(({ repeats }) => repeats === undefined));
	}
	t.deepEqual(orders[0]?.map(({ variant }) => variant), orders[1]?.map(({ variant }) => variant));
	for (const { factors, samples } of orders.flat()) {
		if (factors.target === 'bash') t.true(samples.differingBytes?.every((bytes) => bytes === 0));
		else if (factors.mechanism !== 'none') t.true(samples.tornCopies?.every((torn) => torn === 0));
	}
	const control = orders.flat().filter(({ factors }) => factors.mechanism === 'none')
		.flatMap(({ samples }) => samples.tornCopies);
	t.true(control.includes(1), 'the control did not fail: the check cannot');
});
