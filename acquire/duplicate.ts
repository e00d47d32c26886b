/** Request and duplicate: by the kernel's own call where there is one, by an injected clone() elsewhere. */
import { snapUnavailable, type CallCount, type CallCounts, type Tracer } from '../native/index.ts';

export type MechanismName = 'syscall' | 'inject';

/** What both mechanisms tell. */
export interface Taken {
	mechanism: MechanismName;
	pid: number;
	takeNs: number;
	pauseNs: number;
	momentNs: number;
	skewNs: number;
	restartedCalls: number | null;
	lengthenedTimeouts: number | null;
	cutCalls: number | null;
	calls: CallCount[] | null;
}

/** By call, of two stops. Pure. */
export function sumOf(calls: readonly CallCount[], more: readonly CallCount[]): CallCount[] {
	const sums = new Map(calls.map((count) => [count.call, { ...count }]));
	for (const count of more) {
		const sum = sums.get(count.call) ?? { call: count.call, restarted: 0, lengthened: 0, cut: 0 };
		sums.set(count.call, {
			call: count.call, restarted: sum.restarted + count.restarted, lengthened: sum.lengthened + count.lengthened,
			cut: sum.cut + count.cut,
		});
	}
	return [...sums.values()];
}

/** Of the stop for the take, and what the end's did. null: nobody counts. */
export function withEnd({ restartedCalls, lengthenedTimeouts, cutCalls, calls }: Taken, end: CallCounts): { [Key in keyof CallCounts]: CallCounts[Key] | null } {
	if (calls === null) return { restartedCalls, lengthenedTimeouts, cutCalls, calls };
	return {
		restartedCalls: (restartedCalls ?? 0) + end.restartedCalls, lengthenedTimeouts: (lengthenedTimeouts ?? 0) + end.lengthenedTimeouts,
		cutCalls: (cutCalls ?? 0) + end.cutCalls, calls: sumOf(calls, end.calls),
	};
}

export const DESCRIPTIONS: Record<MechanismName, string> = {
	syscall: 'create_proc_snap2() of a patched kernel: the target is not stopped, traced or told',
	inject: 'one clone() made in the target, all of whose threads are stopped for it by ptrace',
};

/** fork() leaves out and wipes what it was told to; the kernel's own call does not. */
export const isForked = (mechanism: MechanismName): boolean => mechanism === 'inject';

export const bestMechanism = (): MechanismName => (snapUnavailable() === null ? 'syscall' : 'inject');

/** Throws what the native core says. */
export function duplicate(tracer: Tracer, pid: number, mechanism: MechanismName): Taken {
	if (mechanism === 'syscall') {
		const { pid: made, takeNs, pauseNs, momentNs, skewNs } = tracer.snap(pid);
		return { mechanism, pid: made, takeNs, pauseNs, momentNs, skewNs, restartedCalls: null, lengthenedTimeouts: null, cutCalls: null, calls: null };
	}
	const { pid: made, takeNs, pauseNs, momentNs, restartedCalls, lengthenedTimeouts, cutCalls, calls } = tracer.inject(pid);
	return { mechanism, pid: made, takeNs, pauseNs, momentNs, skewNs: 0, restartedCalls, lengthenedTimeouts, cutCalls, calls };
}
