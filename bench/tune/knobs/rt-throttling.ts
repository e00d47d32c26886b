import type { Knob } from '../types.ts';

export const knob: Knob = {
	name: 'rt-throttling', order: 8, title: 'real-time tasks may use all of a CPU',
	risk: 'a real-time task that does not end keeps its CPU: have a second one',
	settings: (tree) => tree.paths('/proc/sys/kernel/sched_rt_runtime_us').map((path) => ({ path, value: '-1' })),
};
