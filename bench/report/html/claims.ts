import type { Claim } from '../../types.ts';
import { html, type Html } from './markup.ts';

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
	const items = claims.map((claim) => {
		const verdict = verdictOf(claim);
		return html`<li class="${verdict}">
<p class="verdict"><span aria-hidden="true">${VERDICTS[verdict].mark}</span> ${VERDICTS[verdict].words}</p>
<div><p class="claim">${claim.claim} <span class="where">${claim.where}</span></p>
<dl><div><dt>paper</dt><dd>${claim.paper}</dd></div><div><dt>here</dt><dd>${claim.here}</dd></div></dl></div>
</li>
`;
	});
	return html`<p class="tally">${tally(claims)}</p>\n<ol class="claims">\n${items}</ol>\n`;
}

function verdictOf({ holds }: Claim): Verdict {
	return holds === null ? 'unknown' : holds ? 'yes' : 'no';
}

function tally(claims: readonly Claim[]): string {
	const count = (verdict: Verdict) => claims.filter((claim) => verdictOf(claim) === verdict).length;
	const parts = [`${count('yes')} of the paper’s ${claims.length} claims hold${count('yes') === 1 ? 's' : ''} here`];
	if (count('no') > 0) {
		parts.push(`${count('no')} ${count('no') === 1 ? 'does' : 'do'} not`);
	}
	if (count('unknown') > 0) {
		parts.push(`for ${count('unknown')} this run has not enough samples`);
	}
	return `${parts.join('; ')}.`;
}
