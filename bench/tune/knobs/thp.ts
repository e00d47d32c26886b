import type { Knob } from '../types.ts';

export const knob: Knob = {
	name: 'thp', order: 4, title: 'huge pages for programs that ask for them', risk: 'others get none, or get some',
	settings: (tree) => tree.paths('/sys/kernel/mm/transparent_hugepage/enabled')
		.map((path) => ({ path, value: 'madvise' })),
};
