/** What a running process is: its program's sizes and its memory. */
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { codeOf } from '../../common/errors.ts';

export interface ProgramSize { program: string; text: number; data: number; bss: number; total: number }

/** What `read` finds of the process; that the process is no more is said as that, not as a file that is missing. */
function ofProcess<T>(pid: number, read: () => T): T {
	try {
		return read();
	} catch (error) {
		// A zombie has no program any more either (ENOENT), and a process that ends while it is read answers ESRCH.
		if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH')
			throw new Error(`process ${pid} has ended`, { cause: error });
		throw error;
	}
}

/** Path of the program that the process runs: proc_pid_exe(5). */
export const programPath = (pid: number): string => ofProcess(pid, () => readlinkSync(`/proc/${pid}/exe`));

/** Segment sizes of the program that the process really runs, as size(1) of binutils counts them, in bytes. */
export function programSize(pid: number): ProgramSize & Record<string, string | number> {
	const program = basename(programPath(pid));
	const { stdout, stderr, error } = spawnSync('size', [`/proc/${pid}/exe`], { encoding: 'utf8' });
	const [text, data, bss, total] = (error === undefined ? stdout : '').split('\n')[1]?.trim().split(/\s+/).map(
		Number
	) ?? [];
	if (text === undefined || data === undefined || bss === undefined || total === undefined) {
		throw new Error(
			`size(1) of binutils cannot tell the sizes of process ${pid}: ${error?.message ?? stderr.trim()}`
		);
	}
	return { program, text, data, bss, total };
}

/** VmSize and VmRSS of proc_pid_status(5), in KiB. */
export function memoryOf(pid: number): { virtualKiB: number; residentKiB: number } {
	const status = ofProcess(pid, () => readFileSync(`/proc/${pid}/status`, 'utf8'));
	const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
	return { virtualKiB: field('VmSize'), residentKiB: field('VmRSS') };
}

export interface Region { start: bigint; end: bigint; permissions: string; name: string }

/** /proc/PID/maps, proc_pid_maps(5). */
export function readRegions(pid: number): Region[] {
	return ofProcess(pid, () => readFileSync(`/proc/${pid}/maps`, 'utf8')).split('\n').flatMap((line) => {
		const found = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)$/.exec(line);
		return found === null
			? []
			: [
				{
					start: BigInt(`0x${found[1]}`), end: BigInt(`0x${found[2]}`), permissions: found[3] as string,
					name: found[4] as string,
				},
			];
	});
}

/**
 * Regions that a duplicate holds still: private and readable. The kernel's own ([vvar], [vsyscall]) cannot be read by
 * others.
 */
export const isEvidence = ({ permissions, name }: Region): boolean =>
	permissions.startsWith('r') && permissions.endsWith('p') && !name.startsWith('[vvar') && name !== '[vsyscall]';
