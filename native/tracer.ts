/** The tracer, and what it can be asked for. */
import { fileURLToPath } from 'node:url';
import { Failure, messageOf } from '../common/errors.ts';
import { addon, WAYS, type Operation, type Results, type Way } from './addon.ts';
import { errnoName, ProcsnapError } from './error.ts';
import {
	countsIn, spellsIn, type Calibration, type CallCounts, type Copy, type Duplicate, type Ended, type Precopy,
	type Preflight, type Reason, type Snapshot,
	type ThreadRegisters,
} from './figures.ts';
import { leftOutIn } from './left-out.ts';

const MOST_PATH_BYTES = 4096;

/** The steps of a take and an end, in order; tests kill requester or tracer at each. */
export const steps = (): readonly string[] => addon().constants.steps;

export interface TracerOptions {
	/** CPU that the tracer runs on, and that ended duplicates are cleaned up on. Default: any. */
	cpu?: number;
	/** SCHED_FIFO priority, 0: an ordinary process. */
	priority?: number;
	/** The most that one `read` can return. Default: 64 MiB, of which only what is used takes memory. */
	dataBytes?: number;
	/**
	 * How long the tracer waits until a target can be stopped: it runs meanwhile. Default: a second, or stopLimitMs
	 * where that is more.
	 */
	timeoutMs?: number;
	/**
	 * How long threads that are stopped may wait for others to stop. Default: 50 ms, and 0.1 ms more for each thread.
	 */
	stopLimitMs?: number;
}

const NO_CALLS: CallCounts = { restartedCalls: 0, lengthenedTimeouts: 0, cutCalls: 0, calls: [] };

/** Its memory counts as a file. Throws Failure. */
function startedAs(...how: Parameters<ReturnType<typeof addon>['startTracer']>): ReturnType<
	ReturnType<typeof addon>['startTracer']
> {
	const { startTracer } = addon();
	try {
		return startTracer(...how);
	} catch (error) {
		throw new Failure(
			`the tracer cannot be started: ${messageOf(error)}${messageOf(error).includes('File too large') ? ' (ulimit -f)' : ''}`
		);
	}
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
	readonly #constants = addon().constants;
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
	#lastCalls: CallCounts = NO_CALLS;

	private constructor(options: TracerOptions) {
		const {
			cpu = -1, priority = 0, dataBytes = 64 << 20, stopLimitMs = 0, timeoutMs = Math.max(1000, stopLimitMs),
		} = options;
		const path = fileURLToPath(new URL('build/procsnap-tracer', import.meta.url));
		const { process: started, pid, socket, area, hello } = startedAs(path, cpu, priority, dataBytes);
		this.pid = pid;
		this.#process = started;
		this.#socket = socket;
		this.#area = area;
		this.cpu = cpu;
		this.#timeoutNs = timeoutMs * 1e6;
		this.#stopLimitNs = stopLimitMs * 1e6;
		this.data = new Uint8Array(area, this.#constants.registersBytes * this.#constants.maxThreads);
		const { affinityCode, priorityCode, oomCode } = hello.result as Results<'hello'>;
		this.notGot = Object.entries({
			sched_setaffinity: affinityCode, sched_setscheduler: priorityCode, oom_score_adj: oomCode,
		})
			.flatMap(([name, code]) => code === 0 ? [] : [`${name}: ${errnoName(code)}`]);
		if (hello.code !== 0) throw new ProcsnapError(errnoName(hello.code), hello.message);
	}

	/** Of the parts in which `precopy` keeps a copy. */
	get chunkBytes(): number {
		return this.#constants.chunkBytes;
	}

	static start(options: TracerOptions = {}): Tracer {
		return new Tracer(options);
	}

	#ask<Op extends Operation>(op: Op, pid: number, ...args: Array<number | bigint>): Results<Op> {
		return this.#answer(op, pid, ...args).result;
	}

	#answer<Op extends Operation>(
		op: Op, pid: number, ...args: Array<number | bigint>
	): { result: Results<Op>; message: string; left: string } {
		const { code, message, left, result } = this.#asked(op, pid, args);
		if (code !== 0) throw new ProcsnapError(errnoName(code), message);
		return { result: result as Results<Op>, message, left };
	}

	#asked(op: Operation, pid: number, args: Array<number | bigint>): ReturnType<ReturnType<typeof addon>['request']> {
		if (!this.#open) throw new ProcsnapError('EBADF', 'this tracer was closed');
		return addon().request(this.#socket, addon().operations[op].op, pid, this.#timeoutNs, ...args);
	}

	/**
	 * Of a request that stops a process: for how long it did, and what that did to its blocked calls, is told also
	 * where the request is refused.
	 */
	#stopping<Op extends Operation>(op: Op, pid: number, ...args: number[]): {
		result: Results<Op>; message: string; left: string;
	} {
		this.data.fill(0, 0, this.#constants.callsHeadBytes);
		const { code, message, left, result } = this.#asked(op, pid, args);
		this.#lastCalls = countsIn(this.data);
		if (code === 0) return { result: result as Results<Op>, message, left };
		// A tracer that is gone has told nothing.
		const known = errnoName(code) !== 'EPIPE' && 'pauseNs' in result;
		throw new ProcsnapError(
			errnoName(code), message, known ? { pauseNs: result['pauseNs'] as number, calls: this.#lastCalls } : null
		);
	}

	/**
	 * What the last `inject`, `stopCopy`, `hold`, `end` or `untold` did to blocked calls, whether it was refused or
	 * not.
	 */
	get lastCalls(): CallCounts {
		return this.#lastCalls;
	}

	/** They were added to others: the next request may stop nobody. */
	forgetLastCalls(): void {
		this.#lastCalls = NO_CALLS;
	}

	/**
	 * What stops of all targets have done that nobody asked for, and that no end has told: the tracer has tried again
	 * to bury a duplicate, or a thread came late.
	 */
	untold(): CallCounts & { pauseNs: number } {
		const { pauseNs } = this.#stopping('untold', 0).result;
		return { pauseNs, ...this.#lastCalls };
	}

	/** A still duplicate of a process, by one clone() in it. See native/duplicate/inject.c. */
	inject(pid: number): Duplicate {
		const { result } = this.#stopping('inject', pid, this.cpu, this.#stopLimitNs);
		const { registers, pid: duplicate, threads, takeNs, pauseNs, windowNs, cloneNs, momentNs } = result;
		this.#haveRegisters(registers);
		return {
			pid: duplicate, threads, takeNs, pauseNs, windowNs, cloneNs, momentNs,
			leftOut: leftOutIn(this.data, result), ...this.#lastCalls,
		};
	}

	/** A still duplicate of a process, made by a patched kernel. See native/duplicate/syscall.c. */
	snap(pid: number): Snapshot {
		const figures = this.#ask('snap', pid, 0);
		this.#unread = true;
		return figures;
	}

	/** The same by the paper's own call, create_proc_snap(), which tells nothing but the pid. */
	snapPlain(pid: number): Pick<Snapshot, 'pid' | 'threads' | 'takeNs'> {
		const { pid: duplicate, threads, takeNs } = this.#ask('snap', pid, 1);
		this.#unread = true;
		return { pid: duplicate, threads, takeNs };
	}

	/**
	 * Begins a copy that is made while the target runs: one short stop. `folder`: where it is kept until its end; '' is
	 * in memory. `mostBytes`: it may take no more than that there, 0: all that there is. See native/precopy/.
	 */
	precopy(pid: number, folder = '', mostBytes = 0): CallCounts & { pauseNs: number } {
		const path = Buffer.from(`${folder}\0`);
		if (path.length > MOST_PATH_BYTES) throw new ProcsnapError('ENAMETOOLONG', `${folder} is too long for a path`);
		this.data.set(path, this.#constants.callsBytes);
		const { pauseNs } = this.#stopping('precopy', pid, mostBytes, this.#stopLimitNs).result;
		return { pauseNs, ...this.#lastCalls };
	}

	/** Some more of it, for about so long. */
	precopyGoOn(budgetMs: number): Precopy {
		const { phase, registers, ...figures } = this.#stopping(
			'precopyGoOn', 0, budgetMs * 1e6, this.#stopLimitNs
		).result;
		const done = phase === this.#constants.precopyDone;
		if (done) this.#haveRegisters(registers);
		return { done, phase, ...figures, spells: spellsIn(this.data.subarray(this.#constants.callsBytes)) };
	}

	/** What that costs on this machine, tried on the tracer's own memory: some milliseconds. */
	calibrate(): Calibration {
		return this.#ask('calibrate', 0);
	}

	/** What a copy would cost and what speaks against it. Nothing is done to the process. */
	check(pid: number, by: 'inject' | 'precopy' = 'inject'): Preflight {
		const { reasonBytes, reasonNameOffset, reasonTextOffset } = this.#constants;
		const { reasons: count, threads, residentKib, tablesKib, growthKib, headroomKib, pauseNs } = this.#ask(
			'check', pid, by === 'inject' ? this.#constants.forInject : this.#constants.forPrecopy
		);
		const reasons = Array.from({ length: count }, (_, i): Reason => {
			const record = Buffer.from(this.data.buffer, this.data.byteOffset + i * reasonBytes, reasonBytes);
			const text = (from: number, to: number): string =>
				record.toString('utf8', from, record.subarray(0, to).indexOf(0, from));
			const code = record.readInt32LE(0);
			return {
				name: text(reasonNameOffset, reasonTextOffset), code: code === 0 ? null : errnoName(code),
				text: text(reasonTextOffset, reasonBytes),
			};
		});
		return {
			reasons, threads, residentKib, tablesKib, growthKib,
			headroomKib: headroomKib < 0 ? null : headroomKib, pauseNs: pauseNs < 0 ? null : pauseNs,
		};
	}

	/** Stop, copy everything, let go. */
	stopCopy(pid: number): Copy {
		const { registers, ...figures } = this.#stopping('stopCopy', pid, 0, this.#stopLimitNs).result;
		this.#haveRegisters(registers);
		return { ...figures, ...this.#lastCalls };
	}

	/**
	 * End the duplicate, or give up the copy. Where the target cannot be stopped to reap its child, that is `unburied`
	 * and no error: the tracer tries again by itself, until its own end.
	 */
	end(): Ended {
		const { result, message, left } = this.#stopping('end', 0, 0, this.#stopLimitNs);
		return {
			...result, unburied: result.unburied === 1 ? left : null,
			endedEarly: result.endedEarly === 1 ? message : null, ...this.#lastCalls,
		};
	}

	/**
	 * Stop a process until `letGo`; it goes on too if this process or the tracer dies. Returns its number of threads;
	 * see `lastCalls`.
	 */
	hold(pid: number): number {
		const { threads, registers } = this.#stopping('hold', pid, 0, this.#stopLimitNs).result;
		this.#haveRegisters(registers);
		return threads;
	}

	/** Returns for how many nanoseconds it was held. */
	letGo(): number {
		return this.#ask('letGo', 0).heldNs;
	}

	/** Read into `data`. `bytes` is short where the region ends. `peek` works on duplicates and held targets only. */
	read(way: Way, pid: number, address: bigint, length: number): { ns: number; bytes: number } {
		return this.#ask('read', pid, WAYS.indexOf(way), address, length);
	}

	/** Read from the copy of `stopCopy` into `data`; the number of bytes. */
	readCopy(address: bigint, length: number): number {
		return this.#ask('readCopy', 0, address, length).bytes;
	}

	/** System-call number -> how often one read of `length` bytes makes it, counted by an observer. */
	countCalls(way: Way, length: number): Map<number, number> {
		this.#ask('count', 0, WAYS.indexOf(way), length);
		const calls = new Uint32Array(this.data.buffer, this.data.byteOffset, this.#constants.countedCalls);
		return new Map([...calls.entries()].filter(([, count]) => count > 0));
	}

	#haveRegisters(count: number): void {
		this.#registers = count;
		this.#unread = false;
	}

	/** All threads' registers at the moment of the last take or hold; of a snapshot, ask before its end. */
	registers(): ThreadRegisters[] {
		if (this.#unread) this.#haveRegisters(this.#ask('registers', 0).registers);
		const constants = this.#constants;
		return Array.from({ length: this.#registers }, (_, i) => {
			const base = i * constants.registersBytes;
			const head = new DataView(this.#area, base, constants.generalOffset);
			return {
				tid: head.getInt32(0, true),
				skewNs: Number(head.getBigInt64(constants.skewOffset, true)),
				running: (head.getUint32(constants.flagsOffset, true) & constants.running) !== 0,
				partial: (head.getUint32(constants.flagsOffset, true) & constants.partial) !== 0,
				general: new Uint8Array(this.#area.slice(
					base + constants.generalOffset, base + constants.generalOffset + constants.generalBytes
				)),
				xstate: new Uint8Array(this.#area.slice(
					base + constants.xstateOffset, base + constants.xstateOffset + head.getUint32(4, true)
				)),
			};
		});
	}

	/** For tests: at a step of the next take or end, kill the tracer or the requester. */
	killAt(step: string, whom: 'tracer' | 'requester'): void {
		const { killTracer, killRequester } = this.#constants;
		this.#ask('hook', 0, steps().indexOf(step), whom === 'tracer' ? killTracer : killRequester);
	}

	/** End what it holds, and the tracer. */
	close(): void {
		if (!this.#open) return;
		this.#open = false;
		addon().stopTracer(this.#socket, this.#process);
	}

	[Symbol.dispose](): void {
		this.close();
	}
}
