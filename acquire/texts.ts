/** What of evidence is told to people in the same words in several places. Pure. */
import { bytesText, printable } from '../common/format.ts';

/** One for each kind of call that a stop cut. */
export const cutTexts = (calls: ReadonlyArray<{ call: string; cut: number }>): string[] =>
	calls.filter(({ cut }) => cut > 0)
	.map(({ call, cut }) =>
		`${cut} call${cut === 1 ? '' : 's'} of ${printable(call)} returned early to the target, and could not be ` +
			`put back`);

/** Of calls with a timeout, of which a stop could not tell how much was left. */
export const lengthenedTexts = (timeouts: number | null): string[] => (timeouts === null || timeouts === 0 ? [] :
	[`${timeouts} timeout${timeouts === 1 ? '' : 's'} of the target may have begun anew`]);

/** Of evidence of which a part is missing, since the duplicate was ended before all of it was read. */
export const partialText = ({ missingBytes, reason }: { missingBytes: number; reason: string }): string =>
	`partial: ${bytesText(missingBytes)} of the duplicate were not read: ${printable(reason)}`;
