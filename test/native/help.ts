/** What all tests of the native core share: targets (target.ts), tracers, errors. */
import type { ExecutionContext } from 'ava';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcsnapError, snapUnavailable, Tracer, type TracerOptions } from '../../native/index.ts';
import { testUnless } from '../unless.ts';
import { PATIENCE_MS, Target, until } from './target.ts';

export { sleep };
export { children, PATIENCE_MS, program, state, status, Target, until } from './target.ts';

/** Start a target, ready, and end it with the test. */
export async function start(t: ExecutionContext, name: string, ...args: Array<string | number>): Promise<Target> {
	const target = new Target(name, args);
	t.teardown(() => {
		target.process.stdin?.destroy();
		target.process.kill('SIGKILL');
	});
	await until(`${name} is ready`, () => target.number(0) === 1 || target.process.exitCode !== null);
	return target;
}

/** For what a busy machine may keep from its CPU for long: the stop's own limit is no subject of such a test. */
export const PATIENT = { timeoutMs: 15_000, stopLimitMs: 5000 };

/** A tracer that is closed with the test. */
export function tracerFor(t: ExecutionContext, options: TracerOptions = {}): Tracer {
	const tracer = Tracer.start(options);
	t.teardown(() => tracer.close());
	return tracer;
}

/** A test of create_proc_snap(): where that cannot be called it is skipped, and says why. */
export const snapTest = testUnless(snapUnavailable());

/** The error that an action must end with. */
export function failure(t: ExecutionContext, action: () => unknown): ProcsnapError {
	return t.throws(action, { instanceOf: ProcsnapError });
}

/** Do what is refused while a busy machine, or somebody else's tracer, keeps the target from it. */
export async function inTheEnd<T>(action: () => T): Promise<T> {
	for (const end = Date.now() + PATIENCE_MS; ;)
		try {
			return action();
		} catch (error) {
			if (!(error instanceof ProcsnapError) || !['EBUSY', 'ETIMEDOUT'].includes(error.code) || Date.now() > end)
				throw error;
			await sleep(5);
		}
}

/** Take and end a duplicate of a process that may have ended by itself; false if it has. */
export function duplicated(tracer: Tracer, pid: number): boolean {
	try {
		tracer.inject(pid);
		tracer.end();
		return true;
	} catch (error) {
		if (error instanceof ProcsnapError && error.code === 'ESRCH') return false;
		throw error;
	}
}

export const random = (from: number, to: number): number => from + Math.random() * (to - from);
