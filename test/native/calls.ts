/**
 * What a take did to blocked calls, by call: struct ps_calls of native/procsnap.h, which the tracer leaves in its
 * data.
 */
import type { Tracer } from '../../native/index.ts';

export interface Counts { restarted: number; lengthened: number; cut: number }

export function countsOf(tracer: Tracer): Counts & { byCall: Map<number, Counts> } {
	const data = new DataView(tracer.data.buffer, tracer.data.byteOffset);
	const word = (index: number): number => data.getInt32(index * 4, true);
	const byCall = new Map<number, Counts>();
	for (let kind = 0; kind < word(3); kind++) {
		const at = 4 + kind * 4;
		byCall.set(word(at), { restarted: word(at + 1), lengthened: word(at + 2), cut: word(at + 3) });
	}
	return { restarted: word(0), lengthened: word(1), cut: word(2), byCall };
}
