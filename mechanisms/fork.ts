/**
 * fork: the target forks itself. It must cooperate, so it is no way to take evidence: it is the floor under the
 * others.
 */
import { endProcess, NOTHING_DONE } from '../native/index.ts';
import { readBy } from './shared/process-image.ts';
import type { Mechanism } from './shared/types.ts';

export const mechanism: Mechanism = {
	name: 'fork',
	order: 5,
	title: 'fork() inside a cooperating target: the floor',
	description: 'the target\'s own fork()',
	duplicates: true,
	forked: true,
	keepsShared: false,
	allFlags: true,
	ofOneMoment: true,
	cooperative: true,
	notForEvidence: 'fork measures workloads that cooperate',
	unavailable: () => null,
	open: (tracer, target) => {
		if (!target.fork) throw new Error('this target does not cooperate: fork measures workloads only');
		const { pid, forkNs } = target.fork();
		return {
			figures: { takeNs: forkNs, pauseNs: forkNs, calls: null },
			pid,
			read: readBy(tracer, pid),
			end: () => {
				const ended = endProcess(pid, tracer.cpu);
				target.reap?.(pid);
				return { ...NOTHING_DONE, ...ended };
			},
		};
	},
};
