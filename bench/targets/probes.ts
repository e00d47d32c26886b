/**
 * What this machine takes, whatever is measured on it: workloads/gaps, first-touch and floors, run and read. Each is a
 * process of its own, since it takes whole CPUs and ends with what it has to say.
 */
import { execFile } from 'node:child_process';
import { messageOf } from '../../common/errors.ts';
import { programPath } from './workload.ts';

/** A figure, or why there is none. */
export type Known<T> = { value: T } | { why: string };

/** Of one CPU: what a loop that reads the clock was not given. All times in ns. */
export interface Gaps {
	cpu: number;
	/** It ran as SCHED_FIFO: then nobody of this machine but interrupts can have taken the CPU. */
	fifo: boolean;
	spunNs: number;
	/** Between two readings more than 10 µs: how many, how long together. */
	count: number;
	lostNs: number;
	/** More than 100 µs, and than 1 ms. */
	over100Us: number;
	over1Ms: number;
	largestNs: number;
	/** How often this machine's scheduler took the CPU away. */
	preempted: number;
}

/** Touching memory page by page of 4 KiB: what was never used, if there is any, and the same amount again. */
export interface FirstTouch {
	/** So much of it was touched. */
	bytes: number;
	/** Of a page, on the average and the median: ns. */
	freshMeanNs: number;
	freshMedianNs: number;
	againMeanNs: number;
	againMedianNs: number;
}

export interface SmallFloors {
	/** getppid(2). */
	callNs: number;
	/** One page of 4 KiB, neither side in a cache. */
	copyNs: number;
	/** From before FUTEX_WAKE on one CPU until the woken thread reads the clock on another; null: there is one CPU. */
	wakeNs: { median: number; p99: number; largest: number; n: number } | null;
	/** clock_getres(CLOCK_MONOTONIC): of timers. */
	timerResolutionNs: number;
}

export interface Floors {
	gaps: Known<Gaps[]>;
	firstTouch: Known<FirstTouch>;
	small: Known<SmallFloors>;
}

/** A probe that says nothing for so long hangs. */
const PATIENCE_MS = 30_000;

export interface ProbeOptions {
	/** SCHED_FIFO of this priority; 0: none. It must be allowed, but for gaps. */
	priority: number;
	/** Ends it. */
	signal?: AbortSignal;
}

/** All CPUs at once, for `ms` of spinning each: a hypervisor that has too few shows it only when all are wanted. */
export const probeGaps = (cpus: readonly number[], ms: number, options: ProbeOptions): Promise<Known<Gaps[]>> =>
	probe('gaps', ['--ms', String(ms), ...fifo(options), ...cpus.map(String)], options, ms);

/** At most so much memory, and so long for the first time; as much of it again, up to 256 MiB. */
export const probeFirstTouch = (
	bytes: number, ms: number, options: ProbeOptions & { cpu: number }
): Promise<Known<FirstTouch>> => {
	const args = ['--bytes', String(bytes), '--ms', String(ms), '--cpu', String(options.cpu), ...fifo(options)];
	return probe('first-touch', args, options, 2 * ms);
};

/** Wakes a thread on `other`, if there is another CPU. */
export const probeSmall = (
	cpu: number, other: number | undefined, options: ProbeOptions
): Promise<Known<SmallFloors>> => {
	const wake = other === undefined ? [] : ['--wake', String(other)];
	return probe('floors', ['--cpu', String(cpu), ...fifo(options), ...wake], options);
};

const fifo = ({ priority }: ProbeOptions): string[] => (priority > 0 ? ['--fifo', String(priority)] : []);

function probe<T>(name: string, args: string[], { signal }: ProbeOptions, ms = 0): Promise<Known<T>> {
	return new Promise((resolve) => {
		const options = { timeout: ms + PATIENCE_MS, killSignal: 'SIGKILL', cwd: '/', signal } as const;
		execFile(programPath(name), args, options, (error, output, said) => {
			if (error !== null) {
				resolve({ why: `workloads/${name}: ${said.trim() || whyEnded(error)}` });
				return;
			}
			try {
				resolve({ value: JSON.parse(output) as T });
			} catch {
				resolve({ why: `workloads/${name} was ended before it had measured` });
			}
		});
	});
}

function whyEnded(error: Error & { killed?: boolean }): string {
	return error.name === 'AbortError' || error.killed === true
		? 'it was ended, since it had not measured in time'
		: messageOf(error).split('\n')[0] ?? '';
}
