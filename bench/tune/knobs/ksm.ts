import type { Knob } from '../types.ts';

export const knob: Knob = {
	name: 'ksm', order: 5, title: 'no more pages are merged (those that are stay so)', risk: 'more memory is in use',
	// 2 would unmerge all, and that could not be put back.
	settings: (tree) => tree.paths('/sys/kernel/mm/ksm/run').filter((path) => tree.read(path) === '1')
		.map((path) => ({ path, value: '0' })),
};
