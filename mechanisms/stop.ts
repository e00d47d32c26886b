/** stop: the classical way. Stop the target, copy all of its memory, let it go on. native/duplicate/stop.c. */
import type { Mechanism } from './shared/types.ts';

export const mechanism: Mechanism = {
	name: 'stop',
	order: 4,
	title: 'stop, copy, continue: the classical way',
	description: 'all of the target\'s memory, copied while ptrace stopped all of its threads',
	duplicates: false,
	forked: false,
	keepsShared: false,
	allFlags: true,
	ofOneMoment: true,
	cooperative: false,
	notForEvidence: 'stop is for comparison: the target stands still until all of its memory is copied',
	unavailable: () => null,
	open: (tracer, target) => {
		const { takeNs, pauseNs } = tracer.stopCopy(target.pid);
		return {
			figures: { takeNs, pauseNs, calls: tracer.lastCalls },
			pid: 0,
			read: (address, length) => tracer.data.subarray(0, tracer.readCopy(address, length)),
			end: () => tracer.end(),
		};
	},
};
