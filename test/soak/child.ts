/** Programs that the soak starts beside its targets: what they say is kept, and none outlives the soak. */
import { spawn, type ChildProcess } from 'node:child_process';

const living = new Set<ChildProcess>();

/** `said` to people (stderr), and `printed` for programs (stdout): the end of each. */
export interface Ended { code: number | null; signal: NodeJS.Signals | null; said: string; printed: string }

export interface Started { process: ChildProcess; ended: Promise<Ended> }

export function startProgram(program: string, args: readonly string[]): Started {
	const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
	living.add(child);
	let said = '', printed = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => printed = (printed + text).slice(-(1 << 16)));
	child.stderr.setEncoding('utf8').on('data', (text: string) => said = (said + text).slice(-4000));
	const ended = new Promise<Ended>((resolve) => {
		child.on('error', (error) => resolve({ code: 127, signal: null, said: String(error), printed }));
		child.on('close', (code, signal) => resolve({ code, signal, said, printed }));
	}).finally(() => living.delete(child));
	return { process: child, ended };
}

/** Ended after `ms` at the latest. */
export async function run(program: string, args: readonly string[], ms: number): Promise<Ended> {
	const { process: child, ended } = startProgram(program, args);
	const timer = setTimeout(() => child.kill('SIGKILL'), ms);
	return ended.finally(() => clearTimeout(timer));
}

export function endPrograms(): void {
	for (const child of living) child.kill('SIGKILL');
}
