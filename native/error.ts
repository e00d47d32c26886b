/** How the native core fails. */
import { constants } from 'node:os';

/** A failure of the native core: `code` is the errno's name, the message says what to do. */
export class ProcsnapError extends Error {
	readonly code: string;
	constructor(code: string, message: string) {
		super(message);
		this.name = 'ProcsnapError';
		this.code = code;
	}
}

export const errnoName = (code: number): string =>
	Object.entries(constants.errno).find(([, value]) => value === -code)?.[0] ?? `errno ${-code}`;
