import { LEAST_BLOCKS } from '../stats/bootstrap.ts';
import { P95_NEEDS, P99_NEEDS } from '../stats/summarize.ts';
import { claimsSection, sharedClaims } from './html/claims.ts';
import { agreementNotice } from './html/agreement.ts';
import { blocksBox, environmentBox, failureNotice, readableTime, statusNotice } from './html/environment.ts';
import { html, trusted, type Html } from './html/markup.ts';
import { recordList } from './html/record.ts';
import { badge, experimentSection, sharedSection } from './html/section.ts';
import { STYLE } from './html/style.ts';
import type { Report, Section, SeveralReport } from './model.ts';

/** No script, nothing from elsewhere: if something slipped in, the browser would refuse it. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/** The whole run on one page that needs nothing but itself: the same bytes for the same manifest and samples. */
export function renderHtml(report: Report): string {
	const { manifest, sections } = report;
	return page({
		id: manifest.id,
		startedAt: manifest.startedAt,
		where: 'on the machine below',
		environments: html`${statusNotice(manifest)}${agreementNotice(sections)}${environmentBox(manifest)}${blocksBox(report, '')}`,
		claims: claimsSection(sections.flatMap((section) => section.claims)),
		experiments: sections.map(({ experiment }) => experiment),
		answers: sections.map((section) => experimentSection(section, manifest)),
		manifests: html`<details class="manifest"><summary>Manifest: everything recorded about this run</summary>
${recordList(manifest)}
</details>
`,
	});
}

/** Several environments on one page: each experiment's question once, and under it every environment's answer. */
export function renderSeveral({ id, startedAt, parts }: SeveralReport): string {
	const measured = parts.flatMap(({ report, heading }) => (report === null ? [] : [{ report, heading }]));
	const experiments = new Map(measured.flatMap(({ report }) =>
		report.sections.map(({ experiment }) => [experiment.name, experiment])));
	return page({
		id,
		startedAt,
		where: 'in the environments below',
		environments: html`${parts.map(({ folder, heading, report, failure }) => html`<h2 class="place">${heading}${report === null ? null : html` ${badge(report)}`}</h2>
${failureNotice(failure, report)}${report === null ? null : html`${agreementNotice(report.sections)}${environmentBox(report.manifest)}${blocksBox(report, `${folder}-`)}`}`)}`,
		claims: sharedClaims(parts),
		experiments: [...experiments.values()],
		answers: [...experiments.values()].map((experiment) => sharedSection(experiment, parts)),
		manifests: html`${measured.map(({ report, heading }) => html`<details class="manifest"><summary>Manifest: everything recorded on ${heading}</summary>
${recordList(report.manifest)}
</details>
`)}`,
	});
}

interface Page {
	id: string;
	startedAt: string;
	where: string;
	environments: Html;
	claims: Html;
	experiments: Array<Section['experiment']>;
	answers: Html[];
	manifests: Html;
}

function page({ id, startedAt, where, environments, claims, experiments, answers, manifests }: Page): string {
	return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>procsnap: ${id}</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
<header>
<p class="overline">procsnap · run ${id} · ${readableTime(startedAt)}</p>
<h1>What a process snapshot costs its target</h1>
<p class="lead">The evaluation of create_proc_snap(), a system call that duplicates a process so that evidence can be taken from the copy while the original goes on, repeated ${where}. Columns marked <span class="source">paper</span> are the paper’s own figures; every other figure was measured in this run.</p>
${environments}</header>
<main>
<section class="summary" id="claims" aria-labelledby="claims-title">
<h2 id="claims-title">The paper’s claims, here</h2>
${claims}</section>
${contents(experiments)}${answers}</main>
<footer>
<section aria-labelledby="method-title">
<h2 id="method-title">How the figures are summarised</h2>
${method()}</section>
${manifests}</footer>
</body>
</html>
`.html;
}

function contents(experiments: Page['experiments']): Html | null {
	if (experiments.length < 2) {
		return null;
	}
	const links = experiments.map(({ name, title }) => html`<li><a href="#${name}">${title}</a></li>\n`);
	return html`<nav aria-label="Experiments"><ul>\n${links}</ul></nav>\n`;
}

function method(): Html {
	return html`<p>A figure is of n rounds. Each block of rounds begins with warm-ups; they and failed rounds are kept in <code>samples.jsonl</code> and left out of the summaries. No other sample is left out: an outlier is a result where availability is the question. Variants were measured in blocks in a seeded random order, so that a disturbance of the machine does not fall on one of them alone.</p>
<p>Quantiles interpolate between the two nearest samples (type 7 of Hyndman and Fan). Intervals hold 95 %: 1,000 bootstrap resamples draw blocks, then rounds of each block, since rounds of one block are more alike than those of two; they are widened as Student’s t is for few blocks, and of fewer than ${LEAST_BLOCKS} blocks none is given. What has no interval is called neither higher nor lower. The 95th percentile is given for ${P95_NEEDS} rounds or more, the 99th for ${P99_NEEDS}: with fewer nothing bounds them from above. The clock is read in C around the operation itself, and what reading it costs is not taken off. 1 KiB is 1,024 bytes, and so is the paper’s KB.</p>
`;
}
