/** stop: the classical way. Stop the target, copy all of its memory, let it go on. native/duplicate/stop.c. */
import type { Backend } from '../types.ts';

export const backend: Backend = {
	name: 'stop',
	order: 3,
	title: 'stop, copy, continue: the classical way',
	duplicates: false,
	cooperative: false,
	unavailable: () => null,
	take: (tracer, { pid }) => {
		const copy = tracer.stopCopy(pid);
		return {
			...copy,
			pid: 0,
			copiedBytes: copy.bytes,
			read: (address, length) => tracer.data.subarray(0, tracer.readCopy(address, length)),
			end: () => tracer.end(),
		};
	},
};
