import { agreementOf, isUnfit, MOST_DISAGREEMENT, type Agreement, type Splits } from '../../stats/agreement.ts';
import type { Section } from '../model.ts';
import { html, type Html } from './markup.ts';

/** So many cells are named; the others are counted. */
const NAMED = 5;

/** Whether the run agrees with itself: first of all where it does not, since no figure of it is fit then. */
export function agreementNotice(sections: readonly Section[]): Html | null {
	const agreement = agreementOf(sections.map(({ results }) => results));
	const { atRandom, unparted } = agreement;
	if (atRandom.made === 0) {
		return html`<p class="quiet">Whether this run agrees with itself cannot be told: no cell has blocks enough to be parted into halves.</p>\n`;
	}
	const few = unparted === 0 ? '' : ` ${unparted} cells have too few blocks to be parted.`;
	const figures = html`Cells whose blocks, parted into halves at random, have intervals that do not touch: ${shareOf(atRandom)}; earlier half against later half: ${shareOf(agreement.inTime)}.${few}`;
	return isUnfit(agreement)
		? html`<p class="notice" role="note"><b>This run is not fit to be cited.</b> ${figures} More than ${100 * MOST_DISAGREEMENT} % means that the machine changed while it was measured, or that blocks are too few.${named(agreement)}</p>\n`
		: html`<p class="quiet">The run agrees with itself. ${figures}</p>\n`;
}

function named({ drifted }: Agreement): string {
	if (drifted.length === 0) return '';
	const more = drifted.length > NAMED ? ` and ${drifted.length - NAMED} more` : '';
	return ` Earlier and later half differ in: ${drifted.slice(0, NAMED).join('; ')}${more}.`;
}

const shareOf = ({ made, apart }: Splits): string => `${apart} of ${made}`;
