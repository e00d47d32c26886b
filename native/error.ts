/** How the native core fails. */
import { constants } from 'node:os';

import type { CallCounts } from './figures.ts';

/** What a request that was refused has done to its target by then. */
export interface StoppedInVain {
	/** The longest of its stops. */
	pauseNs: number;
	calls: CallCounts;
}

/** A failure of the native core: `code` is the errno's name, the message says what to do. */
export class ProcsnapError extends Error {
	readonly code: string;
	/** null: the request stops nobody, or the tracer is gone and nobody knows. */
	readonly inVain: StoppedInVain | null;
	constructor(code: string, message: string, inVain: StoppedInVain | null = null) {
		super(message);
		this.name = 'ProcsnapError';
		this.code = code;
		this.inVain = inVain;
	}
}

export const errnoName = (code: number): string =>
	Object.entries(constants.errno).find(([, value]) => value === -code)?.[0] ?? `errno ${-code}`;
