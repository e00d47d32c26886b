/**
 * Does a guest's clock go right? Its kernel calibrates the processor's counter while
 * it boots. Where a loaded host kept the emulator waiting meanwhile, the result is
 * wrong by any factor (22 was seen), and so is every time that is measured with it,
 * without a word. Pure.
 */

interface Mark { guestS: number; hostS: number }

/** Writing a mark may be late by this, on a loaded host. */
const LATE_S = 0.25;
const TOLERANCE = 0.03;

/** What to tell, or null. The marks are one moment each, by both clocks. */
export function clockFault(from: Mark, to: Mark): string | null {
	const guestS = to.guestS - from.guestS;
	const hostS = to.hostS - from.hostS;
	if (Number.isFinite(guestS - hostS) && Math.abs(guestS - hostS) <= LATE_S + TOLERANCE * hostS) {
		return null;
	}
	return `the guest's clock went wrong: it counted ${guestS.toFixed(2)} s while the host's counted ` +
		`${hostS.toFixed(2)} s, so no time measured in it can be used. A loaded host misleads a guest that ` +
			`calibrates its clock: run it again when the host is quieter`;
}
