/** Why there is no evidence, as the user is told. */
import { codeOf, Failure, isGone, messageOf } from '../common/errors.ts';
import { ProcsnapError } from '../native/index.ts';
import type { Toll } from './ending.ts';

export const ENDED_BY_OTHERS =
	'the duplicate was ended by something else than procsnap: a signal, the out-of-memory killer, or the end of its ' +
		'container';

/** The duplicate was there, and it could not be found out what of it to read. */
export class NotPlanned extends Error {
	readonly reason: unknown;
	constructor(reason: unknown) {
		super(messageOf(reason));
		this.reason = reason;
	}
}

/** What the target has lost meanwhile is no reason to fail: it is the duplicate that is gone. */
export function whyLost(error: unknown, toll: Toll | null): unknown {
	const reason = toll?.endedEarly ?? (isGone(error) || error instanceof Failure ? ENDED_BY_OTHERS : null);
	return reason === null ? error : new Failure(`nothing was taken: ${reason}`);
}

/**
 * With what the target has suffered in vain. Tracing another user's process takes one capability, opening its files in
 * /proc another.
 */
export function forUser(error: unknown, toll: Toll | null): unknown {
	const texts = toll?.texts ?? [];
	const withTexts = (text: string): string => [text, ...texts].join('; ');
	if (error instanceof ProcsnapError || (error instanceof Failure && texts.length > 0))
		return new Failure(withTexts(error.message));
	if (codeOf(error) === 'EACCES' && messageOf(error).includes('/proc/')) {
		const text = `no permission to read another user's process (${messageOf(error)})`;
		return new Failure(withTexts(`${text}: run as root, or with CAP_DAC_READ_SEARCH beside CAP_SYS_PTRACE`));
	}
	if (error instanceof Error && texts.length > 0) error.message = withTexts(error.message);
	return error;
}
