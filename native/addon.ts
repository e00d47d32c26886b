/** The addon and its raw interface, which only native/ knows: native/binding.cc is the other side of it. */
import { createRequire } from 'node:module';
import { codeOf, Failure, messageOf } from '../common/errors.ts';

/**
 * The results of each operation, by the names of native/tracer/protocol.h. The types of replies come from here; that C
 * has these operations and results, and no others, is seen when the addon is loaded.
 */
const RESULTS = {
	hello: ['affinityCode', 'priorityCode', 'oomCode', 'pid'],
	inject: [
		'pid', 'threads', 'takeNs', 'pauseNs', 'windowNs', 'cloneNs', 'momentNs', 'registers', 'leftOutBytes',
		'leftOutAt', 'leftOutPageBytes', 'leftOutRegions', 'leftOutRuns',
	],
	end: ['killNs', 'reapNs', 'pauseNs', 'unaskedPauseNs', 'unburied', 'endedEarly'],
	stopCopy: ['bytes', 'threads', 'takeNs', 'pauseNs', 'unreadableBytes', 'regions', 'registers'],
	readCopy: ['bytes'],
	hold: ['threads', 'registers'],
	letGo: ['heldNs'],
	read: ['ns', 'bytes'],
	count: [],
	hook: [],
	snap: [
		'pid', 'threads', 'takeNs', 'pauseNs', 'momentNs', 'lockWaitNs', 'skewNs', 'pagesShared', 'pagesCopied',
		'regionsTaken', 'regionsLive', 'regionsUncovered', 'regionsLeftOut',
	],
	registers: ['registers'],
	check: ['reasons', 'threads', 'residentKib', 'tablesKib', 'growthKib', 'headroomKib', 'pauseNs'],
	untold: ['pauseNs'],
	calibrate: ['protectNs', 'unprotectNs'],
	precopy: ['pauseNs', 'windowNs'],
	precopyGoOn: [
		'phase', 'passes', 'attempts', 'bytesRead', 'residentBytes', 'threads', 'registers', 'takeNs', 'setupPauseNs',
		'pauseNs', 'momentNs', 'writtenPages', 'lastPages', 'longestStepNs', 'imageFile', 'indexFile', 'wholeBytes',
		'copyBytes', 'steps', 'waits', 'waitedNs', 'stepsInRhythm', 'stepsAwake',
	],
} as const;

/**
 * Ways of reading another process's memory, as `read` names them, in the order of native/read/ways.h. Reports show
 * them, and do without the addon: that C has the same is seen when it is loaded.
 */
export const WAYS = ['proc-mem-paper', 'proc-mem', 'peek', 'vm-readv', 'memcpy'] as const;

export type Way = (typeof WAYS)[number];

export type Operation = keyof typeof RESULTS;
export type Results<Op extends Operation> = Record<(typeof RESULTS)[Op][number], number>;

/** C's table: the number of each operation, and its results' names. */
export type OperationTable = Record<string, { op: number; results: readonly string[] }>;

/** Throws where C's table is not the one that TypeScript reads replies by. Pure. */
export function checkOperations(table: OperationTable): void {
	const sorted = (names: readonly string[] | undefined): string =>
		names?.toSorted().join(', ') ?? 'no such operation';
	for (const name of new Set([...Object.keys(RESULTS), ...Object.keys(table)])) {
		const here = sorted((RESULTS as Record<string, readonly string[]>)[name]), there = sorted(table[name]?.results);
		if (here !== there)
			throw new Error(
				`the native core's operation ${name} is not as native/addon.ts has it (C: ${there}; here: ${here}): ` +
					`make -C native clean all builds it anew`
			);
	}
}

/** The same of the names of ways. */
export function checkWays(ways: readonly string[]): void {
	if (ways.join() !== WAYS.join())
		throw new Error(
			`the native core's ways of reading are not as native/addon.ts has them (C: ${ways.join(', ')}; here: ` +
				`${WAYS.join(', ')})`
		);
}

interface Reply { code: number; message: string; left: string; result: Record<string, number> }

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
		{ process: number; pid: number; socket: number; area: ArrayBuffer; hello: Reply };
	request: (socket: number, op: number, pid: number, timeoutNs: number, ...args: Array<number | bigint>) => Reply;
	stopTracer: (socket: number, pid: number) => boolean;
	snapUnavailable: () => string | null;
	precopyUnavailable: () => string | null;
	callName: (number: number) => string;
	xsaveComponents: () => XsaveComponent[];
	secretDevice: () => string | null;
	constants: Constants;
	operations: Record<Operation, { op: number; results: readonly string[] }>;
}

let loaded: Addon | undefined;

/** Loaded when it is first needed: reports and help do without it. Throws Failure where it cannot be loaded. */
export const addon = (): Addon => loaded ??= load();

function load(): Addon {
	try {
		const found = createRequire(import.meta.url)('./build/procsnap.node') as Addon;
		checkOperations(found.operations);
		checkWays(found.constants.ways);
		return found;
	} catch (error) {
		// Node appends a list of who asked for the file.
		const [why] = messageOf(error).split('\n');
		const what = codeOf(error) === 'MODULE_NOT_FOUND' ? '; sh scripts/setup builds it' : '';
		throw new Failure(`the addon cannot be loaded: ${why}${what}`, { cause: error });
	}
}
