/** A tracer that was started, and one request to it: what is asked, what it says, and the area that both map. */
import { fileURLToPath } from 'node:url';
import { Failure, messageOf } from '../common/errors.ts';
import { addon } from './addon.ts';
import { errnoName, ProcsnapError } from './error.ts';
import { countsIn, type CallCounts, type ThreadRegisters } from './figures.ts';
import {
	checkOperations, operationIn, operationsIn, REGISTERS, RESULTS, type OperationTable, type Results,
} from './operations.ts';

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

/** What a request is made with: bytes go through the area, as far as it has room for them. */
export interface Asked { pid?: number; numbers?: ReadonlyArray<number | bigint>; bytes?: Uint8Array }

interface Answer<Name extends string> { code: number; message: string; left: string; results: Results<Name> }

const named = (names: readonly string[], numbers: readonly number[]): Partial<Results<string>> =>
	Object.fromEntries(names.map((name, i) => [name, numbers[i] ?? 0]));

/** Tracer of tracer.ts is what procsnap's own mechanisms and the harness ask it for. */
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
	readonly #stopLimitNs: number;
	/** How many there are in the area; null: they are still in the parked tasks of a snapshot. */
	readonly #operations: OperationTable;
	#registers: number | null = 0;
	#open = true;
	#lastCalls: CallCounts = NO_CALLS;

	protected constructor(options: TracerOptions) {
		const {
			cpu = -1, priority = 0, dataBytes = 64 << 20, stopLimitMs = 0, timeoutMs = Math.max(1000, stopLimitMs),
		} = options;
		const path = fileURLToPath(new URL('build/procsnap-tracer', import.meta.url));
		const { process: started, socket, area, hello, operations } = startedAs(path, cpu, priority, dataBytes);
		this.#process = started;
		this.#socket = socket;
		this.#area = area;
		this.cpu = cpu;
		this.#timeoutNs = timeoutMs * 1e6;
		this.#stopLimitNs = stopLimitMs * 1e6;
		this.data = new Uint8Array(area, this.constants.registersBytes * this.constants.maxThreads);
		try {
			if (hello.code !== 0) throw new ProcsnapError(errnoName(hello.code), hello.message);
			this.#operations = operationsIn(operations);
			checkOperations(this.#operations);
			const { affinityCode, priorityCode, oomCode, pid } = named(
				this.#operations.get('hello')?.results ?? [], hello.results
			) as Results<(typeof RESULTS.hello)[number]>;
			this.pid = pid;
			this.notGot = Object.entries({
				sched_setaffinity: affinityCode, sched_setscheduler: priorityCode, oom_score_adj: oomCode,
			})
				.flatMap(([name, code]) => code === 0 ? [] : [`${name}: ${errnoName(code)}`]);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	/**
	 * One request of an operation that stops nobody, with its results: any operation that C has
	 * (native/tracer/operations.h), and it must have those results that are named. Where C has a result `registers`,
	 * `registers()` gives them. Throws ProcsnapError with what the tracer says, and Failure where it has no such
	 * operation or result: then nothing was asked.
	 */
	ask<Name extends string>(operation: string, names: readonly Name[], options: Asked = {}): Results<Name> {
		const { code, message, results } = this.#request(operation, names, options);
		if (code !== 0) throw new ProcsnapError(errnoName(code), message);
		return results;
	}

	/**
	 * The same of one that stops a process. What that did to its blocked calls is in `lastCalls`, and by a result
	 * `pauseNs` it says for how long: in a ProcsnapError, too, where it was refused.
	 */
	askStopping<Name extends string>(operation: string, names: readonly Name[], options: Asked = {}): Results<Name> {
		return this.stopping(operation, names, options).results;
	}

	/** And its texts. */
	protected stopping<Name extends string>(
		operation: string, names: readonly Name[], options: Asked = {}
	): Answer<Name> {
		this.data.fill(0, 0, this.constants.callsHeadBytes);
		const answer = this.#request(operation, names, options), { code, message, results } = answer;
		this.#lastCalls = countsIn(this.data);
		if (code === 0) return answer;
		// A tracer that is gone has told nothing.
		const pauseNs = errnoName(code) === 'EPIPE' ? undefined : (results as Partial<Results<string>>)['pauseNs'];
		throw new ProcsnapError(
			errnoName(code), message, pauseNs === undefined ? null : { pauseNs, calls: this.#lastCalls }
		);
	}

	#request<Name extends string>(
		operation: string, names: readonly Name[], { pid = 0, numbers = [], bytes }: Asked
	): Answer<Name> {
		const { op, results } = operationIn(this.#operations, operation, names);
		if (!this.#open) throw new ProcsnapError('EBADF', 'this tracer was closed');
		const { bytesAt, mostNumbers } = this.constants, size = bytes?.length ?? 0;
		const room = Math.max(0, this.data.length - bytesAt);
		if (numbers.length > mostNumbers || size > room)
			throw new ProcsnapError(
				'E2BIG', `${operation} was asked with ${numbers.length} numbers and ${size} bytes: there is room for ` +
					`${mostNumbers} and ${room} (Tracer.start({dataBytes}))`
			);
		if (bytes !== undefined) this.data.set(bytes, bytesAt);
		const { code, message, left, results: figures } = addon().request(
			this.#socket, op, pid, this.#timeoutNs, this.#stopLimitNs, size, ...numbers
		);
		const { [REGISTERS]: registers, ...rest } = named(results, figures);
		if (code === 0 && registers !== undefined) this.#registers = registers;
		return { code, message, left, results: rest as Results<Name> };
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

	/** They are read when they are asked for. */
	protected leaveRegisters(): void {
		this.#registers = null;
	}

	/** All threads' registers at the moment of the last take or hold; of a snapshot, ask before its end. */
	registers(): ThreadRegisters[] {
		const constants = this.constants;
		if (this.#registers === null) this.ask('registers', RESULTS.registers);
		return Array.from({ length: this.#registers ?? 0 }, (_, i) => {
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
