/** The tracer, and what it can be asked for. */
import { fileURLToPath } from 'node:url';
import { addon, sizes } from './addon.ts';
import { errnoName, ProcsnapError } from './error.ts';
import {
	CALLS_HEAD_BYTES, countsIn, type CallCounts, type Copy, type Duplicate, type Ended, type Preflight, type Reason, type Snapshot,
	type ThreadRegisters,
} from './figures.ts';

/** Ways of reading another process's memory, as `read` names them. */
export const WAYS = ['proc-mem-paper', 'proc-mem', 'peek', 'vm-readv', 'memcpy'] as const;
export type Way = (typeof WAYS)[number];

/** The steps of a take and an end, in order; tests kill requester or tracer at each. */
export const STEPS: readonly string[] = addon.steps;

// As in kernel-patch/proc_snap.h.
const RUNNING = 1, PARTIAL = 2;

// As in tracer/protocol.h.
const OP = { inject: 1, end: 2, stopCopy: 3, readCopy: 4, hold: 5, letGo: 6, read: 7, count: 8, hook: 9, snap: 10, registers: 11, check: 12, untold: 13 } as const;

// sizeof(struct ps_reason): code, name[28], text[224].
const REASON_BYTES = 256;

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
