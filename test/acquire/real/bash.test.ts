/**
 * A shell that counts and has children all the time: every line comes, in order and right, and no child is one too
 * many.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { hasProgram, leftAlone, takeRepeatedly } from './taking.ts';

const missing = ['bash', 'gdb'].find((program) => !hasProgram(program));

testUnless(missing === undefined ? null : `there is no ${missing}`)('bash goes on counting', async (t) => {
	const shell = spawn(
		'bash', [fileURLToPath(new URL('targets/loop.sh', import.meta.url))], { stdio: ['pipe', 'pipe', 'pipe'] }
	);
	t.teardown(() => shell.kill('SIGKILL'));
	const said: string[] = [];
	shell.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
	const ended = once(shell, 'exit');
	let lines = 0;
	let sum = 0;
	const wrong: string[] = [];
	createInterface({ input: shell.stdout }).on('line', (line) => {
		lines += 1;
		sum = (sum * 31 + lines) % 1000003;
		if (line !== `${lines} ${sum}`) wrong.push(`line ${lines}: ${line}`);
	});
	await eventually(() => (lines > 0 ? true : undefined), 'the shell counts');
	const pid = shell.pid as number;
	await takeRepeatedly(t, 6, {
		processes: { bash: pid }, served: () => [lines],
		check: () => t.deepEqual([wrong.slice(0, 3), said, shell.exitCode], [[], [], null]),
	});
	await leftAlone(t, pid);
	shell.stdin.write('end\n');
	t.deepEqual(await ended, [0, null]);
	t.deepEqual([wrong.slice(0, 3), said], [[], []]);
});
