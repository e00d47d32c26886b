/**
 * The words of `doctor`, on one page. Data flows one way:
 * Machine (what its files say, what was measured) -> Check -> Finding -> Verdict -> text or JSON.
 */
import type { Label } from '../store/manifest.ts';
import type { Floors } from '../targets/probes.ts';

/**
 * What figures of a machine can be used for, the least demanding first. Whoever is fit for one is not thereby fit for
 * the next: counts (bytes, calls, faults, instructions), ratios of times within one run, times, worst cases.
 */
export const USES = ['counts', 'ratios', 'times', 'worst cases'] as const;
export type Use = (typeof USES)[number];

/** What a file says, without blanks at its ends; or why that is not known. */
export type Found = { text: string } | { why: string; absent: boolean };

/** All that checks look at. Tests put other machines in its place. */
export interface Machine {
	file: (path: string) => Found;
	/** The paths there are, for a pattern with `*` for a part of a name; in order of their numbers. */
	paths: (pattern: string) => string[];
	label: Label;
	/** What the label was concluded from. */
	evidence: string[];
	/** Of this process: CPUs that it may use. */
	cpus: number[];
	floors: Floors;
}

export interface Judged {
	/** `unknown`: it could not be read or measured, which is never a pass. `told`: nothing is wanted of it. */
	state: 'as wanted' | 'not as wanted' | 'unknown' | 'told';
	/** In words; of `unknown` the reason. */
	found: string;
	/** For what it makes the machine unfit, where that depends on what was found; otherwise the check's `spoils`. */
	spoils?: readonly Use[];
	/** What to do, where that depends on it; otherwise the check's `change`. */
	change?: string;
}

/** One line of the table in checks.ts. `judge` is pure. */
export interface Check {
	/** Unique, for scripts: `governor`. */
	name: string;
	title: string;
	wanted: string;
	/** Why it matters. */
	why: string;
	/** How to change it. */
	change: string;
	/** For what a machine is unfit where it is not as wanted, and not known to be fit where it is unknown. */
	spoils: readonly Use[];
	judge: (machine: Machine) => Judged;
}

export interface Finding extends Required<Judged>, Pick<Check, 'name' | 'title' | 'wanted' | 'why'> {}

export interface Fitness {
	use: Use;
	fit: 'yes' | 'no' | 'unknown';
	/** Names of the checks that speak against it. */
	against: string[];
	/** Names of the checks that would have a say, and are not known. */
	unknown: string[];
}

export interface Verdict {
	fitness: Fitness[];
	/** See EXIT_CODES in verdict.ts. */
	exitCode: number;
}
