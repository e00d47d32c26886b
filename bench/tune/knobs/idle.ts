import type { Knob } from '../types.ts';

/** As doctor wants it. */
const DEEP_US = 10;

export const knob: Knob = {
	name: 'idle', order: 3, title: `no idle state that takes more than ${DEEP_US} µs to leave`, risk: 'heat and power',
	settings: (tree) => tree.paths('/sys/devices/system/cpu/cpu*/cpuidle/state*/latency')
		.filter((path) => Number(tree.read(path)) > DEEP_US)
		.map((path) => ({ path: path.replace(/latency$/, 'disable'), value: '1' })),
};
