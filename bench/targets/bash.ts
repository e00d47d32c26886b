/** The paper's target: an interactive bash, on a terminal of its own, idle at its prompt. */
import { once } from 'node:events';
import type { Lab, Target } from '../types.ts';
import { ended, placement, startProgram } from './workload.ts';

/** The same for everybody, so that runs can be compared, and nobody's own: figure 3 is published. */
const environment = (): NodeJS.ProcessEnv => ({
	...Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('PROCSNAP_'))),
	PATH: process.env.PATH,
	TERM: 'dumb',
});

export interface Shell extends Target {
	close: () => Promise<void>;
}

export async function startBash(lab: Lab): Promise<Shell> {
	const child = startProgram('on-pty', [...placement(lab), 'bash', '--norc', '-i'], ['pipe', 'pipe', 'pipe'], environment());
	const { stdout } = child;
	if (stdout === null) throw new Error('bash could not be started: no pipe to its launcher');
	let said = '';
	let out = '';
	child.stderr?.setEncoding('utf8').on('data', (text: string) => { said += text; });
	stdout.setEncoding('utf8');
	const gone = once(child, 'exit');
	while (!out.includes('\n')) {
		const [text] = await Promise.race([once(stdout, 'data'), gone]) as [unknown];
		if (typeof text !== 'string') throw new Error(`bash could not be started on a terminal: ${said.trim()}`);
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
