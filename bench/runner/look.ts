/** A short look at the machine between two blocks: its gaps, and what the kernel says of others on it. */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { probeGaps } from '../targets/probes.ts';
import type { Lab, Look } from '../types.ts';

/** On both CPUs at once: so much longer takes each block. */
const SPIN_MS = 100;
/** USER_HZ, in which /proc/stat counts on every x86 kernel. */
const TICK_MS = 10;

export type TakeLook = (lab: Pick<Lab, 'targetCpu' | 'targetPriority'>) => Promise<Omit<Look, 'atMs'>>;

/** `requesterCpu`: is looked at, too. What cannot be read is null. */
export const lookWith = (requesterCpu: number): TakeLook => async ({ targetCpu, targetPriority }) => {
	const cpus = [...new Set([targetCpu, requesterCpu])];
	const found = await probeGaps(cpus, SPIN_MS, { priority: targetPriority });
	const stat = text('/proc/stat');
	return {
		gaps: 'why' in found ? null : found.value.map(({ cpu, spunNs, count, lostNs, largestNs }) =>
			({ cpu, spunNs, count, lostNs, largestNs })),
		cpus: stat.match(/^cpu\d/gm)?.length ?? 1,
		stealMs: number(/^cpu +(?:\d+ ){7}(\d+)/m, stat, TICK_MS),
		waitedUs: { cpu: waited('cpu'), memory: waited('memory'), io: waited('io') },
		load: loadavg()[0] ?? null,
		frequencyKHz: number(/^(\d+)/, text(`/sys/devices/system/cpu/cpu${targetCpu}/cpufreq/scaling_cur_freq`), 1),
	};
};

const waited = (what: string): number | null => number(/^some .*total=(\d+)/m, text(`/proc/pressure/${what}`), 1);

function number(pattern: RegExp, source: string, unit: number): number | null {
	const found = pattern.exec(source)?.[1];
	return found === undefined ? null : Number(found) * unit;
}

function text(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}
