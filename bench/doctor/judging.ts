/** What checks have in common. Pure. */
import { USES, type Judged, type Machine, type Use } from './types.ts';

/** This use and all that ask for more. */
export const from = (use: Use): Use[] => USES.slice(USES.indexOf(use));

export const asWanted = (found: string): Judged => ({ state: 'as wanted', found });
export const notAsWanted = (found: string, more: Pick<Judged, 'spoils' | 'change'> = {}): Judged =>
	({ state: 'not as wanted', found, ...more });
export const unknown = (why: string): Judged => ({ state: 'unknown', found: why });
export const told = (found: string): Judged => ({ state: 'told', found });

/** null: there is no such file. Throws, which leaves the check unknown, where it cannot be read. */
export function textAt(machine: Machine, path: string): string | null {
	const found = machine.file(path);
	if ('text' in found) return found.text;
	if (found.absent) return null;
	throw new Unreadable(`${path}: ${found.why}`);
}

/** Caught by examine(). */
export class Unreadable extends Error {}

/** `judge` of a file's text, or why it is not known. `absent`: what it says that there is no such file. */
export function ofFile(
	machine: Machine, path: string, judge: (text: string) => Judged, absent?: Judged
): Judged {
	const found = machine.file(path);
	if ('text' in found) return judge(found.text);
	return found.absent && absent !== undefined ? absent : unknown(`${path}: ${found.why}`);
}

/** One that is wanted: of each file that there is, what it says; `judge` of the different texts. */
export function ofFiles(
	machine: Machine, pattern: string, judge: (texts: string[]) => Judged, absent: Judged
): Judged {
	const paths = machine.paths(pattern);
	if (paths.length === 0) return absent;
	const texts = new Set<string>();
	for (const path of paths) {
		const found = machine.file(path);
		if (!('text' in found)) return unknown(`${path}: ${found.why}`);
		texts.add(found.text);
	}
	return judge([...texts]);
}

/** `always [madvise] never` to `madvise`. */
export const chosen = (text: string): string => /[[(]([\w-]+)[\])]/.exec(text)?.[1] ?? text;

/** `0.4 µs`, `12 µs`, `3.4 ms`. */
export function timeText(ns: number): string {
	if (ns < 1000) return `${Math.round(ns)} ns`;
	if (ns < 1e6) return `${(ns / 1e3).toPrecision(3)} µs`.replace(/\.0+ /, ' ');
	return ns < 1e9 ? `${(ns / 1e6).toPrecision(3)} ms` : `${(ns / 1e9).toFixed(1)} s`;
}

export const percentText = (share: number): string => `${(share * 100).toFixed(share < 0.001 ? 3 : 2)} %`;
