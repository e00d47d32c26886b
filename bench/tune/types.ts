/**
 * The words of `tune`, on one page. A knob says which settings it wants; what they were is written down (state.ts)
 * before the first one is changed, and put back from there alone.
 */

/** The machine's files: under a root of its own in tests, which may also end the process at any call. */
export interface Tree {
	root: string;
	/** The text without blanks at its ends; of a list with one in brackets (`always [madvise] never`) that one. */
	read: (path: string) => string;
	/** All choices of such a list, or the words of the text. */
	choices: (path: string) => string[];
	/** Paths for a pattern with `*`, in order of their numbers. */
	paths: (pattern: string) => string[];
	/** Throws Failure: it may not be written. */
	write: (path: string, value: string) => void;
	/** Replaces, or removes (null), the file as a whole; returns when that is on the disk. */
	keep: (path: string, text: string | null) => void;
}

export interface Setting {
	path: string;
	value: string;
	/** The kernel forbids it for some, and nothing tells which (interrupts that it manages): then it stays as it is. */
	mayRefuse?: true;
}

/** One file in knobs/. */
export interface Knob {
	/** As `--knob` and doctor name it. */
	name: string;
	order: number;
	title: string;
	/** What it costs while it is set, or risks. */
	risk: string;
	/** What is to be written on this machine; none: it has nothing of the kind. */
	settings: (tree: Tree) => Setting[];
}

/** One file that is changed, as the state has it. */
export interface Change {
	knob: string;
	path: string;
	before: string;
	after: string;
	mayRefuse: boolean;
}

/** What is written down: /run/procsnap-tune.json. */
export interface State {
	schemaVersion: number;
	/** /proc/sys/kernel/random/boot_id: a boot has reset it all. */
	bootId: string;
	since: string;
	changes: Change[];
}
