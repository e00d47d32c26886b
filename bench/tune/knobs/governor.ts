import type { Knob } from '../types.ts';

export const knob: Knob = {
	name: 'governor', order: 1, title: 'all CPUs at their full clock', risk: 'heat and power',
	settings: (tree) => tree.paths('/sys/devices/system/cpu/cpufreq/policy*/scaling_governor')
		.filter((path) =>
			tree.choices(path.replace(/scaling_governor$/, 'scaling_available_governors')).includes('performance'))
		.map((path) => ({ path, value: 'performance' })),
};
