/**
 * A Python program whose threads check memory, calls, sockets, locks and children: each goes on, and none finds
 * anything wrong.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { hasProgram, leftAlone, takeRepeatedly } from './taking.ts';

const WORKERS = ['calls', 'children', 'memory', 'queues', 'sockets'];
const missing = ['python3', 'gdb'].find((program) => !hasProgram(program));

testUnless(missing === undefined ? null : `there is no ${missing}`)('Python\'s threads go on', async (t) => {
	const python = spawn(
		'python3', [fileURLToPath(new URL('targets/threads.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'pipe'] }
	);
	t.teardown(() => python.kill('SIGKILL'));
	const said: string[] = [];
	python.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
	const ended = once(python, 'exit');
	let done: Record<string, number> = {};
	createInterface({ input: python.stdout })
		.on('line', (line) => { done = JSON.parse(line) as Record<string, number>; });
	await eventually(() => (WORKERS.every((name) => done[name] !== undefined) ? true : undefined), 'all threads work');
	await takeRepeatedly(t, 5, {
		processes: { python: python.pid as number },
		served: () => WORKERS.map((name) => done[name] as number),
		check: () => t.deepEqual([said, python.exitCode], [[], null]),
	});
	await leftAlone(t, python.pid as number);
	python.stdin.end();
	t.deepEqual(await ended, [0, null]);
	t.deepEqual(said, []);
});
