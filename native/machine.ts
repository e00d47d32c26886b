/** This machine and this process on it: the clock, CPUs and priorities, what the kernel and the processors have. */
import { readdirSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { constants } from 'node:os';
import { Failure } from '../common/errors.ts';
import { addon, type Clock, type XsaveComponent } from './addon.ts';
import { errnoName, ProcsnapError } from './error.ts';

/** The clock of every figure, its resolution, and the median time of one reading (measured now, about 3 ms). */
export const clock = (): Clock => addon().clock();

/** CLOCK_MONOTONIC_RAW. */
export const nowNs = (): bigint => addon().nowNs();

/** Does a time service keep this machine's clock right? null: the kernel does not tell. adjtimex(2). */
export const clockSynchronized = (): boolean | null => addon().clockSynchronized();

/** Who answers signals. */
export interface Answering {
	/** Is to keep its priority. */
	tid: number;
	/** A signal came. Known before JavaScript's listeners hear of it. */
	heard: () => boolean;
	/** What it would say is not so any more. */
	stop: () => void;
}

/**
 * From now on the first SIGINT, SIGTERM or SIGHUP that is listened to is answered with this text on standard error,
 * also while JavaScript is busy, and where this process has the lowest priority beside others that never rest; its
 * threads get back the priority that they have now, where that is allowed. Listeners hear of the signal as ever. Once
 * in a process. Throws Failure where there is no thread for it.
 */
export function answerSignals(text: string): Answering {
	const tid = addon().answerSignals(text);
	if (tid < 0) throw new Failure(`no thread to answer signals: ${errnoName(tid)}`);
	return { tid, heard: () => addon().signalAnswered(), stop: () => addon().stopAnswering() };
}

/** One Ctrl-C can arrive twice: from the terminal, and again from npm, which passes it on. */
const ECHO_MS = 500;

/**
 * Ends this process as soon as what it has written to its standard streams has been passed on, whoever reads them.
 * process.exit() of Node 24 loses a part of that where they are sockets, and it waits for V8's compiler threads, one of
 * which may wait for a garbage collection that the main thread makes no more: beside stress-ng 1 of some 220 takes was
 * over and did not end. exit_group(2) waits for nobody. A reader that never reads would be waited for without end: a
 * signal ends that, but not before what may still be the echo of an earlier signal is over. The exit code stays what it
 * was to be: what was asked for has been done by now, or has failed.
 */
export async function exitNow(code: number, echoMs = ECHO_MS): Promise<never> {
	const echoesEnd = performance.now() + echoMs;
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
		process.on(signal, () => setTimeout(() => end(code), echoesEnd - performance.now()));
	await Promise.all([process.stdout, process.stderr].map((stream) => passedOn(stream)));
	flushCompileCache();
	return addon().exitNow(code);
}

function end(code: number): never {
	try {
		return addon().exitNow(code);
	} catch {
		// There is no addon. This is cli.ts's own end.
		return process.exit(code);	// eslint-disable-line no-restricted-properties
	}
}

/** The callback comes after those of all writes before; with an error where nobody reads any more. */
const passedOn = (stream: NodeJS.WriteStream): Promise<void> =>
	new Promise((resolve) => stream.write('', () => resolve()));

/** null if this kernel has create_proc_snap() and lets it be called; otherwise why not, and what to do. */
export const snapUnavailable = (): string | null => addon().snapUnavailable();

/** null if this kernel has what precopy is made of, and this process may use it; otherwise what is missing. */
export const precopyUnavailable = (): string | null => addon().precopyUnavailable();

/** Where this machine's processors keep what in `xstate`: not all of it need be in use here. */
export const xsaveComponents = (): XsaveComponent[] => addon().xsaveComponents();

/**
 * The device, as /proc/PID/maps writes it, that all memory of memfd_secret(2) has, and nothing else. null: this kernel
 * has no such memory, or does not let this process make any.
 */
export const secretDevice = (): string | null => addon().secretDevice();

const allThreads = (pid: number): number[] => readdirSync(`/proc/${pid}/task`).map(Number);

/**
 * Let this process, all threads of it and whatever it starts, run on these CPUs only. Throws if the machine forbids
 * it.
 */
export function pinProcess(cpus: number[]): void {
	for (const tid of allThreads(process.pid)) {
		const code = addon().setAffinity(tid, ...cpus);
		if (code !== 0 && code !== -constants.errno.ESRCH)
			throw new ProcsnapError(errnoName(code), `CPU ${cpus.join(', ')} cannot be used: ${errnoName(code)}`);
	}
}

/** Place a process (its first thread) on a CPU, and under SCHED_FIFO where priority is over 0. What failed, or null. */
export function place(pid: number, cpu: number, priority: number): string | null {
	const pinned = addon().setAffinity(pid, cpu);
	if (pinned !== 0) return `sched_setaffinity: ${errnoName(pinned)}`;
	const code = priority > 0 ? addon().setFifo(pid, priority) : 0;
	return code === 0 ? null : `sched_setscheduler: ${errnoName(code)}`;
}

/**
 * Kill a process that is not ours to reap, and wait until its memory is gone. It is moved to `cpu` first (-1: left
 * where it is). Nanoseconds: the kill alone, and from its start until the end.
 */
export const endProcess = (pid: number, cpu: number): { killNs: number; reapNs: number } =>
	addon().endProcess(pid, cpu);

/**
 * What is open at `from`, a path in /proc/PID/fd, has the name `to` from now on, also if it had none (open(2),
 * O_TMPFILE). Throws ProcsnapError: the file system has no such files, or it was removed.
 */
export function nameFile(from: string, to: string): void {
	const code = addon().nameFile(from, to);
	if (code !== 0) throw new ProcsnapError(errnoName(code), `${to} cannot be made: ${errnoName(code)}`);
}

/**
 * A file has room for so many bytes on its disk from now on (fallocate(2)). Throws ProcsnapError: EOPNOTSUPP where its
 * file system cannot keep room.
 */
export function allocate(fd: number, bytes: number): void {
	const code = addon().allocate(fd, bytes);
	if (code !== 0) throw new ProcsnapError(errnoName(code), `no room for ${bytes} bytes: ${errnoName(code)}`);
}

/** So many bytes are zeros from now on, and take no room (fallocate(2)). Throws ProcsnapError. */
export function emptyPart(fd: number, start: number, bytes: number): void {
	const code = addon().emptyPart(fd, start, bytes);
	if (code !== 0) throw new ProcsnapError(errnoName(code), `a part of a file cannot be emptied: ${errnoName(code)}`);
}

/**
 * What an open file has on its disk, from `start` on, leaves memory, and what it has not, is sent there, if the kernel
 * takes the hint (posix_fadvise(2), POSIX_FADV_DONTNEED). `bytes` 0: up to its end.
 */
export const dropCached = (fd: number, start = 0, bytes = 0): void => {
	addon().dropCached(fd, start, bytes);
};

/**
 * Nobody else can lock what is open there until it is closed (flock(2)), which the kernel does for a process that was
 * killed. false: somebody else has it. Throws ProcsnapError: its file system cannot do that.
 */
export function lockFile(fd: number): boolean {
	const code = addon().lockFile(fd);
	if (code === 0) return true;
	if (errnoName(code) === 'EAGAIN') return false;
	throw new ProcsnapError(errnoName(code), `it cannot be locked: ${errnoName(code)}`);
}
