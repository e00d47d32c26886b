/** Which CPUs target and requester get, and whether they may run in real time. */
import { spawnSync } from 'node:child_process';
import { parseCpuList } from '../../common/cpu-list.ts';
import type { Isolation } from '../store/manifest.ts';
import { systemReader, type Reader } from './label.ts';

/** The CPUs that this process may use. */
export const allowedCpus = (reader: Reader = systemReader): number[] =>
	parseCpuList(/^Cpus_allowed_list:\s*(.*)$/m.exec(reader.file('/proc/self/status') ?? '')?.[1] ?? '0');

/** The first two CPUs that this process may use: the first is the target's. */
export function planIsolation(reader: Reader = systemReader): Isolation {
	const allowed = allowedCpus(reader);
	const targetCpu = allowed[0] ?? 0;
	const requesterCpu = allowed[1] ?? targetCpu;
	const reasons = requesterCpu === targetCpu ? ['only one CPU may be used: target and requester share it'] : [];
	const refusal = fifoRefusal();
	if (refusal !== null) {
		reasons.push(refusal);
	}
	return { targetCpu, requesterCpu, fifoTarget: refusal === null, fifoTracer: refusal === null, reasons };
}

/** null if a child may run SCHED_FIFO. Asked of the kernel: capability, limit and cgroup all have a say. */
function fifoRefusal(): string | null {
	const { error, status, stderr } = spawnSync(
		'chrt', ['--fifo', '1', 'true'], { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] }
	);
	if (error !== undefined) {
		return 'SCHED_FIFO is not used: chrt (Debian package util-linux) is missing';
	}
	return status === 0 ? null : `SCHED_FIFO is not allowed (${stderr.trim()}): run as root or raise the limit rtprio`;
}
