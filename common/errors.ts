/**
 * Errors that the user can do something about. The command line prints their
 * message alone; any other error is a bug of ours and is printed with its stack.
 */

/** What, where, and what to do next. Exit code 1. */
export class Failure extends Error {
	override name = 'Failure';
}

/** The command line was wrong: nothing was begun. Exit code 2. */
export class UsageError extends Failure {
	override name = 'UsageError';
}

/** Of a file of /proc: its process was reaped (ENOENT), or ends (ESRCH). */
export const isGone = (error: unknown): boolean => ['ENOENT', 'ESRCH'].includes(codeOf(error) ?? '');

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

/** `ENOSPC` and the like, where the operating system gave one. */
export function codeOf(error: unknown): string | undefined {
	if (!(error instanceof Error) || !('code' in error)) {
		return undefined;
	}
	return typeof error.code === 'string' ? error.code : undefined;
}
