/** Real programs whose evidence readers read that nobody here wrote: what is true of the one, what the other says. */
import type { ExecutionContext } from 'ava';

/** A test, or whatever else ends what it has started. */
export type Ends = Pick<ExecutionContext, 'teardown'>;

/** Debian's package of each program that has to be there: `{ gdb: 'gdb' }`. A path is of a file. */
export type Needs = Readonly<Record<string, string>>;

export interface Program {
	name: string;
	needs: Needs;
	/** Seconds, and little to install: `npm test` has it too. */
	small: boolean;
	/** At work, and then where all its threads are known to wait. `folder` is empty. */
	start: (ends: Ends, folder: string) => Promise<Running>;
}

/** What is true of it, for as long as it waits. */
export interface Running {
	pid: number;
	/** What readers are given as its program. */
	executable: string;
	/** Functions that are on one thread's stack, the innermost first, others between them. */
	stacks: string[][];
	/** It has this in its memory: made at run time, so that it is in no file and no argument. */
	text: string;
	/** Readers by whose name there is something else to look for; what else to ask them, and what they have to say. */
	asks?: Partial<Record<string, Ask>>;
	/** Readers that cannot read it of any core, and why. They may say what they like. */
	unfit?: Partial<Record<string, string>>;
	/** The folder that is its root, where that is not everybody's. */
	root?: string;
	/** Mechanisms that refuse it, and what they say. */
	refusedBy?: Partial<Record<string, RegExp>>;
}

export interface Ask {
	/** In the reader's own language. */
	commands?: string[];
	says: RegExp[];
}

export interface Core {
	path: string;
	/** The address of what lies at an offset; null: it is no memory. */
	addressAt: (offset: number) => number | null;
	/** Threads that it must have, and those that it may have. */
	threads: { least: number[]; most: number[] };
}

export interface Reading {
	/** What is not as it should be. */
	faults: string[];
	/** What was said, without what differs from core to core: of two cores of the same still process it is the same. */
	said: string[];
	/** Where each thread is, as the reader sees it: program counters, the innermost first. */
	traces?: Map<number, string[]>;
	/** For the table. */
	detail?: string;
}

export interface Reader {
	name: string;
	needs: Needs;
	/** undefined: of all programs. */
	only?: (program: Running) => boolean;
	read: (core: Core, program: Running) => Promise<Reading>;
}
