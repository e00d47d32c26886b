import { P99_NEEDS } from '../stats/summarize.ts';
import { claimsSection } from './html/claims.ts';
import { environmentBox, readableTime, statusNotice } from './html/environment.ts';
import { html, trusted, type Html } from './html/markup.ts';
import { recordList } from './html/record.ts';
import { experimentSection } from './html/section.ts';
import { STYLE } from './html/style.ts';
import type { Report } from './model.ts';

/** No script, nothing from elsewhere: if something slipped in, the browser would refuse it. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/** The whole run on one page that needs nothing but itself: the same bytes for the same manifest and samples. */
export function renderHtml({ manifest, sections }: Report): string {
	const claims = sections.flatMap((section) => section.claims);
	return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>procsnap: ${manifest.id}</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
<header>
<p class="overline">procsnap · run ${manifest.id} · ${readableTime(manifest.startedAt)}</p>
<h1>What a process snapshot costs its target</h1>
<p class="lead">The evaluation of create_proc_snap(), a system call that duplicates a process so that evidence can be taken from the copy while the original goes on, repeated on the machine below. Columns marked <span class="source">paper</span> are the paper’s own figures; every other figure was measured in this run.</p>
${statusNotice(manifest)}${environmentBox(manifest)}</header>
<main>
<section class="summary" id="claims" aria-labelledby="claims-title">
<h2 id="claims-title">The paper’s claims, here</h2>
${claimsSection(claims)}</section>
${contents(sections)}${sections.map((section) => experimentSection(section, manifest))}</main>
<footer>
<section aria-labelledby="method-title">
<h2 id="method-title">How the figures are summarised</h2>
${method()}</section>
<details class="manifest"><summary>Manifest: everything recorded about this run</summary>
${recordList(manifest)}
</details>
</footer>
</body>
</html>
`.html;
}

function contents(sections: Report['sections']): Html | null {
	if (sections.length < 2) {
		return null;
	}
	const links = sections.map(({ experiment }) => html`<li><a href="#${experiment.name}">${experiment.title}</a></li>\n`);
	return html`<nav aria-label="Experiments"><ul>\n${links}</ul></nav>\n`;
}

function method(): Html {
	return html`<p>A figure is of n rounds. Each block of rounds begins with warm-ups; they and failed rounds are kept in <code>samples.jsonl</code> and left out of the summaries. No other sample is left out: an outlier is a result where availability is the question. Variants were measured in blocks in a seeded random order, so that a disturbance of the machine does not fall on one of them alone.</p>
<p>Quantiles interpolate between the two nearest samples (type 7 of Hyndman and Fan). The interval of a median is the 95 % percentile interval of 1,000 bootstrap resamples. The 99th percentile is given for ${P99_NEEDS} rounds or more; with fewer it would be the maximum again. The clock is read in C around the operation itself, and what reading it costs is not taken off. 1 KiB is 1,024 bytes, and so is the paper’s KB.</p>
`;
}
