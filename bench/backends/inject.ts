/** inject: one clone() in any process, on a kernel as it is. native/duplicate/inject.c. */
import type { Backend } from '../types.ts';

export const backend: Backend = {
	name: 'inject',
	order: 2,
	title: 'injected clone(): any process, stock kernel',
	duplicates: true,
	cooperative: false,
	unavailable: () => (process.arch === 'x64' ? null : `it knows x86-64 only, this machine is ${process.arch}`),
	take: (tracer, { pid }) => {
		const duplicate = tracer.inject(pid);
		return {
			...duplicate,
			read: (address, length) => tracer.data.subarray(0, tracer.read('proc-mem', duplicate.pid, address, length).bytes),
			end: () => tracer.end(),
		};
	},
};
