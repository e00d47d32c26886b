/** Starting programs, and waiting until all of their threads wait. */
import { spawn, spawnSync, type SpawnOptionsWithoutStdio } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { eventually, statusField } from '../../../processes.ts';
import { packagesFor } from './running.ts';
import type { Ends } from './types.ts';

/** In any program's memory, and made there: no file has all of it, nor an argument. */
export const textOf = (program: string): string => `known-${program}-0123456789`;
/** How a program makes it: of two halves. */
export const halvesOf = (program: string): [string, string] => [`known-${program}-01234`, '56789'];

export interface Started {
	pid: number;
	/** The first line that it says on stdout. */
	said: Promise<string>;
	tell: (text: string) => void;
}

/** Ended with `ends`. What it says on stderr is shown: nobody expects it to say anything. */
export function startProgram(
	ends: Ends, program: string, args: string[], options: SpawnOptionsWithoutStdio = {}
): Started {
	const child = spawn(program, args, { ...options, stdio: ['pipe', 'pipe', 'inherit'] });
	ends.teardown(() => child.kill('SIGKILL'));
	const said = new Promise<string>((resolve, reject) => {
		createInterface({ input: child.stdout }).once('line', resolve);
		child.once('error', reject).once('exit', (code) => reject(new Error(`${program} ended with ${code}`)));
	});
	said.catch(() => undefined);
	return { pid: child.pid ?? 0, said, tell: (text) => child.stdin.write(text) };
}

/** Each of its threads sleeps, and has not run for so long. */
export async function atRest(pid: number, ms = 200): Promise<void> {
	let last = '', since = performance.now();
	await eventually(() => {
		const now = readdirSync(`/proc/${pid}/task`).map((tid) =>
			['State', 'voluntary_ctxt_switches'].map((name) => statusField(Number(tid), name)).join()).join(' ');
		const rests = !/[RD] \(/.test(now);
		if (now !== last || !rests) since = performance.now();
		last = now;
		return performance.now() - since > ms ? true : undefined;
	}, `process ${pid} is at rest`);
}

/** C to a program; throws what the compiler says. */
export function compile(source: string, program: string, ...flags: string[]): void {
	const { status, stderr } = spawnSync(
		'gcc', ['-std=gnu11', '-O1', '-g', '-fno-omit-frame-pointer', '-pthread', ...flags, '-o', program, source],
		{ encoding: 'utf8' }
	);
	if (status !== 0) throw new Error(`gcc: ${packagesFor({ gcc: 'gcc' }).join()} ${stderr}`);
}
