/** The tracer, and what it can be asked for. */
import { addon, WAYS, type Way } from './addon.ts';
import { Connection, type TracerOptions } from './connection.ts';
import { errnoName, ProcsnapError } from './error.ts';
import {
	spellsIn, type Calibration, type CallCounts, type Copy, type Duplicate, type Ended, type Precopy, type Preflight,
	type Reason, type Snapshot,
} from './figures.ts';
import { leftOutIn } from './left-out.ts';
import { RESULTS } from './operations.ts';

const MOST_PATH_BYTES = 4096;

/** The steps of a take and an end, in order; tests kill requester or tracer at each. */
export const steps = (): readonly string[] => addon().constants.steps;

/** One tracer process. It holds one duplicate, one copy or one stopped target at a time. */
export class Tracer extends Connection {
	/** Of the parts in which `precopy` keeps a copy. */
	get chunkBytes(): number {
		return this.constants.chunkBytes;
	}

	static start(options: TracerOptions = {}): Tracer {
		return new Tracer(options);
	}

	/**
	 * What stops of all targets have done that nobody asked for, and that no end has told: the tracer has tried again
	 * to bury a duplicate, or a thread came late.
	 */
	untold(): CallCounts & { pauseNs: number } {
		const { pauseNs } = this.askStopping('untold', RESULTS.untold);
		return { pauseNs, ...this.lastCalls };
	}

	/** A still duplicate of a process, by one clone() in it. See native/duplicate/inject.c. */
	inject(pid: number): Duplicate {
		const results = this.askStopping('inject', RESULTS.inject, { pid, numbers: [this.cpu] });
		const { pid: duplicate, threads, takeNs, pauseNs, windowNs, cloneNs, momentNs } = results;
		return {
			pid: duplicate, threads, takeNs, pauseNs, windowNs, cloneNs, momentNs,
			leftOut: leftOutIn(this.data, results), ...this.lastCalls,
		};
	}

	/** A still duplicate of a process, made by a patched kernel. See native/duplicate/syscall.c. */
	snap(pid: number): Snapshot {
		const figures = this.ask('snap', RESULTS.snap, { pid, numbers: [0] });
		this.leaveRegisters();
		return figures;
	}

	/** The same by the paper's own call, create_proc_snap(), which tells nothing but the pid. */
	snapPlain(pid: number): Pick<Snapshot, 'pid' | 'threads' | 'takeNs'> {
		const { pid: duplicate, threads, takeNs } = this.ask('snap', RESULTS.snap, { pid, numbers: [1] });
		this.leaveRegisters();
		return { pid: duplicate, threads, takeNs };
	}

	/**
	 * Begins a copy that is made while the target runs: one short stop. `folder`: where it is kept until its end; '' is
	 * in memory. `mostBytes`: it may take no more than that there, 0: all that there is. See native/precopy/.
	 */
	precopy(pid: number, folder = '', mostBytes = 0): CallCounts & { pauseNs: number } {
		const bytes = Buffer.from(folder);
		if (bytes.length >= MOST_PATH_BYTES) throw new ProcsnapError('ENAMETOOLONG', `${folder} is too long for a path`);
		const { pauseNs } = this.askStopping('precopy', RESULTS.precopy, { pid, numbers: [mostBytes], bytes });
		return { pauseNs, ...this.lastCalls };
	}

	/** Some more of it, for about so long. */
	precopyGoOn(budgetMs: number): Precopy {
		const { phase, ...figures } = this.askStopping(
			'precopyGoOn', RESULTS.precopyGoOn, { numbers: [budgetMs * 1e6] }
		);
		return {
			done: phase === this.constants.precopyDone, phase, ...figures,
			 spells: spellsIn(this.data.subarray(this.constants.callsBytes)),
		};
	}

	/** What that costs on this machine, tried on the tracer's own memory: some milliseconds. */
	calibrate(): Calibration {
		return this.ask('calibrate', RESULTS.calibrate);
	}

	/** What a copy would cost and what speaks against it. Nothing is done to the process. */
	check(pid: number, by: 'inject' | 'precopy' = 'inject'): Preflight {
		const { reasonBytes, reasonNameOffset, reasonTextOffset } = this.constants;
		const { reasons: count, threads, residentKib, tablesKib, growthKib, headroomKib, pauseNs } = this.ask(
			'check', RESULTS.check,
			{ pid, numbers: [by === 'inject' ? this.constants.forInject : this.constants.forPrecopy] }
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
		return { ...this.askStopping('stopCopy', RESULTS.stopCopy, { pid }), ...this.lastCalls };
	}

	/**
	 * End the duplicate, or give up the copy. Where the target cannot be stopped to reap its child, that is `unburied`
	 * and no error: the tracer tries again by itself, until its own end.
	 */
	end(): Ended {
		const { results, message, left } = this.stopping('end', RESULTS.end);
		return {
			...results, unburied: results.unburied === 1 ? left : null,
			endedEarly: results.endedEarly === 1 ? message : null, ...this.lastCalls,
		};
	}

	/**
	 * Stop a process until `letGo`; it goes on too if this process or the tracer dies. Returns its number of threads;
	 * see `lastCalls`.
	 */
	hold(pid: number): number {
		return this.askStopping('hold', RESULTS.hold, { pid }).threads;
	}

	/** Returns for how many nanoseconds it was held. */
	letGo(): number {
		return this.ask('letGo', RESULTS.letGo).heldNs;
	}

	/** Read into `data`. `bytes` is short where the region ends. `peek` works on duplicates and held targets only. */
	read(way: Way, pid: number, address: bigint, length: number): { ns: number; bytes: number } {
		return this.ask('read', RESULTS.read, { pid, numbers: [WAYS.indexOf(way), address, length] });
	}

	/** Read from the copy of `stopCopy` into `data`; the number of bytes. */
	readCopy(address: bigint, length: number): number {
		return this.ask('readCopy', RESULTS.readCopy, { numbers: [address, length] }).bytes;
	}

	/** System-call number -> how often one read of `length` bytes makes it, counted by an observer. */
	countCalls(way: Way, length: number): Map<number, number> {
		this.ask('count', RESULTS.count, { numbers: [WAYS.indexOf(way), length] });
		const calls = new Uint32Array(this.data.buffer, this.data.byteOffset, this.constants.countedCalls);
		return new Map([...calls.entries()].filter(([, count]) => count > 0));
	}

	/** For tests: at a step of the next take or end, kill the tracer or the requester. */
	killAt(step: string, whom: 'tracer' | 'requester'): void {
		const { killTracer, killRequester } = this.constants;
		const action = whom === 'tracer' ? killTracer : killRequester;
		this.ask('hook', RESULTS.hook, { numbers: [steps().indexOf(step), action] });
	}
}
