import type { Manifest } from '../../store/manifest.ts';
import { formatNumber, NOT_MEASURED } from '../format.ts';
import type { Part, Report, Section } from '../model.ts';
import { labelOf } from '../view.ts';
import { chartFigure, listingFigure } from './figure.ts';
import { html, type Html } from './markup.ts';
import { tableFigure } from './table.ts';

/** One experiment: its question, then what answers it. */
export function experimentSection(section: Section, manifest: Manifest): Html {
	return frame(section.experiment, answers(section, manifest, ''));
}

/** One experiment of several environments: its question once, then the answer of each. */
export function sharedSection(experiment: Section['experiment'], parts: readonly Part[]): Html {
	return frame(experiment, parts.flatMap(({ folder, heading, report }) => {
		const section = report?.sections.find((one) => one.experiment.name === experiment.name);
		return section === undefined || report === null
			? []
			: [html`<section class="place" aria-labelledby="${folder}-${experiment.name}-title">
<h3 id="${folder}-${experiment.name}-title">${heading} ${badge(report)}</h3>
${answers(section, report.manifest, `${folder}-`)}</section>
`];
	}));
}

export function badge({ manifest: { environment } }: Report): Html {
	return html`<span class="badge ${environment.label}">${labelOf(environment)}</span>`;
}

function frame({ name, title, question }: Section['experiment'], content: Html | Html[]): Html {
	return html`<section class="experiment" id="${name}" aria-labelledby="${name}-title">
<h2 id="${name}-title">${title}</h2>
<p class="question">${question}</p>
${content}</section>
`;
}

/** `prefix` keeps the ids of several environments apart. */
function answers(section: Section, manifest: Manifest, prefix: string): Html {
	const { tables, charts, listings } = section;
	return html`${section.results.variants.length === 0 ? html`<p class="none">${NOT_MEASURED}</p>\n` : null}${tables.map((table) => tableFigure(table, `${prefix}${table.name}`))}${charts.length === 0 ? null : html`<div class="charts">\n${charts.map((chart) => chartFigure(chart, prefix))}</div>\n`}${listings.map((listing) => listingFigure(listing, prefix))}${failures(section, manifest)}${allFigures(section, prefix)}`;
}

function failures(section: Section, manifest: Manifest): Html | null {
	const dropped = manifest.dropped.filter(({ experiment }) => experiment === section.experiment.name);
	const items = [
		...section.failures.map(({ variant, message, count }) =>
			html`<li>${formatNumber(count, 0)} × <b>${variant}</b>: ${message}</li>\n`),
		...dropped.map(({ variant, reason }) => html`<li><b>${variant}</b> was given up: ${reason}</li>\n`),
	];
	if (items.length === 0) {
		return section.results.variants.length === 0 ? null : html`<p class="quiet">No round failed.</p>\n`;
	}
	return html`<div class="failures"><h3>Failures</h3>\n<ul>\n${items}</ul></div>\n`;
}

function allFigures({ summaries }: Section, prefix: string): Html | null {
	if (summaries.length === 0) {
		return null;
	}
	const figures = summaries.map((table) => tableFigure(table, `${prefix}${table.name}`));
	return html`<details class="all"><summary>All figures of this experiment: every variant, every quantity</summary>
<p class="quiet">From and to bound the 95 % interval of the median.</p>
${figures}</details>
`;
}
