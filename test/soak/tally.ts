/** What is counted: by kind, by mechanism, by fault. Pure. */

/** How a take ended. `unclean`: it was taken, and its end reported that something is left. */
export type Outcome = 'taken' | 'refused' | 'unclean' | 'wrong';

export interface KindTally {
	tried: number;
	taken: number;
	/** By reason: the error's first words. */
	refused: Record<string, number>;
	/** Taken, and the end was refused or reported something: by reason. */
	unclean: Record<string, number>;
	/** What the target said of itself, by text. */
	harmed: Record<string, number>;
	/** What docs/inject.md says that a take may do to a call, by text: a harm where the takes have not counted it. */
	documented: Record<string, number>;
	/** How often the takes have counted that. */
	counted: number;
	/** Takes whose counts were lost with the requester or the tracer that was killed. */
	countsLost: number;
	/** By signal or exit code. */
	dead: Record<string, number>;
	/** Would have been a harm, if a fault had not been in force that does the same by itself. */
	excused: number;
	/** Signals that were lost while strace was attached or let go, which loses some by itself (rivals.ts). */
	lostWithRival: number;
	turns: number;
	/** Why this kind cannot be here. */
	unable: string | null;
	/** What was done to it before its first harms were seen. */
	first: Array<{ atSeconds: number; what: string; before: string[] }>;
}

export interface MechanismTally {
	tried: number;
	taken: number;
	/** By reason. */
	refused: Record<string, number>;
}

export interface Tally {
	kinds: Record<string, KindTally>;
	mechanisms: Record<string, MechanismTally>;
	faults: Record<string, number>;
	/** What is wrong besides: a tracer that died by itself, evidence that does not verify. */
	wrong: Record<string, number>;
}

export const emptyTally = (names: readonly string[]): Tally => ({
	kinds: Object.fromEntries(names.map((name) => [name, {
		tried: 0, taken: 0, refused: {}, unclean: {}, harmed: {}, documented: {}, counted: 0, countsLost: 0, dead: {},
		excused: 0, lostWithRival: 0, turns: 0, unable: null, first: [],
	}])),
	mechanisms: {}, faults: {}, wrong: {},
});

export const mechanismIn = ({ mechanisms }: Tally, name: string): MechanismTally =>
	mechanisms[name] ??= { tried: 0, taken: 0, refused: {} };

export function add(counts: Record<string, number>, name: string, by = 1): void {
	counts[name] = (counts[name] ?? 0) + by;
}

export const sum = (counts: Record<string, number>): number =>
	Object.values(counts).reduce((total, count) => total + count, 0);

/** The same error has the same words, whichever process it is about. */
export const reasonOf = (message: string): string =>
	message.replace(/0x[0-9a-f]+/gi, 'N').replace(/\d+/g, 'N').split('\n', 1)[0]!.slice(0, 110);

/** Documented effects that no take has counted. Each take whose counts were lost may have counted one. */
export const uncounted = ({ documented, counted, countsLost }: KindTally): number =>
	Math.max(0, sum(documented) - counted - countsLost);

export interface Totals { tried: number; taken: number; refused: number; unclean: number; harmed: number; dead: number }

export function totals({ kinds }: Tally): Totals {
	const all = Object.values(kinds);
	const of = (count: (kind: KindTally) => number): number => all.reduce((total, kind) => total + count(kind), 0);
	return {
		tried: of(({ tried }) => tried), taken: of(({ taken }) => taken), refused: of(({ refused }) => sum(refused)),
		unclean: of(({ unclean }) => sum(unclean)), harmed: of((kind) => sum(kind.harmed) + uncounted(kind)),
		dead: of(({ dead }) => sum(dead)),
	};
}
