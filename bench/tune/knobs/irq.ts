import { parseCpuList } from '../../../common/cpu-list.ts';
import type { Knob } from '../types.ts';

export const knob: Knob = {
	name: 'irq', order: 9, title: 'interrupts go to other CPUs than the target\'s, the first one',
	risk: 'they fall on fewer CPUs; irqbalance would move them back',
	settings: (tree) => {
		const [target, ...others] = parseCpuList(tree.read('/sys/devices/system/cpu/online'));
		return others.length === 0
			? []
			: tree.paths('/proc/irq/*/smp_affinity_list')
				.filter((path) => parseCpuList(tree.read(path)).includes(target ?? 0))
				.map((path) => ({ path, value: others.join(), mayRefuse: true }));
	},
};
