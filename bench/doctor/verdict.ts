/** From what a machine says to what it is fit for. Pure. */
import { messageOf } from '../../common/errors.ts';
import { Unreadable, unknown } from './judging.ts';
import {
	USES, type Check, type Finding, type Fitness, type Judged, type Machine, type Use, type Verdict,
} from './types.ts';

/**
 * By the first use that it is not known to be fit for. 1 and 2 are those of all commands: a failure, wrong usage.
 * Unknown counts as unfit.
 */
export const EXIT_CODES: Record<Use, number> = { 'worst cases': 3, 'times': 4, 'ratios': 5, 'counts': 6 };

export const examine = (machine: Machine, checks: readonly Check[]): Finding[] => checks.map((check) => {
	const { name, title, wanted, why, spoils, change } = check;
	return { name, title, wanted, why, spoils, change, ...judged(check, machine) };
});

/** A check that stumbles over what a machine says has not passed. */
function judged(check: Check, machine: Machine): Judged {
	try {
		return check.judge(machine);
	} catch (error) {
		return unknown(
			error instanceof Unreadable ? error.message : `what was found was not understood: ${messageOf(error)}`
		);
	}
}

export function verdictOf(findings: readonly Finding[]): Verdict {
	const fitness = USES.map((use): Fitness => {
		const named = (state: Finding['state']) => findings
			.filter((finding) => finding.state === state && finding.spoils.includes(use)).map(({ name }) => name);
		const against = named('not as wanted'), notKnown = named('unknown');
		return {
			use, fit: against.length > 0 ? 'no' : notKnown.length > 0 ? 'unknown' : 'yes', against, unknown: notKnown,
		};
	});
	const first = fitness.find(({ fit }) => fit !== 'yes');
	return { fitness, exitCode: first === undefined ? 0 : EXIT_CODES[first.use] };
}
