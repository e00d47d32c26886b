import type { Knob } from '../types.ts';

export const knob: Knob = {
	name: 'watchdogs', order: 7, title: 'no watchdog', risk: 'nobody notices a CPU that hangs',
	// Not `watchdog`, which is both: what each was could not be put back by it.
	settings: (tree) => tree.paths('/proc/sys/kernel/*_watchdog').filter((path) => /\/(nmi|soft)_watchdog$/.test(path))
		.map((path) => ({ path, value: '0' })),
};
