/**
 * Evaluation 1 (section 5.2, table 4, figure 3): is the copy the target, as of one moment?
 *
 * Three ways to ask. bash at its prompt: its duplicate and itself, held still,
 * compared byte by byte. A target that writes without pause: its invariant (see
 * workloads/writer.c) must hold in every copy. And the control that is meant to
 * fail: the same writer read while it runs, which shows that the check can fail.
 */
import { colourScale } from '../report/palette.ts';
import { hexdump } from './shared/hexdump.ts';
import { mechanismOf } from './shared/mechanism.ts';
import { isEvidence, programSize, readRegions, type ProgramSize, type Region } from '../targets/program.ts';
import { startShell } from '../targets/shell.ts';
import { placement, Workload } from '../targets/workload.ts';
import type { Mechanism, Experiment, Json, Lab, Results, Session, Table, Still, Variant } from '../types.ts';

const PAGE = 4096;
const WRITER_PAGES = 512;
const PIECE = 1 << 20;
const EXCERPT = 160;
const CONTROL = 'none';

interface Comparison { compared: number; differing: number; first: string | null }

/** Bytes that differ between the duplicate and the held original, and where the first is; both are read in pieces. */
function compareRegion(lab: Lab, pid: number, still: Still, { start, end, name }: Region): Comparison {
	let compared = 0;
	let differing = 0;
	let first: string | null = null;
	for (let at = start; at < end; at += BigInt(PIECE)) {
		const length = Math.min(PIECE, Number(end - at));
		const copy = Buffer.from(still.read(at, length));
		const { bytes } = lab.tracer.read('vm-readv', pid, at, length);
		const original = lab.tracer.data.subarray(0, bytes);
		if (copy.length !== bytes)
			throw new Error(`0x${at.toString(16)}: ${bytes} bytes of the original, ${copy.length} of the duplicate`);
		compared += bytes;
		if (copy.equals(original)) continue;
		const address = at + BigInt(original.findIndex((byte, i) => byte !== copy[i]));
		first ??= `0x${address.toString(16)} in ${name || 'anonymous memory'}`;
		differing += original.reduce((sum, byte, i) => sum + Number(byte !== copy[i]), 0);
	}
	return { compared, differing, first };
}

async function openShell(lab: Lab, mechanism: Mechanism): Promise<Session> {
	const shell = await startShell(lab);
	const facts: Record<string, Json> = { program: programSize(shell.pid) };
	const round = () => {
		const still = mechanism.open(lab.tracer, shell);
		try {
			lab.tracer.hold(shell.pid);
			try {
				const regions = readRegions(shell.pid).filter(isEvidence);
				const sums = regions.map((region) => compareRegion(lab, shell.pid, still, region));
				const heap = regions.find(({ name }) => name === '[heap]') ?? regions[0];
				if (heap !== undefined)
					Object.assign(facts, excerpts(lab, shell.pid, still, heap), { regions: regions.length });
				const first = sums.find((sum) => sum.first !== null)?.first;
				if (first !== undefined) facts.firstDifference = first;
				return {
					comparedBytes: sums.reduce((sum, { compared }) => sum + compared, 0),
					differingBytes: sums.reduce((sum, { differing }) => sum + differing, 0),
				};
			} finally {
				lab.tracer.letGo();
			}
		} finally {
			still.end();
		}
	};
	return { round, facts: () => facts, close: shell.close };
}

function excerpts(lab: Lab, pid: number, still: Still, { start, name }: Region): Record<string, Json> {
	const at = start + 0x2a0n;	// past the allocator's own header; nothing of the user's or the host's is so early
	const duplicate = hexdump(still.read(at, EXCERPT), at);
	lab.tracer.read('vm-readv', pid, at, EXCERPT);
	return {
		excerptOf: name || 'private memory', duplicate, original: hexdump(lab.tracer.data.subarray(0, EXCERPT), at),
	};
}

/** True if the copy is not of one moment: counters of all pages must not increase, and differ by one at most. */
function isTorn(region: Uint8Array): boolean {
	const view = new DataView(region.buffer, region.byteOffset, region.byteLength);
	const counters = Array.from(
		{ length: region.byteLength / PAGE }, (_, page) => view.getBigUint64(page * PAGE, true)
	);
	const rises = counters.some((value, page) => page > 0 && value > (counters[page - 1] as bigint));
	return rises || (counters[0] as bigint) - (counters.at(-1) as bigint) > 1n;
}

async function openWriter(lab: Lab, mechanism: Mechanism | undefined): Promise<Session> {
	// Not under SCHED_FIFO: it never sleeps, and the kernel would throttle it.
	const writer = await Workload.start(
		'writer', ['--pages', String(WRITER_PAGES), ...placement({ ...lab, targetPriority: 0 })]
	);
	const { regionAddress, regionBytes } = writer;
	const readRunning = () =>
		lab.tracer.data.subarray(0, lab.tracer.read('proc-mem', writer.pid, regionAddress, regionBytes).bytes);
	const check = (region: Uint8Array) => {
		if (region.length !== regionBytes)
			throw new Error(`${region.length} bytes of the region's ${regionBytes} were read`);
		return { comparedBytes: region.length, tornCopies: Number(isTorn(region)) };
	};
	const round = () => {
		if (mechanism === undefined) return check(readRunning());
		const before = writer.counter;
		const still = mechanism.open(lab.tracer, writer);
		try {
			return check(still.read(regionAddress, regionBytes));
		} finally {
			still.end();
			// A writer that stands still is never torn.
			writer.awaitCounter(before + 1);
		}
	};
	return { round, facts: () => ({ generations: writer.counter }), close: () => writer.close() };
}

export const experiment: Experiment = {
	name: 'integrity',
	order: 1,
	title: 'Integrity of the copy',
	question: 'Is the copy the target, byte for byte, as of one moment?',
	metrics: {
		comparedBytes: { title: 'Bytes compared', unit: 'bytes' },
		differingBytes: { title: 'Bytes that differ', unit: 'count' },
		tornCopies: { title: 'Copies that are not of one moment', unit: 'count' },
	},
	variants: (profile, mechanisms) => {
		const rounds = profile === 'paper' ? 200 : 10;
		const shared = { rounds, warmupRounds: 0, blockRounds: Math.ceil(rounds / 4) };
		// What is evidence has to be the target, byte for byte, whatever it is made of.
		const copying = mechanisms.filter(({ notForEvidence }) => notForEvidence === null);
		return [
			...copying.map(({ name }): Variant =>
				({ id: `${name} target=bash`, factors: { mechanism: name, target: 'bash' }, ...shared })),
			...[...mechanisms.map(({ name }) => name), CONTROL].map((name): Variant =>
				({ id: `${name} target=writer`, factors: { mechanism: name, target: 'writer' }, ...shared })),
		];
	},
	open: async ({ factors }, lab) => {
		if (factors.mechanism === CONTROL) return openWriter(lab, undefined);
		const mechanism = mechanismOf({ factors }, lab);
		return factors.target === 'writer' ? openWriter(lab, mechanism) : openShell(lab, mechanism);
	},
	tables: (results, paper) => [programTable(results, paper.table4), integrityTable(results)],
	charts: (results) => {
		const rows = results.where({ target: 'writer' }).flatMap(({ factors, samples }) =>
			samples.tornCopies === undefined
				? []
				: [{ mechanism: nameOf(factors.mechanism), share: 100 * mean(samples.tornCopies) }]);
		return [{
			name: 'integrity',
			title: 'Copies of a writing target that are not of one moment',
			caption: 'The control reads the target while it runs, and is meant to fail: it shows that the check ' +
				'finds torn copies.',
			spec: {
				data: { values: rows },
				mark: { type: 'bar', height: { band: 0.6 } },
				encoding: {
					y: { field: 'mechanism', type: 'nominal', sort: null, title: null },
					x: { field: 'share', type: 'quantitative', title: 'torn copies (%)', scale: { domain: [0, 100] } },
					color: {
						field: 'mechanism', type: 'nominal', scale: colourScale(rows.map(({ mechanism }) => mechanism)),
						legend: null,
					},
				},
			},
		}];
	},
	listings: (results) => results.where({ target: 'bash' }).flatMap(({ factors, facts }) =>
		typeof facts.original !== 'string' || typeof facts.duplicate !== 'string' || typeof facts.excerptOf !== 'string'
			? []
			: [{
			name: `figure-3-${factors.mechanism}`,
			title: `Figure 3: the same memory of original and duplicate (${factors.mechanism}, part of ` +
				`${facts.excerptOf})`,
			caption: 'bash at its prompt. Above the original, held still; below the duplicate, taken before.',
			text: `original\n${facts.original}\n\nduplicate\n${facts.duplicate}`,
		}]),
	claims: (results) => results.where({ target: 'bash' }).map(({ factors, samples }) => {
		const differing = samples.differingBytes?.reduce((sum, bytes) => sum + bytes, 0);
		const compared = samples.comparedBytes?.reduce((sum, bytes) => sum + bytes, 0) ?? 0;
		const control = results.where({ mechanism: CONTROL })[0]?.samples.tornCopies?.some((torn) => torn > 0) ?? false;
		const torn =
			results.where({ mechanism: factors.mechanism as string, target: 'writer' })[0]?.samples.tornCopies?.reduce(
				(sum, each) => sum + each, 0
			) ?? 0;
		return {
			claim: `The duplicate's memory is the original's (${factors.mechanism})`,
			where: '5.2, figure 3',
			paper: 'identical by diff and cmp',
			here: differing === undefined
				? 'not measured'
				: `${differing} of ${compared.toLocaleString('en')} bytes differ; ${torn} copies of a writing ` +
					'target torn',
			...(differing === 0 && torn === 0 && !control
				? { holds: null, undecided: 'the control, a live read, was not torn either: more rounds of it' }
				: { holds: differing === undefined ? null : differing === 0 && torn === 0 }),
		};
	}),
};

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const nameOf = (mechanism: string | number | undefined): string =>
	(mechanism === CONTROL ? 'control: read while it runs' : String(mechanism));

function programTable(
	results: Results, paper: { textBytes: number; dataBytes: number; bssBytes: number; totalBytes: number }
): Table {
	const measured = results.where({ target: 'bash' })
		.map(({ facts }) => facts.program as unknown as ProgramSize | undefined)
			.find((program) => program !== undefined);
	const row = (part: string, key: 'text' | 'data' | 'bss' | 'total', given: number) =>
		({ part, here: measured?.[key] ?? null, paper: given });
	return {
		name: 'table-4',
		title: 'Table 4: size of the target program, bash',
		columns: [
			{ key: 'part', title: 'segment' }, { key: 'here', title: 'here', unit: 'B' },
			{ key: 'paper', title: 'paper', unit: 'B', paper: true },
		],
		rows: [
			row('text', 'text', paper.textBytes), row('data', 'data', paper.dataBytes),
			row('bss', 'bss', paper.bssBytes), row('total', 'total', paper.totalBytes),
		],
		notes: [
			`Read from the program of the process that was ` +
				`measured${measured === undefined ? '' : ` (${measured.program})`}, by size(1).`,
		],
	};
}

function integrityTable(results: Results): Table {
	return {
		name: 'integrity',
		title: 'Evaluation 1: are the copies the target, as of one moment?',
		columns: [
			{ key: 'mechanism', title: 'mechanism' }, { key: 'target', title: 'target' },
			{ key: 'copies', title: 'copies', unit: 'count' },
			{ key: 'bytes', title: 'compared, each', unit: 'KiB' },
			{ key: 'differing', title: 'bytes that differ', unit: 'count' },
			{ key: 'torn', title: 'torn copies', unit: 'count' },
		],
		rows: results.variants.map(({ factors, samples, summary }) => ({
			mechanism: nameOf(factors.mechanism),
			target: factors.target === 'bash' ? 'bash, at its prompt' : 'writer, writing',
			copies: summary.comparedBytes?.n ?? null,
			bytes: summary.comparedBytes === undefined ? null : summary.comparedBytes.median / 1024,
			differing: factors.target !== 'bash'
				? '–'
				: samples.differingBytes?.reduce((sum, bytes) => sum + bytes, 0) ?? null,
			torn: factors.target !== 'writer' ? '–' : samples.tornCopies?.reduce((sum, torn) => sum + torn, 0) ?? null,
		})),
		notes: [
			'bash: every readable private region of duplicate and original, the original held still for the ' +
				'comparison.',
			`writer: writes one counter a page, ${WRITER_PAGES} pages in turn, without pause; in memory of one ` +
				`moment the counters do not rise and differ by one at most.`,
		],
	};
}
