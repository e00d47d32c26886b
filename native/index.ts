/**
 * The native core as the rest of the project sees it. Everything that traces a
 * process happens in a small process of its own, the tracer: if this process
 * dies, at whatever moment, the tracer finishes what it has begun, puts the
 * target back, ends the duplicates and goes.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC_RAW, taken in C around the operation
 * itself; the way to the tracer and back is in none of them.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { constants } from 'node:os';
import { readdirSync } from 'node:fs';

/** What a stop did to the target's blocked calls of one kind. */
export interface CallCount {
	/** `epoll_wait`, or `syscall 232` where its name is not known. */
	call: string;
	/** Put back, so that the target does not see the stop. */
	restarted: number;
	/** Among these: the timeout may begin anew. */
	lengthened: number;
	/** Returned early, with less than was asked for, and could not be put back. */
	cut: number;
}

/** What stops did to the target's blocked calls. */
export interface CallCounts {
	/** Blocked calls that would have returned EINTR and were put back. */
	restartedCalls: number;
	/** Among them, those with a relative timeout of which the part gone by could not be told: it starts anew. */
	lengthenedTimeouts: number;
	/** Blocked calls that returned early, with less than was asked for, and could not be put back. */
	cutCalls: number;
	/** The same by call. Of more than 64 kinds of calls only the first are here, and all are in the sums. */
	calls: CallCount[];
}

/** What a duplicate cost, and whom. */
export interface Duplicate extends CallCounts {
	/** The duplicate's process id. It is stopped for ever and reads as the target was. */
	pid: number;
	/** Threads of the target that were stopped for the copy; their registers are in `registers`. */
	threads: number;
	/** From the call to the duplicate being ready to read: what create_proc_snap() costs its caller. */
	takeNs: number;
	/** From the first thread's interruption to the last one's release: the most the target can have been kept. */
	pauseNs: number;
	/** For how long the target had registers or a signal mask that were not its own. */
	windowNs: number;
	/** The clone system call alone, between its entry stop and its exit stop. */
	cloneNs: number;
	/** CLOCK_MONOTONIC_RAW at the moment of the copy: after it and before the release. */
	momentNs: number;
}

/** A duplicate that the kernel made, by create_proc_snap2(): figures as it tells them (kernel-patch/README.md). */
export interface Snapshot {
	/** The duplicate's process id: a child of the tracer's that never runs. */
	pid: number;
	/** Threads of the target; each has a parked task in the duplicate. */
	threads: number;
	/** The system call alone. */
	takeNs: number;
	/** For how long the kernel held the target's mmap_lock: no longer can the target have waited for it. */
	pauseNs: number;
	/** No private page changed after this moment: CLOCK_MONOTONIC_RAW, converted from the kernel's CLOCK_MONOTONIC. */
	momentNs: number;
	/** How long the call waited for that lock. The target runs meanwhile. */
	lockWaitNs: number;
	/** From the moment until the last thread's registers were read. */
	skewNs: number;
	/** Resident pages of 4 KiB taken by reference, and pinned ones, which were copied before the moment. */
	pagesShared: number;
	pagesCopied: number;
	regionsTaken: number;
	/** Of these: shared or special, so that they go on changing. */
	regionsLive: number;
	/** Of these: regions that fork() would have left out or wiped. */
	regionsUncovered: number;
	/** Regions that a driver forbids to copy: they are not in the duplicate. */
	regionsLeftOut: number;
}

/** The counts are of the stop that `pauseNs` is of, and of those of this target that nobody asked for and nobody was told of. */
export interface Ended extends CallCounts {
	/** The kill() call alone. */
	killNs: number;
	/** From the start of kill() until the duplicate's memory is gone and it is no child of anybody. */
	reapNs: number;
	/** How long the target was stopped a second time, to reap its child, or in vain; 0 where that was not needed. */
	pauseNs: number;
	/** How long it was stopped, all in all, to bury duplicates that were left as zombies; what was told before is not told again. */
	unaskedPauseNs: number;
	/** Why the ended duplicate is still in the process table, as a zombie child of the target's; null: it is not. */
	unburied: string | null;
	/** Why the tracer ended the duplicate before it was asked to; null: it did not. */
	endedEarly: string | null;
}

/** One thread's registers. */
export interface ThreadRegisters {
	/** 0: not known (`snapPlain`, all but the first). */
	tid: number;
	/** How long after the moment of the copy they were read; 0 where the target was stopped for both. */
	skewNs: number;
	/** The thread was on a CPU when they were read. */
	running: boolean;
	/** Its AMX tiles are missing in `xstate`. */
	partial: boolean;
	/** struct user_regs_struct of <sys/user.h>, 27 words of 8 bytes. */
	general: Uint8Array;
	/** The XSAVE area as PTRACE_GETREGSET NT_X86_XSTATE gives it. */
	xstate: Uint8Array;
}

/** A component of an XSAVE area beyond x87 and SSE, by its number in XCR0 (2: AVX), and where it lies. */
export interface XsaveComponent { number: number; bytes: number; offset: number }

/** Ways of reading another process's memory, as `read` names them. */
export const WAYS = ['proc-mem-paper', 'proc-mem', 'peek', 'vm-readv', 'memcpy'] as const;
export type Way = (typeof WAYS)[number];

/** The classical way: all of the target's memory, copied while it stood still. The tracer keeps the copy. */
export interface Copy extends CallCounts {
	bytes: number;
	threads: number;
	takeNs: number;
	pauseNs: number;
	/** Bytes of private readable regions that gave an error instead. */
	unreadableBytes: number;
	regions: number;
}

/** What speaks against a duplicate, or is to be known before. */
export interface Reason {
	/** One word for scripts, such as `memory-cgroup`. */
	name: string;
	/** The errno's name with which a take is refused; null: a note. */
	code: string | null;
	/** What, where, the figures, and what to do. */
	text: string;
}

/** What a duplicate by inject would cost, and what speaks against it: procsnap.h, "preflight". */
export interface Preflight {
	reasons: Reason[];
	threads: number;
	residentKib: number;
	/** Page tables, which a duplicate has as well. */
	tablesKib: number;
	/** By how much memory can grow, at most, while a duplicate is there. */
	growthKib: number;
	/** Room under the tightest limit; null: there is none. */
	headroomKib: number | null;
	/** Estimated by forks of the tracer's own, timed now; null: not estimated, since it is refused. */
	pauseNs: number | null;
}

/** A failure of the native core: `code` is the errno's name, the message says what to do. */
export class ProcsnapError extends Error {
	readonly code: string;
	constructor(code: string, message: string) {
		super(message);
		this.name = 'ProcsnapError';
		this.code = code;
	}
}

interface Reply { code: number; message: string; left: string; result: BigInt64Array }

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
	startTracer: (path: string, cpu: number, priority: number, dataBytes: number) =>
		{ process: number; pid: number; socket: number; area: ArrayBuffer; hello: Reply };
	request: (socket: number, op: number, pid: number, timeoutNs: number, ...args: Array<number | bigint>) => Reply;
	stopTracer: (socket: number, pid: number) => boolean;
	snapUnavailable: () => string | null;
	callName: (number: number) => string;
	xsaveComponents: () => XsaveComponent[];
	sizes: () => { registersBytes: number; skewOffset: number; flagsOffset: number; generalOffset: number; generalBytes: number; xstateOffset: number; maxThreads: number };
	steps: string[];
}

const addon = createRequire(import.meta.url)('./build/procsnap.node') as Addon;
const sizes = addon.sizes();

/** The steps of a take and an end, in order; tests kill requester or tracer at each. */
export const STEPS: readonly string[] = addon.steps;

// As in kernel-patch/proc_snap.h.
const RUNNING = 1, PARTIAL = 2;

// As in tracer/protocol.h.
const OP = { inject: 1, end: 2, stopCopy: 3, readCopy: 4, hold: 5, letGo: 6, read: 7, count: 8, hook: 9, snap: 10, registers: 11, check: 12, untold: 13 } as const;

// sizeof(struct ps_reason): code, name[28], text[224].
const REASON_BYTES = 256;

const errnoName = (code: number): string =>
	Object.entries(constants.errno).find(([, value]) => value === -code)?.[0] ?? `errno ${-code}`;

export interface Clock { source: string; resolutionNs: number; overheadNs: number }

/** The clock of every figure, its resolution, and the median time of one reading (measured now, about 3 ms). */
export const clock = (): Clock => addon.clock();

/** CLOCK_MONOTONIC_RAW. */
export const nowNs = (): bigint => addon.nowNs();

/** null if this kernel has create_proc_snap() and lets it be called; otherwise why not, and what to do. */
export const snapUnavailable = (): string | null => addon.snapUnavailable();

// struct ps_calls of procsnap.h: the sums and how many kinds follow, then four numbers for each kind.
const CALLS_HEAD_BYTES = 16, CALL_BYTES = 16, CALL_KINDS = 64;

/** What `bytes`, a struct ps_calls, says of each kind of call. Pure. */
export function callsIn(bytes: Uint8Array): { cutCalls: number; calls: CallCount[] } {
	if (bytes.length < CALLS_HEAD_BYTES) return { cutCalls: 0, calls: [] };
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const int = (at: number): number => view.getInt32(at, true);
	const kinds = Math.min(int(12), CALL_KINDS, Math.floor((bytes.length - CALLS_HEAD_BYTES) / CALL_BYTES));
	const calls = Array.from({ length: Math.max(0, kinds) }, (_, i): CallCount => {
		const at = CALLS_HEAD_BYTES + i * CALL_BYTES;
		return { call: addon.callName(int(at)), restarted: int(at + 4), lengthened: int(at + 8), cut: int(at + 12) };
	});
	return { cutCalls: int(8), calls };
}

function countsIn(bytes: Uint8Array): CallCounts {
	const sums = new DataView(bytes.buffer, bytes.byteOffset, CALLS_HEAD_BYTES);
	return { restartedCalls: sums.getInt32(0, true), lengthenedTimeouts: sums.getInt32(4, true), ...callsIn(bytes) };
}

/** Where this machine's processors keep what in `xstate`: not all of it need be in use here. */
export const xsaveComponents = (): XsaveComponent[] => addon.xsaveComponents();

const allThreads = (pid: number): number[] => readdirSync(`/proc/${pid}/task`).map(Number);

/** Let this process, all threads of it and whatever it starts, run on these CPUs only. Throws if the machine forbids it. */
export function pinProcess(cpus: number[]): void {
	for (const tid of allThreads(process.pid)) {
		const code = addon.setAffinity(tid, ...cpus);
		if (code !== 0 && code !== -constants.errno.ESRCH) throw new ProcsnapError(errnoName(code), `CPU ${cpus.join(', ')} cannot be used: ${errnoName(code)}`);
	}
}

/** Place a process (its first thread) on a CPU, and under SCHED_FIFO where priority is over 0. What failed, or null. */
export function place(pid: number, cpu: number, priority: number): string | null {
	const pinned = addon.setAffinity(pid, cpu);
	if (pinned !== 0) return `sched_setaffinity: ${errnoName(pinned)}`;
	const code = priority > 0 ? addon.setFifo(pid, priority) : 0;
	return code === 0 ? null : `sched_setscheduler: ${errnoName(code)}`;
}

/**
 * Kill a process that is not ours to reap, and wait until its memory is gone. It is moved to `cpu` first (-1: left
 * where it is). Nanoseconds: the kill alone, and from its start until the end.
 */
export const endProcess = (pid: number, cpu: number): { killNs: number; reapNs: number } => addon.endProcess(pid, cpu);

/** Memory shared with a child process that inherits `fd`. */
export class Shared {
	readonly fd: number;
	readonly words: BigInt64Array;
	constructor(bytes: number) {
		const { fd, buffer } = addon.createShared(bytes);
		this.fd = fd;
		this.words = new BigInt64Array(buffer);
	}

	wake(word: number): void {
		addon.futexWake(this.words.buffer as ArrayBuffer, word * 8);
	}

	/** Sleep until a word is at least `value`; false when the time is over. */
	waitFor(word: number, value: number | bigint, timeoutMs: number): boolean {
		return addon.waitFor(this.words.buffer as ArrayBuffer, word * 8, value, timeoutMs);
	}

	/** The child has its own by now; the mapping stays. */
	closeFd(): void {
		addon.closeFd(this.fd);
	}
}

export interface TracerOptions {
	/** CPU that the tracer runs on, and that ended duplicates are cleaned up on. Default: any. */
	cpu?: number;
	/** SCHED_FIFO priority, 0: an ordinary process. */
	priority?: number;
	/** The most that one `read` can return. Default: 64 MiB, of which only what is used takes memory. */
	dataBytes?: number;
	/** How long the tracer waits until a target can be stopped: it runs meanwhile. Default: a second, or stopLimitMs where that is more. */
	timeoutMs?: number;
	/** How long threads that are stopped may wait for others to stop. Default: 50 ms, and 0.1 ms more for each thread. */
	stopLimitMs?: number;
}

/** One tracer process. It holds one duplicate, one copy or one stopped target at a time. */
export class Tracer {
	readonly pid: number;
	/** The CPU that was asked for, -1: any. */
	readonly cpu: number;
	/** What was asked for and not got (`sched_setscheduler: EPERM`). */
	readonly notGot: string[];
	/** The bytes of the last `read`, `readCopy` or `countCalls`, until the next take, hold or end. */
	readonly data: Uint8Array;
	readonly #area: ArrayBuffer;
	readonly #socket: number;
	/** The process that was started; it ends when the tracer, its child, holds nothing any more. */
	readonly #process: number;
	readonly #timeoutNs: number;
	/** 0: the tracer's own. */
	readonly #stopLimitNs: number;
	#registers = 0;
	/** Its registers are read when they are asked for: until then they are in its parked tasks. */
	#unread = false;
	#open = true;
	#lastCalls: CallCounts = { restartedCalls: 0, lengthenedTimeouts: 0, cutCalls: 0, calls: [] };

	private constructor(options: TracerOptions) {
		const { cpu = -1, priority = 0, dataBytes = 64 << 20, stopLimitMs = 0, timeoutMs = Math.max(1000, stopLimitMs) } = options;
		const path = fileURLToPath(new URL('build/procsnap-tracer', import.meta.url));
		const { process: started, pid, socket, area, hello } = addon.startTracer(path, cpu, priority, dataBytes);
		this.pid = pid;
		this.#process = started;
		this.#socket = socket;
		this.#area = area;
		this.cpu = cpu;
		this.#timeoutNs = timeoutMs * 1e6;
		this.#stopLimitNs = stopLimitMs * 1e6;
		this.data = new Uint8Array(area, sizes.registersBytes * sizes.maxThreads);
		this.notGot = ['sched_setaffinity', 'sched_setscheduler', 'oom_score_adj'].flatMap((name, i) =>
			hello.result[i] === 0n ? [] : [`${name}: ${errnoName(Number(hello.result[i]))}`]);
		if (hello.code !== 0) throw new ProcsnapError(errnoName(hello.code), hello.message);
	}

	static start(options: TracerOptions = {}): Tracer {
		return new Tracer(options);
	}

	#ask(op: number, pid: number, ...args: Array<number | bigint>): number[] {
		return this.#answer(op, pid, ...args).result;
	}

	#answer(op: number, pid: number, ...args: Array<number | bigint>): { result: number[]; message: string; left: string } {
		if (!this.#open) throw new ProcsnapError('EBADF', 'this tracer was closed');
		const { code, message, left, result } = addon.request(this.#socket, op, pid, this.#timeoutNs, ...args);
		if (code !== 0) throw new ProcsnapError(errnoName(code), message);
		return { result: Array.from(result, Number), message, left };
	}

	/** Of a request that stops a process: what that did to its blocked calls is told also where the request is refused. */
	#stopping(op: number, pid: number, ...args: number[]): { result: number[]; message: string; left: string } {
		this.data.fill(0, 0, CALLS_HEAD_BYTES);
		try {
			return this.#answer(op, pid, ...args);
		} finally {
			this.#lastCalls = countsIn(this.data);
		}
	}

	/** What the last `inject`, `stopCopy`, `hold`, `end` or `untold` did to blocked calls, whether it was refused or not. */
	get lastCalls(): CallCounts {
		return this.#lastCalls;
	}

	/** What stops of all targets have done that nobody asked for, and that no end has told: the tracer has tried again to bury a duplicate, or a thread came late. */
	untold(): CallCounts & { pauseNs: number } {
		const { result } = this.#stopping(OP.untold, 0);
		return { pauseNs: result[5] as number, ...this.#lastCalls };
	}

	/** A still duplicate of a process, by one clone() in it. See native/duplicate/inject.c. */
	inject(pid: number): Duplicate {
		const [duplicate, threads, takeNs, pauseNs, windowNs, cloneNs, momentNs, , , registers] =
			this.#stopping(OP.inject, pid, this.cpu, this.#stopLimitNs).result as [number, number, number, number, number, number, number, number, number, number];
		this.#haveRegisters(registers);
		return { pid: duplicate, threads, takeNs, pauseNs, windowNs, cloneNs, momentNs, ...this.#lastCalls };
	}

	/** A still duplicate of a process, made by a patched kernel. See native/duplicate/syscall.c. */
	snap(pid: number): Snapshot {
		const [duplicate, threads, takeNs, pauseNs, momentNs, lockWaitNs, skewNs, pagesShared, pagesCopied, regionsTaken, regionsLive,
			regionsUncovered, regionsLeftOut] = this.#ask(OP.snap, pid, 0) as [number, number, number, number, number, number, number,
			number, number, number, number, number, number];
		this.#unread = true;
		return { pid: duplicate, threads, takeNs, pauseNs, momentNs, lockWaitNs, skewNs, pagesShared, pagesCopied, regionsTaken, regionsLive,
			regionsUncovered, regionsLeftOut };
	}

	/** The same by the paper's own call, create_proc_snap(), which tells nothing but the pid. */
	snapPlain(pid: number): Pick<Snapshot, 'pid' | 'threads' | 'takeNs'> {
		const [duplicate, threads, takeNs] = this.#ask(OP.snap, pid, 1) as [number, number, number];
		this.#unread = true;
		return { pid: duplicate, threads, takeNs };
	}

	/** What `inject` would cost and what speaks against it. Nothing is done to the process. */
	check(pid: number): Preflight {
		const [count, threads, residentKib, tablesKib, growthKib, headroomKib, pauseNs] =
			this.#ask(OP.check, pid) as [number, number, number, number, number, number, number];
		const reasons = Array.from({ length: count }, (_, i): Reason => {
			const record = Buffer.from(this.data.buffer, this.data.byteOffset + i * REASON_BYTES, REASON_BYTES);
			const text = (from: number, to: number): string => record.toString('utf8', from, record.subarray(0, to).indexOf(0, from));
			const code = record.readInt32LE(0);
			return { name: text(4, 32), code: code === 0 ? null : errnoName(code), text: text(32, 256) };
		});
		return {
			reasons, threads, residentKib, tablesKib, growthKib,
			headroomKib: headroomKib < 0 ? null : headroomKib, pauseNs: pauseNs < 0 ? null : pauseNs,
		};
	}

	/** Stop, copy everything, let go. */
	stopCopy(pid: number): Copy {
		const [bytes, threads, takeNs, pauseNs, unreadableBytes, regions, , , , registers] =
			this.#stopping(OP.stopCopy, pid, 0, this.#stopLimitNs).result as [number, number, number, number, number, number, number, number, number, number];
		this.#haveRegisters(registers);
		return { bytes, threads, takeNs, pauseNs, unreadableBytes, regions, ...this.#lastCalls };
	}

	/**
	 * End the duplicate, or give up the copy. Where the target cannot be stopped to reap its child, that is `unburied`
	 * and no error: the tracer tries again by itself, until its own end.
	 */
	end(): Ended {
		const { result, message, left } = this.#stopping(OP.end, 0, 0, this.#stopLimitNs);
		const [killNs, reapNs, pauseNs, unburied, early, unaskedPauseNs] = result as [number, number, number, number, number, number];
		return { killNs, reapNs, pauseNs, unaskedPauseNs, unburied: unburied === 1 ? left : null, endedEarly: early === 1 ? message : null, ...this.#lastCalls };
	}

	/** Stop a process until `letGo`; it goes on too if this process or the tracer dies. Returns its number of threads; see `lastCalls`. */
	hold(pid: number): number {
		const [threads, registers] = this.#stopping(OP.hold, pid, 0, this.#stopLimitNs).result as [number, number];
		this.#haveRegisters(registers);
		return threads;
	}

	/** Returns for how many nanoseconds it was held. */
	letGo(): number {
		return this.#ask(OP.letGo, 0)[0] as number;
	}

	/** Read into `data`. `bytes` is short where the region ends. `peek` works on duplicates and held targets only. */
	read(way: Way, pid: number, address: bigint, length: number): { ns: number; bytes: number } {
		const [ns, bytes] = this.#ask(OP.read, pid, WAYS.indexOf(way), address, length) as [number, number];
		return { ns, bytes };
	}

	/** Read from the copy of `stopCopy` into `data`; the number of bytes. */
	readCopy(address: bigint, length: number): number {
		return this.#ask(OP.readCopy, 0, address, length)[1] as number;
	}

	/** System-call number -> how often one read of `length` bytes makes it, counted by an observer. */
	countCalls(way: Way, length: number): Map<number, number> {
		this.#ask(OP.count, 0, WAYS.indexOf(way), length);
		const calls = new Uint32Array(this.data.buffer, this.data.byteOffset, 512);
		return new Map([...calls.entries()].filter(([, count]) => count > 0));
	}

	#haveRegisters(count: number): void {
		this.#registers = count;
		this.#unread = false;
	}

	/** All threads' registers at the moment of the last take or hold; of a snapshot, ask before its end. */
	registers(): ThreadRegisters[] {
		if (this.#unread) this.#haveRegisters(this.#ask(OP.registers, 0)[0] as number);
		return Array.from({ length: this.#registers }, (_, i) => {
			const base = i * sizes.registersBytes;
			const head = new DataView(this.#area, base, sizes.generalOffset);
			return {
				tid: head.getInt32(0, true),
				skewNs: Number(head.getBigInt64(sizes.skewOffset, true)),
				running: (head.getUint32(sizes.flagsOffset, true) & RUNNING) !== 0,
				partial: (head.getUint32(sizes.flagsOffset, true) & PARTIAL) !== 0,
				general: new Uint8Array(this.#area.slice(base + sizes.generalOffset, base + sizes.generalOffset + sizes.generalBytes)),
				xstate: new Uint8Array(this.#area.slice(base + sizes.xstateOffset, base + sizes.xstateOffset + head.getUint32(4, true))),
			};
		});
	}

	/** For tests: at a step of the next take or end, kill the tracer or the requester. */
	killAt(step: string, whom: 'tracer' | 'requester'): void {
		this.#ask(OP.hook, 0, STEPS.indexOf(step), whom === 'tracer' ? 1 : 2);
	}

	/** End what it holds, and the tracer. */
	close(): void {
		if (!this.#open) return;
		this.#open = false;
		addon.stopTracer(this.#socket, this.#process);
	}

	[Symbol.dispose](): void {
		this.close();
	}
}
