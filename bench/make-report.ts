/**
 * From a run's manifest and samples to its tables, charts and page. `bench` and
 * `report` both come here, so that a report made again is the same, byte for byte.
 */
import { join } from 'node:path';
import { discoverExperiments } from './discover.ts';
import { Failure } from '../common/errors.ts';
import { tableToCsv } from './report/csv.ts';
import { renderHtml, renderSeveral } from './report/html.ts';
import { tableToMarkdown } from './report/markdown.ts';
import type { Part, Report, Section } from './report/model.ts';
import { summaryTables } from './report/summaries.ts';
import { tableToTerminal } from './report/terminal.ts';
import { labelOf, showIn } from './report/view.ts';
import { collectFailures } from './stats/failures.ts';
import { blocksTable, disturbedText } from './stats/looks.ts';
import { collect } from './stats/results.ts';
import { PAGE, writeArtifacts, type Artifacts } from './store/artifacts.ts';
import { readPaper } from './store/paper.ts';
import { readRun, type StoredRun } from './store/run.ts';
import { readSeveral, type IndexEntry } from './store/several.ts';
import type { Experiment, Table } from './types.ts';

export interface MadeReport {
	/** The experiments' tables for the terminal, by environment. */
	groups: Array<{
		/** Where the tables are from; null where there is only one environment. */
		heading: string | null;
		tables: Table[];
	}>;
	/** report.html. */
	page: string;
	/** What the reader should know of the data. */
	notices: string[];
}

export async function makeReport(dir: string, known?: Experiment[]): Promise<MadeReport> {
	const experiments = known ?? await discoverExperiments();
	const several = readSeveral(dir);
	if (several === null) {
		const { report, torn } = await makeRun(dir, experiments);
		return {
			groups: [{ heading: null, tables: tablesOf(report) }], page: join(dir, PAGE),
			notices: torn === null ? [] : [torn],
		};
	}
	const parts: Part[] = [];
	const notices: string[] = [];
	for (const entry of several.environments) {
		const { part, notice } = await makePart(dir, entry, experiments);
		parts.push(part);
		notices.push(...notice);
	}
	writeArtifacts(dir, new Map([[PAGE, renderSeveral({ id: several.id, startedAt: several.startedAt, parts })]]));
	return {
		groups: parts.flatMap(({ heading, report }) =>
			(report === null
				? []
				: [{ heading: `${heading} (${labelOf(report.manifest.environment)})`, tables: tablesOf(report) }])),
		page: join(dir, PAGE),
		notices,
	};
}

/** The tables, and as the last line where to read on. */
export function showReport({ groups, page, notices }: MadeReport, out: NodeJS.WriteStream): void {
	// A terminal that does not know its width says 0.
	const width = out.isTTY && out.columns > 0 ? out.columns : 100;
	for (const { heading, tables } of groups) {
		if (heading !== null) {
			out.write(`\n${'═'.repeat(Math.min(width, 100))}\n${heading}\n`);
		}
		for (const table of tables) {
			out.write(`\n${tableToTerminal(table, { width, colour: out.isTTY })}`);
		}
	}
	for (const notice of notices) {
		out.write(`\n${notice}\n`);
	}
	out.write(`\nReport: ${page}\n`);
}

const tablesOf = (report: Report): Table[] => report.sections.flatMap(({ tables }) => tables);

async function makePart(
	dir: string, { folder, title, measured, failure }: IndexEntry, experiments: Experiment[]
): Promise<{ part: Part; notice: string[] }> {
	const notice = failure === null ? [] : [`${title}: ${failure}`];
	if (!measured) {
		return { part: { folder, heading: title, report: null, failure }, notice };
	}
	const { report, torn } = await makeRun(join(dir, folder), experiments);
	return { part: { folder, heading: title, report, failure }, notice: torn === null ? notice : [...notice, torn] };
}

/** One run's own tables, charts and page, into its folder. */
async function makeRun(dir: string, known: Experiment[]): Promise<{ report: Report; torn: string | null }> {
	const run = readRun(dir);
	const sections: Section[] = [];
	for (const experiment of measuredExperiments(run, known)) {
		sections.push(await makeSection(experiment, run));
	}
	const table = blocksTable(run.blocks);
	const report: Report = {
		manifest: run.manifest, sections,
		...(table === null ? {} : { blocks: { table, disturbed: disturbedText(run.blocks) } }),
	};
	writeArtifacts(dir, await render(report));
	return { report, torn: run.torn };
}

/** In the order of the manifest; those that were not reached have no section. */
function measuredExperiments({ dir, manifest, blocks }: StoredRun, known: Experiment[]): Experiment[] {
	const measured = new Set(blocks.map(({ experiment }) => experiment));
	const planned = manifest.experiments.map(({ name }) => name);
	return [...new Set([...planned, ...measured])].filter((name) => measured.has(name)).map((name) => {
		const experiment = known.find((candidate) => candidate.name === name);
		if (experiment === undefined) {
			throw new Failure(
				`${dir}: has samples of the experiment ${name}, which this procsnap does not know (it knows ` +
					`${known.map((one) => one.name).join(', ') || 'none'}): report it with the version that ` +
						`measured it (software.procsnap in the manifest), or put its file into bench/experiments/`
			);
		}
		return experiment;
	});
}

async function makeSection(experiment: Experiment, { manifest, blocks }: StoredRun): Promise<Section> {
	const { chartToSvg } = await import('./report/chart.ts');
	const own = blocks.filter((block) => block.experiment === experiment.name);
	const order = manifest.experiments.find(({ name }) => name === experiment.name)?.variants ?? [];
	const results = collect(own, order);
	const paper = readPaper();
	const { tables, charts, listings, claims } = showIn(manifest.environment, {
		tables: experiment.tables(results, paper),
		charts: experiment.charts(results, paper),
		listings: experiment.listings?.(results) ?? [],
		claims: experiment.claims(results, paper),
	});
	const summaries = summaryTables(results, experiment.metrics)
		.map((table) => ({ ...table, name: `${experiment.name}-${table.name}` }));
	const drawn: Section['charts'] = [];
	for (const chart of charts) {
		drawn.push({ ...chart, svg: await chartToSvg(chart) });
	}
	return {
		experiment,
		results,
		tables,
		summaries: showIn(manifest.environment, { tables: summaries, charts: [], listings: [], claims: [] }).tables,
		charts: drawn,
		listings,
		claims,
		failures: collectFailures(own),
	};
}

async function render(report: Report): Promise<Artifacts> {
	// Charts take long to load, and the guests that only measure draw none.
	const { svgToPng } = await import('./report/chart.ts');
	const artifacts: Artifacts = new Map();
	const add = (path: string, content: string | Uint8Array) => {
		if (artifacts.has(path)) {
			throw new Error(`two experiments make ${path}: give one of them another name`);
		}
		artifacts.set(path, content);
	};
	for (const { tables, summaries, charts } of report.sections) {
		for (const table of [...tables, ...summaries]) {
			add(`tables/${table.name}.csv`, tableToCsv(table));
			add(`tables/${table.name}.md`, tableToMarkdown(table));
		}
		for (const { name, svg } of charts) {
			add(`charts/${name}.svg`, svg);
			add(`charts/${name}.png`, svgToPng(svg));
		}
	}
	if (report.blocks !== undefined) {
		add('tables/blocks.csv', tableToCsv(report.blocks.table));
		add('tables/blocks.md', tableToMarkdown(report.blocks.table));
	}
	add(PAGE, renderHtml(report));
	return artifacts;
}
