/** stop: the classical way. Stop the target, copy all of its memory, let it go on. native/duplicate/stop.c. */
import { Failure } from '../common/errors.ts';
import type { Mechanism } from './shared/types.ts';

const NOT_FOR_EVIDENCE = 'stop is for comparison: the target stands still until all of its memory is copied';

export const mechanism: Mechanism = {
	name: 'stop',
	order: 3,
	title: 'stop, copy, continue: the classical way',
	description: 'all of the target\'s memory, copied while ptrace stopped all of its threads',
	duplicates: false,
	forked: false,
	cooperative: false,
	notForEvidence: NOT_FOR_EVIDENCE,
	unavailable: () => null,
	open: (tracer, target) => {
		const { takeNs, pauseNs } = tracer.stopCopy(target.pid);
		return {
			figures: { takeNs, pauseNs, calls: tracer.lastCalls },
			pid: 0,
			read: (address, length) => tracer.data.subarray(0, tracer.readCopy(address, length)),
			image: () => { throw new Failure(NOT_FOR_EVIDENCE); },
			end: () => tracer.end(),
		};
	},
};
