import type { Claim } from '../../types.ts';
import type { Part } from '../model.ts';
import { html, type Html } from './markup.ts';
import { badge } from './section.ts';

const VERDICTS = {
	yes: { mark: '✓', words: 'holds' },
	no: { mark: '✗', words: 'does not hold' },
	unknown: { mark: '?', words: 'not enough samples' },
} as const;

type Verdict = keyof typeof VERDICTS;

/** The paper's claims and what this run says to each, first of all in the report. */
export function claimsSection(claims: readonly Claim[]): Html {
	if (claims.length === 0) {
		return html`<p class="none">No claim of the paper was put to the test in this run.</p>\n`;
	}
	const items = claims.map((claim) => html`<li class="${verdictOf(claim)}">
${verdict(claim)}
<div><p class="claim">${claim.claim} <span class="where">${claim.where}</span></p>
<dl><div><dt>paper</dt><dd>${claim.paper}</dd></div><div><dt>here</dt><dd>${claim.here}</dd></div></dl></div>
</li>
`);
	return html`<p class="tally">${tally(claims)}</p>\n<ol class="claims">\n${items}</ol>\n`;
}

/** Each claim once, and what every environment says to it. */
export function sharedClaims(parts: readonly Part[]): Html {
	const answers = parts.flatMap(({ heading, report }) =>
		(report === null ? [] : [{ heading, report, claims: report.sections.flatMap((section) => section.claims) }]));
	const known = new Map(answers.flatMap(({ claims }) => claims)
		.map((claim) => [`${claim.claim}\n${claim.where}`, claim]));
	if (known.size === 0) {
		return claimsSection([]);
	}
	const tallies = answers.map(({ heading, report, claims }) =>
		html`<li><b>${heading}</b> ${badge(report)} ${claims.length === 0 ? 'No claim of the paper was put to the ' +
			'test.' : tally(claims)}</li>\n`);
	const items = [...known.values()].map(({ claim, where, paper }) => {
		const here = answers.flatMap(({ heading, claims }) => {
			const own = claims.find((one) => one.claim === claim && one.where === where);
			return own === undefined
				? []
				: [
					html`<div class="${verdictOf(own)}"><dt>${heading}</dt><dd>${verdict(own)}<p>${own.here}</p></dd></div>\n`,
				];
		});
		return html`<li>
<p class="claim">${claim} <span class="where">${where}</span></p>
<dl>
<div><dt>paper</dt><dd>${paper}</dd></div>
${here}</dl>
</li>
`;
	});
	return html`<ul class="tallies">\n${tallies}</ul>\n<ol class="claims shared">\n${items}</ol>\n`;
}

function verdict(claim: Claim): Html {
	return html`<p class="verdict"><span aria-hidden="true">${VERDICTS[verdictOf(claim)].mark}</span> ${claim.unjudged ?? VERDICTS[verdictOf(claim)].words}</p>`;
}

function verdictOf({ holds }: Claim): Verdict {
	return holds === null ? 'unknown' : holds ? 'yes' : 'no';
}

function tally(claims: readonly Claim[]): string {
	const own = claims.filter(({ ours }) => ours === true), papers = claims.filter(({ ours }) => ours !== true);
	const ownPart = own.length === 0
		? []
		: [`Of ours beyond it, ${own.filter(({ holds }) => holds === true).length} of ${own.length} hold.`];
	return [...(papers.length === 0 ? [] : [tallyOf(papers)]), ...ownPart].join(' ');
}

function tallyOf(claims: readonly Claim[]): string {
	const judged = claims.filter(({ unjudged }) => unjudged === undefined);
	const count = (verdict: Verdict) => judged.filter((claim) => verdictOf(claim) === verdict).length;
	const parts = [`${count('yes')} of the paper’s ${claims.length} claims hold${count('yes') === 1 ? 's' : ''} here`];
	if (count('no') > 0) {
		parts.push(`${count('no')} ${count('no') === 1 ? 'does' : 'do'} not`);
	}
	if (count('unknown') > 0) {
		parts.push(`for ${count('unknown')} this run has not enough samples`);
	}
	if (judged.length < claims.length) {
		parts.push(`${claims.length - judged.length} cannot be judged by an emulated CPU`);
	}
	return `${parts.join('; ')}.`;
}
