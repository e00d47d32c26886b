/**
 * The words that the harness is built of, on one page. Data flows one way:
 * Experiment -> Variant (a cell of the plan) -> Block (a line of samples.jsonl)
 * -> Results -> Table, Chart, Claim -> report.
 */
import type { TopLevelSpec } from 'vega-lite';
import type paper from '../results/paper.json';
import type { Mechanism } from '../mechanisms/shared/types.ts';
import type { Tracer } from '../native/index.ts';

export type { Mechanism, Phase, Still, Target } from '../mechanisms/shared/types.ts';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

export type Unit = 'ns' | 'bytes' | 'count' | 'bytes/s';

/** Of which quantity a round gives one number. */
export interface Metric {
	title: string;
	unit: Unit;
}

export type ProfileName = 'smoke' | 'paper';

/** One cell of the plan: a combination of factors, measured `rounds` times. */
export interface Variant {
	/** Unique within its experiment, readable: `inject rss=28MiB pages=4KiB`. */
	id: string;
	factors: Record<string, string | number>;
	/** Measured rounds. They are run in blocks of `blockRounds`, interleaved with the other variants' blocks. */
	rounds: number;
	/** Rounds run before each block; kept in the data, left out of summaries. */
	warmupRounds: number;
	blockRounds: number;
	/** A round takes minutes where every instruction is emulated: it is left out there. */
	tooSlowEmulated?: boolean;
	/** What it costs differs from one target to the next: where rounds are cut, two targets are kept. */
	differsByTarget?: boolean;
	/** A block that has taken so long ends, if it has a few rounds by then. */
	budgetMs?: number;
}

/** One round's numbers: a metric's name to its value in the metric's unit; NaN where a round has none. */
export type Sample = Record<string, number>;

/** A variant made ready to measure: its target runs. */
export interface Session {
	/** Synchronous, and the clock is held in C: no time of JavaScript's is in a sample. Throws if the round failed. */
	round: () => Sample;
	/** What is not sampled but read: program sizes, system calls counted, hexdumps. Read once, after the block. */
	facts?: () => Record<string, Json>;
	/** Ends target and duplicates. Called once, also after a failure. */
	close: () => Promise<void>;
}

/** One line of samples.jsonl: one block of one variant, in the order in which it was measured. */
export interface Block {
	seq: number;
	experiment: string;
	variant: string;
	factors: Record<string, string | number>;
	status: 'ok' | 'failed' | 'interrupted';
	/** Why a block that is not `ok` ended early. Its samples so far are kept, and count. */
	error?: string;
	/** Milliseconds since the run began. */
	startedMs: number;
	/** How many of the first samples are warm-ups. */
	warmupRounds: number;
	/** Metric name to its samples, in order; all metrics of a block have the same length; null = the round has none. */
	samples: Record<string, Array<number | null>>;
	/** Rounds that threw: their position in the block and the message. They have null in every metric. */
	failures: Array<{ round: number; message: string }>;
	facts: Record<string, Json>;
	/** How the machine was before and after it. Missing where the CPU is emulated, and in older runs. */
	machine?: { before: Look; after: Look };
	/** The `seq` of the block that this one repeats, since the machine was disturbed at that. Both count. */
	repeats?: number;
}

/** The machine at a moment between two blocks. null: it could not be read. */
export interface Look {
	/** Milliseconds since the run began, at its end. */
	atMs: number;
	/** Of the CPUs of target and requester: between two readings of the clock more than 10 µs. */
	gaps: Array<{ cpu: number; spunNs: number; count: number; lostNs: number; largestNs: number }> | null;
	/** Those that the machine has. */
	cpus: number;
	/** Since the boot, of all CPUs together. */
	stealMs: number | null;
	/** Since the boot: so long somebody waited for it (PSI, `some`). */
	waitedUs: { cpu: number | null; memory: number | null; io: number | null };
	/** Of one minute. */
	load: number | null;
	/** Of the target's CPU. */
	frequencyKHz: number | null;
}

export interface Summary {
	n: number;
	/** Those that have rounds. */
	blocks: number;
	min: number;
	median: number;
	/** 95 % interval of the median, drawn by blocks (bench/stats/bootstrap.ts); null: too few blocks for one. */
	medianLow: number | null;
	medianHigh: number | null;
	mean: number;
	/** The same of the mean. */
	meanLow: number | null;
	meanHigh: number | null;
	/** null where n is below 72, and of the 99th below 368: there nothing bounds it from above. */
	p95: number | null;
	p99: number | null;
	max: number;
}

/** All blocks of one variant together; warm-ups and failed rounds left out of samples and summary. */
export interface VariantResult {
	id: string;
	factors: Record<string, string | number>;
	samples: Record<string, number[]>;
	/** The same, block by block. Rounds of one block have a target, and much else, in common. */
	blocks: Record<string, number[][]>;
	summary: Record<string, Summary>;
	failures: number;
	facts: Record<string, Json>;
}

/** One experiment's measured variants, in the order of its plan. */
export interface Results {
	variants: VariantResult[];
	/** All variants whose factors include these. */
	where: (factors: Record<string, string | number>) => VariantResult[];
	/** Mechanisms seen, in the order of the plan. */
	mechanisms: string[];
}

export type CellValue = string | number | null;

export interface Column {
	key: string;
	title: string;
	/** Numbers of a column share a unit: it stands in the heading and decides how they are written. */
	unit?: 'ns' | 'us' | 'ms' | 'kinstr' | 'B' | 'KiB' | 'MiB' | 'GB/s' | 'B/instr' | 'ratio' | 'count' | 'percent';
	/** From the paper: shown apart from what was measured here. */
	paper?: boolean;
}

export interface Table {
	/** File name without ending: `table-5`. */
	name: string;
	title: string;
	columns: Column[];
	rows: Array<Record<string, CellValue>>;
	notes: string[];
	/** Stands beside the title, so that nobody takes the figures for what they are not: `emulated`. */
	mark?: string;
}

export interface Chart {
	/** File name without ending: `figure-4`. */
	name: string;
	title: string;
	/** What to see in it, in one or two sentences. */
	caption: string;
	spec: TopLevelSpec;
}

/** A passage of text for the report that is neither table nor chart: figure 3's hexdumps. */
export interface Listing {
	name: string;
	title: string;
	caption: string;
	text: string;
}

/** A claim of the paper, and whether this run's samples bear it out. */
export interface Claim {
	claim: string;
	/** Where the paper says it: `5.3, table 5`. */
	where: string;
	paper: string;
	here: string;
	/** null: this run does not tell. */
	holds: boolean | null;
	/** It was measured, but its interval, or a control, leaves it open: why, and what would decide it. */
	undecided?: string;
	/** Not the paper's: what we say of what is beyond it. */
	ours?: true;
	/** It is judged by an absolute time, which says nothing where the CPU is emulated. */
	byTime?: true;
	/** Why it is not to be judged at all. */
	unjudged?: string;
}

/** The paper's figures: results/paper.json. */
export type Paper = typeof paper;

/** What an experiment is given to build its sessions from. */
export interface Lab {
	tracer: Tracer;
	/** Those that can be used on this machine. */
	mechanisms: Mechanism[];
	/** CPU that targets run on; the tracer and this process are on another where there are two. */
	targetCpu: number;
	/** FIFO priority for targets, 0 where it is not allowed. */
	targetPriority: number;
	/** How many times slower everything runs than on a machine, 1 if left out: periods have to be as much longer. */
	slowness?: number;
	seed: number;
}

/** One file in bench/experiments/: what to measure, and what the paper says of it. */
export interface Experiment {
	name: string;
	/** Place in lists, runs and the report: the smaller first, equal ones by name. */
	order: number;
	title: string;
	/** The question it answers, in one sentence. */
	question: string;
	metrics: Record<string, Metric>;
	/** It measures this machine's disk and network: where they are emulated, it is left out. */
	onDevices?: true;
	/** Pure. Of the mechanisms that can be used. */
	variants: (profile: ProfileName, mechanisms: Mechanism[]) => Variant[];
	open: (variant: Variant, lab: Lab) => Promise<Session>;
	/** Pure, from samples alone: the report is made again from a run's folder years later. */
	tables: (results: Results, paper: Paper) => Table[];
	charts: (results: Results, paper: Paper) => Chart[];
	listings?: (results: Results) => Listing[];
	claims: (results: Results, paper: Paper) => Claim[];
}
