/** The addon and its raw interface, which only native/ knows: native/binding.cc is the other side of it. */
import { createRequire } from 'node:module';
import { codeOf, Failure, messageOf } from '../common/errors.ts';

/**
 * Ways of reading another process's memory, as `read` names them, in the order of native/read/ways.h. Reports show
 * them, and do without the addon: that C has the same is seen when it is loaded.
 */
export const WAYS = ['proc-mem-paper', 'proc-mem', 'peek', 'vm-readv', 'memcpy'] as const;

export type Way = (typeof WAYS)[number];

/** Throws where C's names of ways are not those. Pure. */
export function checkWays(ways: readonly string[]): void {
	if (ways.join() !== WAYS.join())
		throw new Error(
			`the native core's ways of reading are not as native/addon.ts has them (C: ${ways.join(', ')}; here: ` +
				`${WAYS.join(', ')})`
		);
}

/** `results`: in the order of their names; numbers that the operation has no name for are 0. */
interface Reply { code: number; message: string; left: string; results: number[] }

/** Of structs in the shared area, and of numbers in requests: native/binding.cc. */
interface Constants {
	registersBytes: number; skewOffset: number; flagsOffset: number; generalOffset: number; generalBytes: number;
	xstateOffset: number; maxThreads: number;
	/** Bits of a thread's flags. */
	running: number; partial: number;
	/** struct ps_reason. */
	reasonBytes: number; reasonNameOffset: number; reasonTextOffset: number;
	/** struct ps_calls: the sums and how many kinds follow, then four numbers for each kind. */
	callsHeadBytes: number; callBytes: number; callKinds: number; callsBytes: number;
	/** struct ps_spells: how many, then for each the number of its name, a flag, and three numbers of nanoseconds. */
	spellsOffset: number; spellBytes: number; spellStartOffset: number;
	/** So many numbers of system calls are counted. */
	countedCalls: number;
	/** Where in the data the bytes of a request lie, and how many numbers it can have. */
	bytesAt: number; mostNumbers: number;
	/** What a check is for. */
	forInject: number; forPrecopy: number;
	/** The last phase of a precopy; and how its image is divided, in bytes. */
	precopyDone: number; chunkBytes: number;
	/** What a hook does. */
	killTracer: number; killRequester: number;
	steps: string[]; ways: string[];
	/** Of a precopy: what it does to its target, one after the other. */
	parts: string[];
}

export interface Clock { source: string; resolutionNs: number; overheadNs: number }

/** A component of an XSAVE area beyond x87 and SSE, by its number in XCR0 (2: AVX), and where it lies. */
export interface XsaveComponent { number: number; bytes: number; offset: number }

/** What a look at a file has found: `runs` are triples of start, end and categories. `code`: 0 or a negative errno. */
interface Look { code: number; walked: number; runs: Float64Array }

interface Addon {
	createShared: (bytes: number) => { fd: number; buffer: ArrayBuffer };
	closeFd: (fd: number) => void;
	futexWake: (buffer: ArrayBuffer, offset: number) => void;
	waitFor: (buffer: ArrayBuffer, offset: number, value: number | bigint, timeoutMs: number) => boolean;
	nowNs: () => bigint;
	clock: () => Clock;
	setAffinity: (tid: number, ...cpus: number[]) => number;
	setFifo: (tid: number, priority: number) => number;
	endProcess: (pid: number, cpu: number) => { killNs: number; reapNs: number };
	nameFile: (from: string, to: string) => number;
	allocate: (fd: number, bytes: number) => number;
	emptyPart: (fd: number, start: number, bytes: number) => number;
	dropCached: (fd: number, start: number, bytes: number) => number;
	clockSynchronized: () => boolean | null;
	lockFile: (fd: number) => number;
	answerSignals: (text: string) => number;
	stopAnswering: () => void;
	signalAnswered: () => boolean;
	exitNow: (code: number) => never;
	scanPages: (fd: number, start: number, end: number, mostPages: number, budgetMs: number) => Promise<Look>;
	readPages: (fd: number, ranges: Float64Array, from: number, budgetMs: number) => Promise<Look>;
	fileParts: (fd: number, start: number, end: number, budgetMs: number) => Promise<Look>;
	readSome: (fd: number, into: Uint8Array, budgetMs: number) => Promise<Look>;
	startTracer: (path: string, cpu: number, priority: number, dataBytes: number) =>
		{ process: number; socket: number; area: ArrayBuffer; hello: Reply; operations: string };
	request: (
		socket: number, op: number, pid: number, timeoutNs: number, limitNs: number, bytes: number,
		...numbers: Array<number | bigint>
	) => Reply;
	stopTracer: (socket: number, pid: number) => boolean;
	snapUnavailable: () => string | null;
	precopyUnavailable: () => string | null;
	callName: (number: number) => string;
	xsaveComponents: () => XsaveComponent[];
	secretDevice: () => string | null;
	constants: Constants;
}

let loaded: Addon | undefined;

/** Loaded when it is first needed: reports and help do without it. Throws Failure where it cannot be loaded. */
export const addon = (): Addon => loaded ??= load();

function load(): Addon {
	try {
		const found = createRequire(import.meta.url)('./build/procsnap.node') as Addon;
		checkWays(found.constants.ways);
		return found;
	} catch (error) {
		// Node appends a list of who asked for the file.
		const [why] = messageOf(error).split('\n');
		const what = codeOf(error) === 'MODULE_NOT_FOUND' ? '; sh scripts/setup builds it' : '';
		throw new Failure(`the addon cannot be loaded: ${why}${what}`, { cause: error });
	}
}
