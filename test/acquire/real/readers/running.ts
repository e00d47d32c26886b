/** Running readers: in English, without anybody's settings, and not for ever. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { statusField } from '../../../processes.ts';
import type { Needs, Running } from './types.ts';

const LONGEST_MS = 300_000;

export interface Ran {
	code: number | null;
	stdout: string;
	stderr: string;
	/** Both. */
	text: string;
	seconds: number;
	/** Of the process itself, as long as anybody looked: up to a tenth of a second before its end. */
	peakMiB: number;
}

/** Throws where it cannot be run, or takes too long. */
export function ran(tool: string, args: string[]): Promise<Ran> {
	return new Promise((resolve, reject) => {
		const env = { ...process.env, LC_ALL: 'C', HOME: '/nonexistent', DEBUGINFOD_URLS: '' };
		const started = performance.now();
		let peakMiB = 0;
		const child = execFile(
			tool, args, { env, maxBuffer: 256 << 20, timeout: LONGEST_MS, killSignal: 'SIGKILL' },
			(error, stdout, stderr) => {
				clearInterval(looking);
				if (error !== null && child.exitCode === null)
					reject(new Error(`${tool}: ${child.signalCode === null ? error.message : `ended by ${child.signalCode}`}`));
				else resolve({
					code: child.exitCode, stdout, stderr, text: `${stdout}\n${stderr}`, peakMiB,
					seconds: (performance.now() - started) / 1000,
				});
			}
		);
		const looking = setInterval(() => {
			peakMiB = parseInt(statusField(child.pid ?? 0, 'VmHWM') || String(peakMiB * 1024), 10) / 1024;
		}, 100);
		child.stdin?.end();
	});
}

/** What a program wants to hear besides, and did not. */
export const askedFaults = (reader: string, text: string, { asks }: Running): string[] =>
	(asks?.[reader]?.says ?? []).filter((pattern) => !pattern.test(text))
		.map((pattern) => `it does not say ${String(pattern)}`);

/** Where it is: of a path itself. null: nowhere. */
export function found(program: string): string | null {
	if (program.includes('/')) return existsSync(program) ? program : null;
	return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program)).find(existsSync) ?? null;
}

/** Debian's packages that are missing. */
export const packagesFor = (...needs: Needs[]): string[] =>
	[...new Set(needs.flatMap((each) =>
		Object.entries(each).filter(([program]) => found(program) === null).map(([, name]) => name)))];
