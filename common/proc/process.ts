/** What /proc tells of a process without touching its memory: proc(5). */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { textOf } from '../bytes-text.ts';
import { Failure, isGone } from '../errors.ts';
import { parseRegions, type Region } from './regions.ts';

/** Who a process is, whatever it executes. Texts of the kernel's are as common/bytes-text.ts reads them. */
export interface Identity {
	pid: number;
	ppid: number;
	uid: number;
	gid: number;
	/** Clock ticks after boot, field 22 of /proc/PID/stat: with the pid it names a process for good. */
	startTicks: number;
	/** `pid:[4026531836]` and the like. */
	namespaces: Record<string, string>;
	cgroup: string;
	workingDirectory: string;
}

/** What a process executes. */
export interface Executed {
	command: string;
	commandLine: string[];
	/** Path of the program, as the kernel has it; ` (deleted)` where there is no such file any more. */
	program: string;
}

/** What /proc/PID/stat and status say of the process. */
export interface ProcessNote {
	pid: number;
	ppid: number;
	pgrp: number;
	sid: number;
	uid: number;
	gid: number;
	nice: number;
	/** `R`, `S` ... */
	state: string;
	/** At most 15 bytes are kept. */
	command: string;
	/** At most 79 bytes are kept. */
	commandLine: string;
}

export interface Counters {
	minorFaults: number;
	majorFaults: number;
	residentKiB: number;
	swappedKiB: number;
}

const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'];

/** Of this very thread. Throws Failure where the process is no more, or what read(2) gives. */
function text(tid: number, file: string): string {
	try {
		return textOf(readFileSync(`/proc/${tid}/${file}`));
	} catch (error) {
		throw isGone(error) && !existsSync(`/proc/${tid}/stat`) ? gone(tid) : error;
	}
}

export const gone = (pid: number): Failure =>
	new Failure(
		`process ${pid} has no memory: it has ended, or there is none, or it is a kernel thread; nothing was taken`
	);

/** Fields 3 and on of /proc/PID/stat: the command before them may have spaces and parentheses. */
function statFields(pid: number): string[] {
	const line = text(pid, 'stat');
	return line.slice(line.lastIndexOf(')') + 2).split(' ');
}

const field = (fields: readonly string[], number: number): number => Number(fields[number - 3]);

const statusNumber = (status: string, key: string): number =>
	Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(status)?.[1] ?? 0);

/** The process itself; or, where its first thread has ended and others go on, one of those. */
export function livingThread(pid: number): number {
	const lives = (tid: number): boolean => !['Z', 'X', undefined].includes(tried(() => statFields(tid))?.[0]);
	if (lives(pid)) return pid;
	return (tried(() => readdirSync(`/proc/${pid}/task`)) ?? []).map(Number).find(lives) ?? pid;
}

/**
 * `action` by way of a thread that lives: of one that has ended /proc tells nothing of memory, files, root and
 * namespaces. Where that one ends meanwhile, and others go on, by another one.
 */
export function byLivingThread<T>(pid: number, action: (thread: number) => T): T {
	const thread = livingThread(pid);
	try {
		return action(thread);
	} catch (error) {
		if (livingThread(pid) === thread) throw error;
		return byLivingThread(pid, action);
	}
}

const livingText = (pid: number, file: string): string => byLivingThread(pid, (thread) => text(thread, file));

export function countersOf(pid: number): Counters {
	const fields = statFields(pid), status = livingText(pid, 'status');
	return {
		minorFaults: field(fields, 10), majorFaults: field(fields, 12),
		residentKiB: statusNumber(status, 'VmRSS'), swappedKiB: statusNumber(status, 'VmSwap'),
	};
}

/** For NT_PRPSINFO. */
export function processNote(pid: number): ProcessNote {
	const fields = byLivingThread(pid, statFields), status = livingText(pid, 'status');
	return {
		pid, ppid: field(fields, 4), pgrp: field(fields, 5), sid: field(fields, 6), nice: field(fields, 19),
		state: fields[0] ?? '?',
		uid: statusNumber(status, 'Uid'), gid: statusNumber(status, 'Gid'),
		command: text(pid, 'comm').replace(/\n$/, ''), commandLine: commandLine(pid).join(' '),
	};
}

const commandLine = (pid: number): string[] => livingText(pid, 'cmdline').split('\0').slice(0, -1);

/** As of now. Throws Failure where the process is no more, or what read(2) gives. */
export function identify(pid: number): Identity {
	const fields = statFields(pid), status = livingText(pid, 'status');
	return {
		pid, ppid: field(fields, 4), uid: statusNumber(status, 'Uid'), gid: statusNumber(status, 'Gid'),
		startTicks: field(fields, 22),
		namespaces: Object.fromEntries(NAMESPACES.flatMap((name) => {
			const link = tried(() => byLivingThread(pid, (thread) => readlinkSync(`/proc/${thread}/ns/${name}`)));
			return link === null ? [] : [[name, link]];
		})),
		cgroup: livingText(pid, 'cgroup').trimEnd(), workingDirectory: tried(() => linkOf(pid, 'cwd')) ?? '',
	};
}

/** What it executes now. No file system is asked. Throws like identify(): ENOENT where it is a kernel thread. */
export const executedBy = (pid: number): Executed => ({
	command: text(pid, 'comm').replace(/\n$/, ''), commandLine: commandLine(pid), program: linkOf(pid, 'exe'),
});

const linkOf = (pid: number, name: string): string =>
	byLivingThread(pid, (thread) => textOf(readlinkSync(`/proc/${thread}/${name}`, { encoding: 'buffer' })));

/** Is it gone, or a zombie that its parent has not reaped yet? */
export const hasEnded = (pid: number): boolean => /^[ZX]$/.test(tried(() => statFields(pid))?.[0] ?? 'X');

/** Its pid may be another process's by now. */
export const startTicksOf = (pid: number): number => field(statFields(pid), 22);

/** Of a duplicate `smaps`, which walks its page tables; of a target `maps`, which does not. */
export const regionsOf = (pid: number, file: 'maps' | 'smaps'): Region[] => byLivingThread(pid, (thread) => {
	const regions = parseRegions(text(thread, file));
	// What is ending has no memory any more, and none is what a process never has.
	if (regions.length === 0) throw gone(pid);
	return regions;
});

/** The bits of /proc/PID/coredump_filter, core(5): what a core that the kernel makes has. null: not to be read. */
export function coredumpFilterOf(pid: number): number | null {
	const value = parseInt(tried(() => livingText(pid, 'coredump_filter')) ?? '', 16);
	return Number.isNaN(value) ? null : value;
}

export const auxvOf = (pid: number): Buffer =>
	byLivingThread(pid, (thread) => readFileSync(`/proc/${thread}/auxv`));

function tried<T>(action: () => T): T | null {
	try {
		return action();
	} catch {
		return null;	// not there, or not ours to see
	}
}
