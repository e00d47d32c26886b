/** Backtraces of all threads, as readers print them: is in them what has to be? Pure. */
import type { Core, Running } from './types.ts';

export interface Frame {
	pc: string;
	/** Empty: the reader does not know. */
	name: string;
}

/** Threads that are missing, or too many; functions that are on no stack. */
export function faultsOf(traces: ReadonlyMap<number, Frame[]>, { threads }: Core, { stacks }: Running): string[] {
	const missing = threads.least.filter((tid) => !traces.has(tid));
	const strange = [...traces.keys()].filter((tid) => !threads.most.includes(tid));
	return [
		...(missing.length === 0 ? [] : [`no thread ${missing.join(', ')}`]),
		...(strange.length === 0 ? [] : [`thread ${strange.join(', ')}, which there is not`]),
		...stacks.filter((functions) => ![...traces.values()].some((frames) => hasInOrder(frames, functions)))
			.map((functions) => `no thread has ${functions.join(' < ')}`),
	];
}

function hasInOrder(frames: readonly Frame[], functions: readonly string[]): boolean {
	let at = 0;
	for (const { name } of frames) {
		const wanted = functions[at];
		if (wanted !== undefined && [name, plainName(name)].includes(wanted)) at += 1;
	}
	return at === functions.length;
}

/** libc has several names for one function, and which of them a reader shows is its own business. */
const plainName = (name: string): string => name.replace(/^__GI_/, '').replace(/^__(?:libc_)?(?=[a-z])/, '');

/** Of a function that was inlined there is a frame at the same place. */
export function countersOf(traces: ReadonlyMap<number, Frame[]>): Map<number, string[]> {
	return new Map([...traces].map(([tid, frames]) =>
		[tid, frames.map(({ pc }) => pc.replace(/^0x0*/, '')).filter((pc, i, all) => pc !== all[i - 1])]));
}

export const linesOf = (traces: ReadonlyMap<number, Frame[]>): string[] =>
	[...traces].sort(([a], [b]) => a - b)
		.flatMap(([tid, frames]) => frames.map(({ pc, name }, i) => `${tid} #${i} ${pc} ${name}`));

/**
 * Threads whose trace by elfutils is no part of a debugger's: that has frames of inlined functions and of tail calls
 * besides. Either may end before the other.
 */
export function disagreement(
	elfutils: ReadonlyMap<number, string[]>, debuggers: ReadonlyMap<number, string[]>
): number[] {
	return [...elfutils].filter(([tid, counters]) => {
		const others = debuggers.get(tid) ?? [];
		let last = -1;
		for (const counter of counters) {
			const at = others.indexOf(counter, last + 1);
			if (at < 0) return last < 0 || last < others.length - 1;
			last = at;
		}
		return false;
	}).map(([tid]) => tid);
}
