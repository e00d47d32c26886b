/**
 * The paper's target: an interactive bash, on a terminal of its own, idle at its
 * prompt. Where there is none, or PROCSNAP_SHELL=standin, the stand-in of
 * workloads/standin.c, which has the segment sizes of the paper's bash. The
 * tables say which program ran.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Lab, Target } from '../types.ts';
import { ended, placement, programPath, startProgram } from './workload.ts';

/** The same for everybody, so that runs can be compared, and nobody's own: figure 3 is published. */
const environment = (): NodeJS.ProcessEnv => ({
	...Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('PROCSNAP_'))),
	PATH: process.env.PATH,
	TERM: 'dumb',
});

export interface Shell extends Target {
	close: () => Promise<void>;
}

const hasBash = (): boolean => spawnSync('bash', ['-c', ':']).status === 0;

export async function startShell(lab: Lab): Promise<Shell> {
	const command = process.env.PROCSNAP_SHELL === 'standin' || !hasBash()
		? [programPath('standin')]
		: ['bash', '--norc', '-i'];
	const child = startProgram('on-pty', [...placement(lab), ...command], ['pipe', 'pipe', 'pipe'], environment());
	const { stdout } = child;
	if (stdout === null) throw new Error('the shell could not be started: no pipe to its launcher');
	let said = '';
	let out = '';
	child.stderr?.setEncoding('utf8').on('data', (text: string) => { said += text; });
	stdout.setEncoding('utf8');
	const gone = once(child, 'exit');
	while (!out.includes('\n')) {
		const [text] = await Promise.race([once(stdout, 'data'), gone]) as [unknown];
		if (typeof text !== 'string') throw new Error(`the shell could not be started on a terminal: ${said.trim()}`);
		out += text;
	}
	return {
		pid: Number(out),
		close: async () => {
			child.stdin?.end();
			await ended(child);
		},
	};
}
