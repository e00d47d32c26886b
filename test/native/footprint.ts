/** What a process has, and might have more and more of. */
import { readdirSync, readFileSync } from 'node:fs';
import { statusField } from '../processes.ts';

export interface Footprint {
	rssKiB: number; fds: number; threads: number; children: number; traced: number; mappings: string[];
}

const withField = (name: string, pid: number): number =>
	readdirSync('/proc').filter((other) =>
		Number(other) > 0 && statusField(Number(other), name) === String(pid)).length;

export const footprint = (pid: number): Footprint => ({
	rssKiB: parseInt(statusField(pid, 'VmRSS')),
	fds: readdirSync(`/proc/${pid}/fd`).length,
	threads: readdirSync(`/proc/${pid}/task`).length,
	children: withField('PPid', pid),
	traced: withField('TracerPid', pid),
	mappings: readFileSync(`/proc/${pid}/maps`, 'latin1').trim().split('\n'),
});
