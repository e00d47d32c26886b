/**
 * What the tracer can be asked for: operations and the names of their results, as it says itself when it is started.
 * native/tracer/operations.h.
 */
import { Failure } from '../common/errors.ts';

/**
 * The results that native/tracer.ts reads: that the tracer has these, and no others, is seen when it is started. A
 * result `registers` is none of them: it is how many the area has.
 */
export const RESULTS = {
	hello: ['affinityCode', 'priorityCode', 'oomCode', 'pid'],
	inject: [
		'pid', 'threads', 'takeNs', 'pauseNs', 'windowNs', 'cloneNs', 'momentNs', 'leftOutBytes', 'leftOutAt',
		'leftOutPageBytes', 'leftOutRegions', 'leftOutRuns',
	],
	end: ['killNs', 'reapNs', 'pauseNs', 'unaskedPauseNs', 'unburied', 'endedEarly'],
	stopCopy: ['bytes', 'threads', 'takeNs', 'pauseNs', 'unreadableBytes', 'regions'],
	readCopy: ['bytes'],
	hold: ['threads'],
	letGo: ['heldNs'],
	read: ['ns', 'bytes'],
	count: [],
	hook: [],
	snap: [
		'pid', 'threads', 'takeNs', 'pauseNs', 'momentNs', 'lockWaitNs', 'skewNs', 'pagesShared', 'pagesCopied',
		'regionsTaken', 'regionsLive', 'regionsUncovered', 'regionsLeftOut',
	],
	registers: [],
	check: ['reasons', 'threads', 'residentKib', 'tablesKib', 'growthKib', 'headroomKib', 'pauseNs'],
	untold: ['pauseNs'],
	calibrate: ['protectNs', 'unprotectNs'],
	precopy: ['pauseNs', 'windowNs'],
	precopyGoOn: [
		'phase', 'passes', 'attempts', 'bytesRead', 'residentBytes', 'threads', 'takeNs', 'setupPauseNs', 'pauseNs',
		'momentNs', 'writtenPages', 'lastPages', 'longestStepNs', 'imageFile', 'indexFile', 'wholeBytes',
		'copyBytes', 'steps', 'waits', 'waitedNs', 'stepsInRhythm', 'stepsAwake',
	],
} as const;

/** How many threads' registers the area has. */
export const REGISTERS = 'registers';

export type Results<Name extends string> = Record<Name, number>;

/** By an operation's name: its number, and the names of its results in their order. */
export type OperationTable = ReadonlyMap<string, { op: number; results: readonly string[] }>;

const ANEW = 'sh scripts/setup builds native/ anew';
/** `take_ns` is `takeNs` here. */
const camel = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** What the tracer says: a line for each operation, its name and those of its results. Throws Failure. Pure. */
export function operationsIn(text: string): OperationTable {
	const table = new Map<string, { op: number; results: readonly string[] }>();
	for (const [op, line] of text.split('\n').slice(0, -1).entries()) {
		const [name = '', ...results] = line.split(' ').map(camel);
		if (table.has(name)) throw new Failure(`two files of native/tracer/ have an operation ${name}: rename one`);
		table.set(name, { op, results });
	}
	return table;
}

/** Throws Failure where the table has not what native/tracer.ts reads replies by; it may have more operations. Pure. */
export function checkOperations(table: OperationTable): void {
	const sorted = (names: readonly string[] | undefined): string =>
		names?.filter((name) => name !== REGISTERS).sort().join(', ') ?? 'no such operation';
	for (const [name, results] of Object.entries(RESULTS)) {
		const here = sorted(results), there = sorted(table.get(name)?.results);
		if (here !== there)
			throw new Failure(
				`the tracer's operation ${name} is not as native/operations.ts has it (tracer: ${there}; here: ` +
					`${here}): ${ANEW}`
			);
	}
}

/** The operation, which has at least these results. Throws Failure, before anything is asked. Pure. */
export function operationIn(
	table: OperationTable, name: string, results: readonly string[]
): { op: number; results: readonly string[] } {
	const found = table.get(name);
	if (found === undefined)
		throw new Failure(`the tracer has no operation ${name} (it has ${[...table.keys()].join(', ')}): ${ANEW}`);
	const missing = results.filter((result) => result === REGISTERS || !found.results.includes(result));
	if (missing.length > 0)
		throw new Failure(
			`the tracer's operation ${name} has no result ${missing.join(', ')} (it has ${found.results.join(', ')}): ` +
				ANEW
		);
	return found;
}
