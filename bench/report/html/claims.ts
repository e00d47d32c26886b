import type { Claim } from '../../types.ts';
import type { Part, Report } from '../model.ts';
import { html, type Html } from './markup.ts';
import { badge } from './section.ts';

const VERDICTS = {
	yes: { mark: '✓', words: 'holds' },
	no: { mark: '✗', words: 'does not hold' },
	undecided: { mark: '~', words: 'undecided' },
	unknown: { mark: '?', words: 'not measured' },
	unjudged: { mark: '–', words: 'not judged' },
} as const;

type Verdict = keyof typeof VERDICTS;

/** One column of the matrix: what one environment says to each claim. */
interface Answers {
	/** Above the column; null where there is only one. */
	heading: Html | null;
	claims: Claim[];
}

/** The paper's claims, then ours beyond it, and what this run says to each: first of all in the report. */
export function claimsSection(claims: readonly Claim[]): Html {
	return matrix([{ heading: null, claims: [...claims] }], html`<p class="tally">${tally(claims)}</p>\n`);
}

/** Each claim once, in a row, and in a column each what every environment says to it. */
export function sharedClaims(parts: readonly Part[]): Html {
	const answers = parts.flatMap(({ heading, report }) => (report === null
		? []
		: [{ name: heading, report, heading: headingOf(heading, report), claims: claimsOf(report) }]));
	const tallies = answers.map(({ name, report, claims }) => html`<li><b>${name}</b> ${badge(report)} ${tally(claims)}</li>\n`);
	return matrix(answers, html`<ul class="tallies">\n${tallies}</ul>\n`);
}

const claimsOf = ({ sections }: Report): Claim[] => sections.flatMap((section) => section.claims);
const headingOf = (name: string, report: Report): Html => html`${name} ${badge(report)}`;
const keyOf = ({ claim, where }: Claim): string => `${claim}\n${where}`;

function matrix(answers: readonly Answers[], tallies: Html): Html {
	const known = [...new Map(answers.flatMap(({ claims }) => claims).map((claim) => [keyOf(claim), claim])).values()];
	if (known.length === 0) {
		return html`<p class="none">No claim of the paper was put to the test in this run.</p>\n`;
	}
	const groups = [
		{ title: 'The paper’s', claims: known.filter(({ ours }) => ours !== true), paper: true },
		{ title: 'Ours, beyond the paper', claims: known.filter(({ ours }) => ours === true), paper: false },
	].filter(({ claims }) => claims.length > 0);
	const head = answers.map(({ heading }) => html`<th scope="col">${heading ?? 'here'}</th>`);
	const body = groups.map(({ title, claims, paper }) => html`<tbody>
<tr class="group"><th scope="rowgroup" colspan="${answers.length + 2}">${title}</th></tr>
${claims.map((claim) => row(claim, answers, paper))}</tbody>
`);
	return html`${tallies}<div class="scroll" role="region" aria-labelledby="claims-title" tabindex="0">
<table class="claims">
<thead><tr><th scope="col">claim</th><th scope="col">paper</th>${head}</tr></thead>
${body}</table>
</div>
`;
}

function row(claim: Claim, answers: readonly Answers[], paper: boolean): Html {
	const cells = answers.map(({ claims }) => {
		const own = claims.find((one) => keyOf(one) === keyOf(claim));
		return own === undefined ? html`<td class="none">not put to the test</td>` : cell(own);
	});
	return html`<tr><th scope="row">${claim.claim} <span class="where">${claim.where}</span></th><td class="${paper ? 'paper' : 'none'}">${paper ? claim.paper : '–'}</td>${cells}</tr>
`;
}

function cell(claim: Claim): Html {
	const verdict = verdictOf(claim), { mark, words } = VERDICTS[verdict];
	const why = claim.undecided === undefined ? null : html`<span class="why">${claim.undecided}</span>`;
	return html`<td class="${verdict}"><span class="verdict"><span aria-hidden="true">${mark}</span> ${claim.unjudged ?? words}</span> ${claim.here}${why}</td>`;
}

function verdictOf({ holds, undecided, unjudged }: Claim): Verdict {
	if (unjudged !== undefined) return 'unjudged';
	if (holds !== null) return holds ? 'yes' : 'no';
	return undecided === undefined ? 'unknown' : 'undecided';
}

function tally(claims: readonly Claim[]): string {
	const own = claims.filter(({ ours }) => ours === true), papers = claims.filter(({ ours }) => ours !== true);
	const parts = [
		...(papers.length === 0 ? [] : [`Of the paper’s ${countOf(papers)}`]),
		...(own.length === 0 ? [] : [`Of ours beyond it, ${countOf(own)}`]),
	];
	return parts.length === 0 ? 'No claim of the paper was put to the test.' : parts.join(' ');
}

/** `5 claims 3 hold, 1 does not, 1 is undecided.` */
function countOf(claims: readonly Claim[]): string {
	const count = (verdict: Verdict): number => claims.filter((claim) => verdictOf(claim) === verdict).length;
	const said = ([
		['yes', 'holds', 'hold'], ['no', 'does not', 'do not'], ['undecided', 'is undecided', 'are undecided'],
		['unknown', 'was not measured', 'were not measured'], ['unjudged', 'is not judged', 'are not judged'],
	] as const).filter(([verdict]) => verdict === 'yes' || count(verdict) > 0)
		.map(([verdict, one, many]) => `${count(verdict)} ${count(verdict) === 1 ? one : many}`);
	return `${claims.length} ${claims.length === 1 ? 'claim' : 'claims'} ${said.join(', ')}.`;
}
