/** What stops did to the target's blocked system calls, added up. Pure. */
import type { CallCount, CallCounts } from '../native/index.ts';

/** By call, of two stops. */
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

/** Of several stops. */
export const sumOfCounts = (counts: readonly CallCounts[]): CallCounts =>
	counts.reduce((sum, { restartedCalls, lengthenedTimeouts, cutCalls, calls }) => ({
		restartedCalls: sum.restartedCalls + restartedCalls,
		lengthenedTimeouts: sum.lengthenedTimeouts + lengthenedTimeouts,
		cutCalls: sum.cutCalls + cutCalls, calls: sumOf(sum.calls, calls),
	}), { restartedCalls: 0, lengthenedTimeouts: 0, cutCalls: 0, calls: [] });

/** Of the stop for the copy and of the stop for its end. null: the mechanism counts nothing. */
export function withEnd(
	taken: CallCounts | null, end: CallCounts
): { [Key in keyof CallCounts]: CallCounts[Key] | null } {
	if (taken === null) return { restartedCalls: null, lengthenedTimeouts: null, cutCalls: null, calls: null };
	return sumOfCounts([taken, end]);
}
