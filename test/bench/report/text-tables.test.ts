import test from 'ava';
import { tableToCsv } from '../../../bench/report/csv.ts';
import { tableToMarkdown } from '../../../bench/report/markdown.ts';
import { tableToTerminal } from '../../../bench/report/terminal.ts';
import type { Table } from '../../../bench/types.ts';
import { table } from './sample.ts';

const texts = (values: string[]): Table =>
	({
		name: 'x', title: 'x', columns: [{ key: 'a', title: 'a' }, { key: 'n', title: 'n', unit: 'ns' }],
		rows: values.map((a) => ({ a, n: -1.25 })), notes: [],
	});
const plain = (text: string) => text.replace(/\u001b\[\d+m/g, '');

test('CSV has raw numbers, the unit in the heading and says what was not measured', (t) => {
	t.is(tableToCsv(table), [
		'mechanism,clone (us),kill (us),paper: clone (us)',
		'inject,38.25,1204.5,42.24',
		'syscall,not measured,not measured,',
		'',
	].join('\n'));
});

test('CSV keeps text from being taken for a formula, and negative numbers numbers', (t) => {
	const lines = tableToCsv(texts(['=1+1', '+1', '-1', '@x', '\tx', 'a=b'])).trimEnd().split('\n').slice(1);
	t.deepEqual(lines, ["'=1+1,-1.25", "'+1,-1.25", "'-1,-1.25", "'@x,-1.25", "'\tx,-1.25", 'a=b,-1.25']);
});

test('CSV quotes commas, quotes and newlines', (t) => {
	t.true(tableToCsv(texts(['a,b'])).includes('"a,b",-1.25'));
	t.true(tableToCsv(texts(['a"b\nc'])).includes('"a""b\nc",-1.25'));
});

test('Markdown aligns numbers, sets the paper’s apart and has the notes', (t) => {
	t.is(tableToMarkdown(table), `**Table 5. Time to duplicate and to kill**

| mechanism | clone (µs) | kill (µs) | *paper: clone (µs)* |
| :--- | ---: | ---: | ---: |
| inject | 38.25 | 1,205 | *42.24* |
| syscall | not measured | not measured | *–* |

- A note.
`);
});

test('Markdown shows markup as it is and keeps a row one row', (t) => {
	const markdown = tableToMarkdown(texts(['a|b\nc<img src=x>*_`']));
	t.true(markdown.includes('| a\\|b c\\<img src=x\\>\\*\\_\\` | -1.3 |'), markdown);
});

test('the terminal’s table is aligned', (t) => {
	t.is(tableToTerminal(table, { width: 80 }), `Table 5. Time to duplicate and to kill

                                       paper
                  clone          kill  clone
mechanism            µs            µs     µs
─────────  ────────────  ────────────  ─────
inject            38.25         1,205  42.24
syscall    not measured  not measured      –

* A note.
`);
});

test('no line is wider than the terminal, and every column is there', (t) => {
	const columns = Array.from(
		{ length: 20 }, (_, i) => ({ key: `c${i}`, title: `quantity number ${i}`, unit: 'us' as const, paper: i > 12 })
	);
	const row = Object.fromEntries(columns.map(({ key }, i) => [key, 1000 + i]));
	const wide: Table = {
		name: 'wide', title: 'A wide table '.repeat(12), columns, rows: [row, row], notes: ['A long note. '.repeat(20)],
	};
	for (const width of [80, 100, 120]) {
		const lines = tableToTerminal(wide, { width }).split('\n');
		t.true(lines.every((line) => [...line].length <= width), `${width}`);
		for (let i = 0; i < 20; i++) {
			t.true(lines.some((line) => line.includes(`1,0${String(i).padStart(2, '0')}`)));
		}
	}
});

test('colour only dims the paper’s columns', (t) => {
	const coloured = tableToTerminal(table, { width: 80, colour: true });
	t.regex(coloured, /\u001b\[2m +42\.24|\u001b\[2m42\.24/);
	t.is(plain(coloured), tableToTerminal(table, { width: 80 }));
});

test('no control sequence of the data’s reaches the terminal', (t) => {
	const text = tableToTerminal(texts(['\u001b[31mred\u001b]0;title\u0007\u009b2J\rx']));
	t.notRegex(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});

test('a table with no rows says that nothing was measured', (t) => {
	const empty = { ...table, rows: [] };
	t.true(tableToTerminal(empty).includes('not measured'));
	t.true(tableToMarkdown(empty).includes('*not measured*'));
	t.is(tableToCsv(empty).trimEnd().split('\n').length, 1);
});
