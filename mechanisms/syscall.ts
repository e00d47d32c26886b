/**
 * syscall: the paper's own, create_proc_snap() of a patched kernel. native/duplicate/syscall.c.
 * Called as create_proc_snap2(), the same work with one struct copied out: so the time and the pause that go
 * together are of one call. Counted in the guest, the two differ by less than 2 %.
 */
import { snapUnavailable } from '../native/index.ts';
import { ProcessImage, readBy } from './shared/process-image.ts';
import type { Mechanism } from './shared/types.ts';

export const mechanism: Mechanism = {
	name: 'syscall',
	order: 1,
	title: 'create_proc_snap(): any process, patched kernel',
	description: 'create_proc_snap2() of a patched kernel: the target is not stopped, traced or told',
	duplicates: true,
	forked: false,
	keepsShared: true,
	allFlags: true,
	ofOneMoment: true,
	cooperative: false,
	notForEvidence: null,
	unavailable: snapUnavailable,
	open: (tracer, target) => {
		const { pid, takeNs, pauseNs, momentNs, skewNs } = tracer.snap(target.pid);
		return {
			figures: { takeNs, pauseNs, calls: null },
			pid,
			read: readBy(tracer, pid),
			image: () => new ProcessImage(tracer, pid, { momentNs, skewNs }),
			end: () => tracer.end(),
		};
	},
};
