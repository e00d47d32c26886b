/** A made-up run, hostile names in it, for the tests of the report. */
import { chartToSvg } from '../../../bench/report/chart.ts';
import type { Report, Section } from '../../../bench/report/model.ts';
import { colourScale } from '../../../bench/report/palette.ts';
import { summaryTables } from '../../../bench/report/summaries.ts';
import { collectFailures } from '../../../bench/stats/failures.ts';
import { collect } from '../../../bench/stats/results.ts';
import type { Manifest } from '../../../bench/store/manifest.ts';
import type { Block, Chart, Table } from '../../../bench/types.ts';

export const HOSTILE = '"><img src=x onerror=alert(1)>\'&';

export const chart: Chart = {
	name: 'figure-4',
	title: `Delay of ${HOSTILE}`,
	caption: `Caption of ${HOSTILE}`,
	spec: {
		data: { values: [16, 64, 256, 1024].map((size, i) => ({ size, delay: (i + 1) * 0.01, who: HOSTILE })) },
		layer: [{ mark: { type: 'line', clip: true } }, { mark: 'point' }],
		encoding: {
			x: { field: 'size', type: 'quantitative', scale: { type: 'log' }, title: 'region (KiB)' },
			y: { field: 'delay', type: 'quantitative', title: 'delay (ms)' },
			color: { field: 'who', type: 'nominal', scale: colourScale([HOSTILE]), title: null },
		},
	},
};

export const table: Table = {
	name: 'table-5',
	title: 'Time to duplicate and to kill',
	columns: [
		{ key: 'mechanism', title: 'mechanism' },
		{ key: 'clone', title: 'clone', unit: 'us' },
		{ key: 'kill', title: 'kill', unit: 'us' },
		{ key: 'paperClone', title: 'clone', unit: 'us', paper: true },
	],
	rows: [
		{ mechanism: 'inject', clone: 38.25, kill: 1204.5, paperClone: 42.24 },
		{ mechanism: 'syscall', clone: null, kill: null, paperClone: null },
	],
	notes: ['A note.'],
};

const blocks: Block[] = [{
	seq: 1, experiment: 'clone-kill', variant: `inject ${HOSTILE}`, factors: { mechanism: 'inject' }, status: 'ok',
	startedMs: 0, warmupRounds: 1,
	samples: { takeNs: [99, 1000, 2000, null, 3000] }, failures: [{ round: 3, message: `refused by ${HOSTILE}` }],
	facts: { name: HOSTILE },
}];

export const manifest: Manifest = {
	schemaVersion: 1, id: `run ${HOSTILE}`, status: 'complete', error: null,
	startedAt: '2025-11-22T19:39:00.000Z', finishedAt: '2025-11-22T19:51:00.000Z', profile: 'paper', seed: 42,
	options: { experiments: [], backends: [] },
	environment: { name: 'host', label: 'vm', evidence: ['the CPU has the hypervisor flag'], guest: null },
	experiments: [{ name: 'clone-kill', variants: [`inject ${HOSTILE}`] }],
	backends: [
		{ name: 'inject', title: 'Injected clone', unavailable: null },
		{ name: 'syscall', title: 'The system call', unavailable: `no such call ${HOSTILE}` },
	],
	dropped: [{ experiment: 'clone-kill', variant: 'inject rss=1024MiB', reason: 'memory is short' }],
	isolation: { targetCpu: 1, requesterCpu: 0, fifoTarget: true, fifoTracer: false, reasons: [`EPERM ${HOSTILE}`] },
	clock: { source: 'CLOCK_MONOTONIC_RAW', resolutionNs: 1, overheadNs: 23.4 },
	machine: {
		cpuModel: `CPU ${HOSTILE}`, cores: 2, memoryBytes: 8 * 2 ** 30, hypervisorFlag: true,
		kernel: { release: '6.1.0', version: '#1 SMP', commandLine: `quiet ${HOSTILE}` },
		mitigations: { [HOSTILE]: HOSTILE },
		governor: null, transparentHugePages: 'madvise', swapBytes: 0, clockSource: 'tsc', schedRtRuntimeUs: 950_000,
		yamaPtraceScope: null, overcommitMemory: 0,
	},
	software: {
		procsnap: { version: '0.1.0', commit: '0123456789abcdef', dirty: true }, node: '24', compiler: HOSTILE,
		libraries: { vega: '6.4.0' },
	},
};

export async function sampleReport(): Promise<Report> {
	const section: Section = {
		experiment: {
			name: 'clone-kill', title: `Clone ${HOSTILE}`, question: `How much ${HOSTILE}?`,
			metrics: { takeNs: { title: `Take ${HOSTILE}`, unit: 'ns' } },
		},
		results: collect(blocks),
		tables: [
			{
				...table, title: HOSTILE, notes: [HOSTILE],
				rows: [...table.rows, { mechanism: HOSTILE, clone: 1, kill: 2, paperClone: 3 }],
			},
		],
		summaries: summaryTables(collect(blocks), { takeNs: { title: `Take ${HOSTILE}`, unit: 'ns' } })
			.map((each) => ({ ...each, name: `clone-kill-${each.name}` })),
		charts: [{ ...chart, svg: await chartToSvg(chart) }],
		listings: [{ name: 'figure-3', title: HOSTILE, caption: HOSTILE, text: `00  ${HOSTILE}` }],
		claims: [
			{ claim: HOSTILE, where: HOSTILE, paper: HOSTILE, here: HOSTILE, holds: true },
			{ claim: 'b', where: '5.5', paper: 'p', here: 'h', holds: false },
			{ claim: 'b too', where: '5.5', paper: 'p', here: 'h', holds: false },
			{ claim: 'c', where: '5.5', paper: 'p', here: 'h', holds: null },
			{
				claim: 'd', where: '5.5', paper: 'p', here: 'h', holds: null,
				undecided: 'some 400 rounds would decide it',
			},
			{ claim: 'e', where: 'beyond', paper: '', here: 'h', holds: true, ours: true },
		],
		failures: collectFailures(blocks),
	};
	const nothing: Section = {
		experiment: { name: 'read', title: 'Reading', question: 'How fast?', metrics: {} },
		results: collect([]), tables: [{ ...table, name: 'table-6', rows: [] }], summaries: [], charts: [],
		listings: [], claims: [], failures: [],
	};
	return { manifest, sections: [section, nothing] };
}
