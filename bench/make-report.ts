/**
 * From a run's manifest and samples to its tables, charts and page. `bench` and
 * `report` both come here, so that a report made again is the same, byte for byte.
 */
import { join } from 'node:path';
import { discoverExperiments } from './discover.ts';
import { Failure } from './errors.ts';
import { chartToSvg, svgToPng } from './report/chart.ts';
import { tableToCsv } from './report/csv.ts';
import { renderHtml } from './report/html.ts';
import { tableToMarkdown } from './report/markdown.ts';
import type { Section } from './report/model.ts';
import { summaryTables } from './report/summaries.ts';
import { tableToTerminal } from './report/terminal.ts';
import { collectFailures } from './stats/failures.ts';
import { collect } from './stats/results.ts';
import { PAGE, writeArtifacts, type Artifacts } from './store/artifacts.ts';
import { readPaper } from './store/paper.ts';
import { readRun, type StoredRun } from './store/run.ts';
import type { Experiment, Table } from './types.ts';

export interface MadeReport {
	/** The experiments' tables, for the terminal. */
	tables: Table[];
	/** report.html. */
	page: string;
	/** What the reader should know of the data, or null. */
	notice: string | null;
}

export async function makeReport(dir: string, known?: Experiment[]): Promise<MadeReport> {
	const run = readRun(dir);
	const experiments = measuredExperiments(run, known ?? await discoverExperiments());
	const sections: Section[] = [];
	for (const experiment of experiments) {
		sections.push(await makeSection(experiment, run));
	}
	writeArtifacts(dir, render(run, sections));
	return { tables: sections.flatMap(({ tables }) => tables), page: join(dir, PAGE), notice: run.torn };
}

/** The tables, and as the last line where to read on. */
export function showReport({ tables, page, notice }: MadeReport, out: NodeJS.WriteStream): void {
	// A terminal that does not know its width says 0.
	const width = out.isTTY && out.columns > 0 ? out.columns : 100;
	for (const table of tables) {
		out.write(`\n${tableToTerminal(table, { width, colour: out.isTTY })}`);
	}
	if (notice !== null) {
		out.write(`\n${notice}\n`);
	}
	out.write(`\nReport: ${page}\n`);
}

/** In the order of the manifest; those that were not reached have no section. */
function measuredExperiments({ dir, manifest, blocks }: StoredRun, known: Experiment[]): Experiment[] {
	const measured = new Set(blocks.map(({ experiment }) => experiment));
	const planned = manifest.experiments.map(({ name }) => name);
	return [...new Set([...planned, ...measured])].filter((name) => measured.has(name)).map((name) => {
		const experiment = known.find((candidate) => candidate.name === name);
		if (experiment === undefined) {
			throw new Failure(`${dir}: has samples of the experiment ${name}, which this procsnap does not know (it knows ${known.map((one) => one.name).join(', ') || 'none'}): report it with the version that measured it (software.procsnap in the manifest), or put its file into bench/experiments/`);
		}
		return experiment;
	});
}

async function makeSection(experiment: Experiment, { manifest, blocks }: StoredRun): Promise<Section> {
	const own = blocks.filter((block) => block.experiment === experiment.name);
	const order = manifest.experiments.find(({ name }) => name === experiment.name)?.variants ?? [];
	const results = collect(own, order);
	const paper = readPaper();
	const charts: Section['charts'] = [];
	for (const chart of experiment.charts(results, paper)) {
		charts.push({ ...chart, svg: await chartToSvg(chart) });
	}
	return {
		experiment,
		results,
		tables: experiment.tables(results, paper),
		charts,
		listings: experiment.listings?.(results) ?? [],
		claims: experiment.claims(results, paper),
		failures: collectFailures(own),
	};
}

function render({ manifest }: StoredRun, sections: Section[]): Artifacts {
	const artifacts: Artifacts = new Map();
	const add = (path: string, content: string | Uint8Array) => {
		if (artifacts.has(path)) {
			throw new Error(`two experiments make ${path}: give one of them another name`);
		}
		artifacts.set(path, content);
	};
	for (const { experiment, results, tables, charts } of sections) {
		const summaries = summaryTables(results, experiment.metrics).map((table) => ({ ...table, name: `${experiment.name}-${table.name}` }));
		for (const table of [...tables, ...summaries]) {
			add(`tables/${table.name}.csv`, tableToCsv(table));
			add(`tables/${table.name}.md`, tableToMarkdown(table));
		}
		for (const { name, svg } of charts) {
			add(`charts/${name}.svg`, svg);
			add(`charts/${name}.png`, svgToPng(svg));
		}
	}
	add(PAGE, renderHtml({ manifest, sections }));
	return artifacts;
}
