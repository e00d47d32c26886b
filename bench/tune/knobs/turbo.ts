import type { Knob } from '../types.ts';

/** Of each driver the file and what means off: Documentation/admin-guide/pm/intel_pstate.rst and cpufreq.rst. */
const OFF: ReadonlyArray<[string, string]> = [
	['/sys/devices/system/cpu/intel_pstate/no_turbo', '1'], ['/sys/devices/system/cpu/cpufreq/boost', '0'],
];

export const knob: Knob = {
	name: 'turbo', order: 2, title: 'no clock beyond the nominal one', risk: 'everything is slower',
	settings: (tree) => OFF.flatMap(([pattern, value]) => tree.paths(pattern).map((path) => ({ path, value }))),
};
