/** A tracer that was started, and one request to it: what is asked, what it says, and the area that both map. */
import { fileURLToPath } from 'node:url';
import { Failure, messageOf } from '../common/errors.ts';
import { addon, type Operation, type Results } from './addon.ts';
import { errnoName, ProcsnapError } from './error.ts';
import { countsIn, type CallCounts, type ThreadRegisters } from './figures.ts';

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

/** Tracer of tracer.ts is what it can be asked for. */
export class Connection {
	readonly pid: number;
	/** The CPU that was asked for, -1: any. */
	readonly cpu: number;
	/** What was asked for and not got (`sched_setscheduler: EPERM`). */
	readonly notGot: string[];
	/** The bytes of the last `read`, `readCopy` or `countCalls`, until the next take, hold or end. */
	readonly data: Uint8Array;
	protected readonly constants = addon().constants;
	readonly #area: ArrayBuffer;
	readonly #socket: number;
	/** The process that was started; it ends when the tracer, its child, holds nothing any more. */
	readonly #process: number;
	readonly #timeoutNs: number;
	/** 0: the tracer's own. */
	protected readonly stopLimitNs: number;
	#registers = 0;
	/** Its registers are read when they are asked for: until then they are in its parked tasks. */
	protected unread = false;
	#open = true;
	#lastCalls: CallCounts = NO_CALLS;

	protected constructor(options: TracerOptions) {
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
		this.stopLimitNs = stopLimitMs * 1e6;
		this.data = new Uint8Array(area, this.constants.registersBytes * this.constants.maxThreads);
		const { affinityCode, priorityCode, oomCode } = hello.result as Results<'hello'>;
		this.notGot = Object.entries({
			sched_setaffinity: affinityCode, sched_setscheduler: priorityCode, oom_score_adj: oomCode,
		})
			.flatMap(([name, code]) => code === 0 ? [] : [`${name}: ${errnoName(code)}`]);
		if (hello.code !== 0) throw new ProcsnapError(errnoName(hello.code), hello.message);
	}

	protected ask<Op extends Operation>(op: Op, pid: number, ...args: Array<number | bigint>): Results<Op> {
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
	protected stopping<Op extends Operation>(op: Op, pid: number, ...args: number[]): {
		result: Results<Op>; message: string; left: string;
	} {
		this.data.fill(0, 0, this.constants.callsHeadBytes);
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

	protected haveRegisters(count: number): void {
		this.#registers = count;
		this.unread = false;
	}

	/** All threads' registers at the moment of the last take or hold; of a snapshot, ask before its end. */
	registers(): ThreadRegisters[] {
		if (this.unread) this.haveRegisters(this.ask('registers', 0).registers);
		const constants = this.constants;
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
