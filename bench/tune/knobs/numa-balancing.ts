import type { Knob } from '../types.ts';

export const knob: Knob = {
	name: 'numa-balancing', order: 6, title: 'no page is moved to another node', risk: 'memory may stay far away',
	settings: (tree) => tree.paths('/proc/sys/kernel/numa_balancing').map((path) => ({ path, value: '0' })),
};
