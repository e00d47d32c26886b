/** What a copy costs those who make it: this process, its children and the tracer. */
import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import type { Tracer } from '../../../native/index.ts';

/** Of sysconf(_SC_CLK_TCK), on every Linux. */
const NS_PER_CLOCK_TICK = 1e7;
const BLOCK_BYTES = 512;

function readIfThere(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}

const foldersIn = (path: string): string[] => {
	try {
		return readdirSync(path);
	} catch {
		return [];
	}
};

/** A process's threads, as the scheduler counts them. Of threads that have ended by now nothing is known. */
const runNsOf = (pid: number): number => foldersIn(`/proc/${pid}/task`)
	.reduce((sum, tid) => sum + Number(readIfThere(`/proc/${pid}/task/${tid}/schedstat`).split(' ')[0] ?? 0), 0);

/** Of children that have ended and were waited for: cutime and cstime of proc_pid_stat(5), in 1/100 s. */
function childrenNs(): number {
	const fields = readIfThere('/proc/self/stat').replace(/^.*\) /, '').split(' ');
	return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * NS_PER_CLOCK_TICK;
}

/** CPU time by now, in nanoseconds: to be subtracted from a later one. */
export function collectorCpuNs(tracer: Pick<Tracer, 'pid'>): number {
	const { user, system } = process.cpuUsage();
	return (user + system) * 1000 + childrenNs() + runNsOf(tracer.pid);
}

const kib = (text: string, key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);

/** Of files without a name in memory that a process has open: memfd_create(2). */
function memoryFileBytes(pid: number): number {
	return foldersIn(`/proc/${pid}/fd`).reduce((sum, fd) => {
		const path = `/proc/${pid}/fd/${fd}`;
		try {
			return readlinkSync(path).startsWith('/memfd:') ? sum + statSync(path).blocks * BLOCK_BYTES : sum;
		} catch {
			return sum;
		}
	}, 0);
}

/**
 * Memory that a copy takes now, in bytes: the tracer's own, its files in memory, and the page tables of a duplicate
 * (0: there is none). Pages that were copied on write are not in it: they are the target's faults.
 */
export function copyBytes(tracer: Pick<Tracer, 'pid'>, duplicate: number): number {
	const tables = duplicate === 0 ? 0 : kib(readIfThere(`/proc/${duplicate}/status`), 'VmPTE');
	return (kib(readIfThere(`/proc/${tracer.pid}/status`), 'RssAnon') + tables) * 1024 + memoryFileBytes(tracer.pid);
}
