/** inject: one clone() in any process, on a kernel as it is. native/duplicate/inject.c. */
import { ProcessImage, readBy } from './shared/process-image.ts';
import type { Mechanism } from './shared/types.ts';

export const mechanism: Mechanism = {
	name: 'inject',
	order: 2,
	title: 'injected clone(): any process, stock kernel',
	description: 'one clone() made in the target, all of whose threads are stopped for it by ptrace',
	duplicates: true,
	forked: true,
	keepsShared: false,
	allFlags: true,
	ofOneMoment: true,
	cooperative: false,
	notForEvidence: null,
	unavailable: () => (process.arch === 'x64' ? null : `it knows x86-64 only, this machine is ${process.arch}`),
	estimate: (tracer, pid) => ({ ...tracer.check(pid), unseen: ['syscall user dispatch (Wine)'], disturbance: null }),
	open: (tracer, target) => {
		const { pid, takeNs, pauseNs, momentNs, leftOut } = tracer.inject(target.pid);
		return {
			figures: { takeNs, pauseNs, calls: tracer.lastCalls },
			pid,
			leftOut,
			read: readBy(tracer, pid),
			image: () => new ProcessImage(tracer, pid, { momentNs, skewNs: 0 }),
			end: () => tracer.end(),
		};
	},
};
