/** The collector gives way to what the machine is there for. */
import { readdirSync, readFileSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import { parseCpuList } from '../common/cpu-list.ts';
import { livingThread } from '../common/proc/process.ts';
import { pinProcess, type Answering } from '../native/index.ts';

/**
 * The lowest there is, or what PROCSNAP_NICE says: where others never rest, nice 19 gets next to nothing, and the
 * duplicate lives as long. Pure.
 */
export function niceness(setting: string | undefined): number {
	const lowest = constants.priority.PRIORITY_LOW;
	return /^1?\d$/.test(setting ?? '') ? Number(setting) : lowest;
}

/**
 * From now on this process and the threads that it starts have the lowest priority (nice 19, for CPU and disk), and
 * leave alone the CPUs that the target is bound to, if there are others. Not before the duplicate is there: what the
 * target waits for must not wait itself; the tracer, a process of its own, keeps its priority. So does the thread that
 * answers signals; once one has come nothing is given up any more, for whoever has sent it waits for the end.
 */
export function yieldToOthers(target: number, answering?: Answering): void {
	const before = getPriority();
	if (answering?.heard() === true) return;
	usual = before;
	givePriority(niceness(process.env['PROCSNAP_NICE']), answering?.tid);
	if (answering?.heard() === true) {
		givePriority(before);	// it came in between
		return;
	}
	tried(() => {
		const ours = allowedCpus('self');
		const left = cpusLeft(ours, allowedCpus(livingThread(target)));
		if (left.length < ours.length) pinProcess(left);
	});
}

/** Whoever has sent a signal waits for the end: from now on nothing is left to others, where that is allowed. */
export const yieldNoMore = (): void => {
	if (usual !== undefined) givePriority(usual);
};

/** Before it was given up. */
let usual: number | undefined;

function givePriority(nice: number, except?: number): void {
	for (const tid of readdirSync('/proc/self/task').map(Number))
		if (tid !== except) tried(() => setPriority(tid, nice));
}

/** Ours without the target's, unless that leaves none. Pure. */
export function cpusLeft(ours: readonly number[], targets: readonly number[]): number[] {
	const left = ours.filter((cpu) => !targets.includes(cpu));
	return left.length > 0 ? left : [...ours];
}

const allowedCpus = (pid: number | 'self'): number[] =>
	parseCpuList(/^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '');

function tried(action: () => void): void {
	try {
		action();
	} catch {
		// A thread or a target that has ended, or a machine that forbids it: it is a courtesy.
	}
}
