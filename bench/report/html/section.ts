import type { Manifest } from '../../store/manifest.ts';
import { formatNumber, NOT_MEASURED } from '../format.ts';
import type { Section } from '../model.ts';
import { summaryTables } from '../summaries.ts';
import { timesMark } from './environment.ts';
import { chartFigure, listingFigure } from './figure.ts';
import { html, type Html } from './markup.ts';
import { tableFigure } from './table.ts';

/** One experiment: its question, then what answers it. */
export function experimentSection(section: Section, manifest: Manifest): Html {
	const { experiment, tables, charts, listings } = section;
	const mark = timesMark(manifest);
	return html`<section class="experiment" id="${experiment.name}" aria-labelledby="${experiment.name}-title">
<h2 id="${experiment.name}-title">${experiment.title}</h2>
<p class="question">${experiment.question}</p>
${section.results.variants.length === 0 ? html`<p class="none">${NOT_MEASURED}</p>\n` : null}${tables.map((table) => tableFigure(table, table.name, mark))}${charts.length === 0 ? null : html`<div class="charts">\n${charts.map(chartFigure)}</div>\n`}${listings.map(listingFigure)}${failures(section, manifest)}${allFigures(section, mark)}</section>
`;
}

function failures(section: Section, manifest: Manifest): Html | null {
	const dropped = manifest.dropped.filter(({ experiment }) => experiment === section.experiment.name);
	const items = [
		...section.failures.map(({ variant, message, count }) => html`<li>${formatNumber(count, 0)} × <b>${variant}</b>: ${message}</li>\n`),
		...dropped.map(({ variant, reason }) => html`<li><b>${variant}</b> was given up: ${reason}</li>\n`),
	];
	if (items.length === 0) {
		return section.results.variants.length === 0 ? null : html`<p class="quiet">No round failed.</p>\n`;
	}
	return html`<div class="failures"><h3>Failures</h3>\n<ul>\n${items}</ul></div>\n`;
}

function allFigures({ experiment, results }: Section, mark: string | null): Html | null {
	const tables = summaryTables(results, experiment.metrics);
	if (tables.length === 0) {
		return null;
	}
	const figures = tables.map((table) => tableFigure(table, `${experiment.name}-${table.name}`, mark));
	return html`<details class="all"><summary>All figures of this experiment: every variant, every quantity</summary>
<p class="quiet">From and to bound the 95 % interval of the median.</p>
${figures}</details>
`;
}
