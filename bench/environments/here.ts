/** What this process measures: the host, or the guest that a host booted to run it in. */
import { Failure } from '../../common/errors.ts';
import type { Guest, Label, Manifest } from '../store/manifest.ts';
import { labelFrom, readEvidence } from './label.ts';

/** Set by the environment `guest` for what it runs inside; nobody else should. */
export const GUEST_VARIABLE = 'PROCSNAP_GUEST';

/** What a guest cannot see from inside. */
export interface ToldGuest {
	/** The run's id, drawn by the host. */
	id: string;
	/** How the host is labelled; `emulated` where the guest is emulated. */
	outer: Label;
	guest: Guest;
}

export interface Here {
	environment: Manifest['environment'];
	/** The run's id, where it is given. */
	id: string | undefined;
}

export function describeHere(env = process.env): Here {
	const told = env[GUEST_VARIABLE];
	if (told === undefined || told === '') {
		return { environment: { name: 'host', ...labelFrom(readEvidence()), guest: null }, id: undefined };
	}
	const { id, outer, guest } = parse(told);
	return { environment: { name: 'guest', ...labelFrom(readEvidence(), outer), guest }, id };
}

function parse(text: string): ToldGuest {
	try {
		return JSON.parse(text) as ToldGuest;
	} catch (cause) {
		throw new Failure(`${GUEST_VARIABLE} is set, but it is not what procsnap sets it to: unset it`, { cause });
	}
}
