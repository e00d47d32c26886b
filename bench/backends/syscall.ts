/**
 * syscall: the paper's own, create_proc_snap() of a patched kernel. native/duplicate/syscall.c.
 * Called as create_proc_snap2(), the same work with one struct copied out: so the time and the pause that go
 * together are of one call. Counted in the guest, the two differ by less than 2 %.
 */
import { snapUnavailable } from '../../native/index.ts';
import type { Backend } from '../types.ts';

export const backend: Backend = {
	name: 'syscall',
	order: 1,
	title: 'create_proc_snap(): any process, patched kernel',
	duplicates: true,
	cooperative: false,
	unavailable: snapUnavailable,
	take: (tracer, { pid }) => {
		const snapshot = tracer.snap(pid);
		return {
			...snapshot,
			read: (address, length) => tracer.data.subarray(0, tracer.read('proc-mem', snapshot.pid, address, length).bytes),
			end: () => tracer.end(),
		};
	},
};
