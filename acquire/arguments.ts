/** What the verbs' arguments mean. */
import { isIP } from 'node:net';
import { UsageError } from '../common/errors.ts';
import { countOption, type Option } from '../common/options.ts';

/** Throws a usage error unless it is a process id. */
export function pidOf(text: string | undefined, verb: string): number {
	if (text === undefined) throw new UsageError(`${verb} wants a process: procsnap ${verb} PID`);
	if (!/^[1-9]\d{0,9}$/.test(text))
		throw new UsageError(`"${text}" is no process id: procsnap ${verb} PID`);
	return Number(text);
}

/** Of the verbs that stop a process. */
export const MAX_STOP: Option = {
	kind: 'one', value: 'MS', help: 'give up rather than let threads wait longer for others to stop',
};

/** undefined: the tracer's own, 50 ms and 0.1 ms more for each thread. */
export const stopLimitOf = (text: string | undefined): number | undefined =>
	(text === undefined ? undefined : countOption('max-stop', text, 1, 60_000));

/** `lab.example:7447`, `10.0.0.1:7447`, `[::1]:7447`; `defaultHost` where a port alone will do. */
export function addressOf(text: string, option: string, defaultHost?: string): { host: string; port: number } {
	const [, bracketed, plain, portText] = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
	const host = bracketed ?? plain ?? defaultHost;
	const port = Number(portText);
	if (host === undefined || portText === undefined || port > 65_535 ||
		(bracketed !== undefined && isIP(bracketed) !== 6)) {
		throw new UsageError(
			`--${option} ${text}: it is ${defaultHost === undefined ? 'HOST:PORT' : 'HOST:PORT or PORT'}, with an ` +
				`IPv6 address in brackets`
		);
	}
	return { host, port };
}
