import test from 'ava';
import { tableToCsv } from '../../../bench/report/csv.ts';
import { tableToMarkdown } from '../../../bench/report/markdown.ts';
import { tableToTerminal } from '../../../bench/report/terminal.ts';
import { markOf, showIn, type Environment } from '../../../bench/report/view.ts';
import type { Chart, Claim, Table } from '../../../bench/types.ts';

const guest = {
	accelerator: 'tcg', reason: null, qemu: '7', kernel: 'k', cpus: 1, memoryMiB: 4096, countInstructions: false,
};
const VM: Environment = { name: 'host', label: 'vm', evidence: [], guest: null };
const EMULATED: Environment = { name: 'guest', label: 'emulated', evidence: [], guest };
const COUNTED: Environment = { ...EMULATED, guest: { ...guest, countInstructions: true } };

const table: Table = {
	name: 'table-5', title: 'Time to duplicate',
	columns: [
		{ key: 'who', title: 'who' }, { key: 'take', title: 'take', unit: 'us' },
		{ key: 'pass', title: 'pass', unit: 'ms' }, { key: 'call', title: 'call', unit: 'ns' },
		{ key: 'rate', title: 'rate', unit: 'GB/s' }, { key: 'given', title: 'given', unit: 'us', paper: true },
	],
	rows: [
		{ who: 'paper: create_proc_snap()', take: 168.32, pass: 1, call: 1, rate: 1, given: 1 },
		{ who: 'inject', take: 42.5, pass: 0.25, call: 1500, rate: 2, given: 7 },
	],
	notes: ['Budget of 0.25 ms.'],
};

const chart: Chart = {
	name: 'figure-4', title: 'Delay', caption: 'Budget: 0.25 ms.',
	spec: {
		data: { values: [{ who: 'paper', y: 1 }, { who: 'inject', y: 2 }] }, mark: 'line',
		encoding: {
			y: { field: 'y', type: 'quantitative', title: 'delay (ms)' },
			color: { field: 'who', type: 'nominal', scale: { domain: ['inject', 'paper'], range: ['#111', '#222'] } },
		},
	},
};

const claims: Claim[] = [
	{ claim: 'a', where: '5', paper: '168 µs', here: '40 µs on the mean', holds: true, byTime: true },
	{ claim: 'b', where: '5', paper: '5 ×', here: '4 ×, 1.5 ms', holds: true },
];
const all = { tables: [table], charts: [chart], listings: [], claims };

test('on a real CPU nothing changes', (t) => {
	t.is(showIn(VM, all), all);
	t.is(markOf(VM), null);
});

test('an emulated table is marked wherever it is written, and has nothing of the paper\'s', (t) => {
	const shown = showIn(EMULATED, all).tables[0]!;
	for (const text of [tableToMarkdown(shown), tableToTerminal(shown)]) {
		t.regex(text, /emulated: not times of a real CPU/);
		t.notRegex(text, /168|given|create_proc_snap/);
	}
	t.is(
		tableToCsv(shown),
		'who,take (us),pass (ms),call (ns),rate (GB/s),mark\ninject,42.5,0.25,1500,2,emulated: not times of a real ' +
			'CPU\n'
	);
});

test('an emulated chart says so, and has nothing of the paper\'s', (t) => {
	const shown = showIn(EMULATED, all).charts[0]!;
	t.is(shown.title, 'Delay (emulated)');
	t.deepEqual(shown.spec, {
		...chart.spec, data: { values: [{ who: 'inject', y: 2 }] },
		encoding: {
			y: { field: 'y', type: 'quantitative', title: 'delay (ms)' },
			color: { field: 'who', type: 'nominal', scale: { domain: ['inject'], range: ['#111'] } },
		},
	} as Chart['spec']);
});

test('a claim on time is not judged by an emulated CPU, nor shown with its times; others are', (t) => {
	const [time, ratio] = showIn(EMULATED, all).claims;
	t.like(time, { holds: null, unjudged: 'not judged: emulated' });
	t.notRegex(time!.here, /40/);
	t.deepEqual(ratio, claims[1]);
});

test('counted instructions: thousands of them where times were, and no unit of time anywhere', (t) => {
	const { tables: [shown], charts: [drawn], claims: [, ratio] } = showIn(COUNTED, all);
	t.deepEqual(shown!.columns.map(({ unit }) => unit), [undefined, 'kinstr', 'kinstr', 'kinstr', 'B/instr']);
	t.deepEqual(shown!.rows, [{ who: 'inject', take: 42.5, pass: 250, call: 1.5, rate: 2, given: 7 }]);
	const text = tableToTerminal(shown!);
	t.regex(text, /k instr\./);
	t.regex(text, /instructions counted/);
	t.regex(text, /Budget of 0\.25 M instr\./);
	t.notRegex(text, /\bµs\b|\bms\b|\bns\b|GB\/s/);
	t.regex(JSON.stringify(drawn!.spec), /delay \(M instr\.\)/);
	t.is(drawn!.caption, 'Budget: 0.25 M instr.');
	t.is(ratio!.here, '4 ×, 1.5 M instr.');
});
