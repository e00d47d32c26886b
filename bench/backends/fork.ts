/** fork: the target forks itself. It must cooperate, so it is no way to take evidence: it is the floor under the others. */
import { endProcess } from '../../native/index.ts';
import type { Backend } from '../types.ts';

export const backend: Backend = {
	name: 'fork',
	order: 4,
	title: 'fork() inside a cooperating target: the floor',
	duplicates: true,
	cooperative: true,
	unavailable: () => null,
	take: (tracer, target) => {
		if (!target.fork) throw new Error('this target does not cooperate: fork measures workloads only');
		const { pid, forkNs } = target.fork();
		return {
			pid,
			takeNs: forkNs,
			pauseNs: forkNs,
			read: (address, length) => tracer.data.subarray(0, tracer.read('proc-mem', pid, address, length).bytes),
			end: () => {
				const ended = endProcess(pid, tracer.cpu);
				target.reap?.(pid);
				return ended;
			},
		};
	},
};
