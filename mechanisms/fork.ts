/**
 * fork: the target forks itself. It must cooperate, so it is no way to take evidence: it is the floor under the
 * others.
 */
import { Failure } from '../common/errors.ts';
import { endProcess, NOTHING_DONE } from '../native/index.ts';
import { readBy } from './shared/process-image.ts';
import type { Mechanism } from './shared/types.ts';

const NOT_FOR_EVIDENCE = 'fork measures workloads that cooperate';

export const mechanism: Mechanism = {
	name: 'fork',
	order: 4,
	title: 'fork() inside a cooperating target: the floor',
	description: 'the target\'s own fork()',
	duplicates: true,
	forked: true,
	cooperative: true,
	notForEvidence: NOT_FOR_EVIDENCE,
	unavailable: () => null,
	open: (tracer, target) => {
		if (!target.fork) throw new Error('this target does not cooperate: fork measures workloads only');
		const { pid, forkNs } = target.fork();
		return {
			figures: { takeNs: forkNs, pauseNs: forkNs, calls: null },
			pid,
			read: readBy(tracer, pid),
			image: () => { throw new Failure(NOT_FOR_EVIDENCE); },
			end: () => {
				const ended = endProcess(pid, tracer.cpu);
				target.reap?.(pid);
				return { ...NOTHING_DONE, ...ended };
			},
		};
	},
};
