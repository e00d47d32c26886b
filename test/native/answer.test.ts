/** Signals are answered whatever JavaScript does, and give back the priority that was given up. */
import test, { type ExecutionContext } from 'ava';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { NODE } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { until } from './help.ts';

const TEXT = 'heard\n';

interface Busy { child: ChildProcess; said: () => string }

/** Listens to SIGINT, gives its priority up, and never comes back to its event loop. */
async function busy(t: ExecutionContext): Promise<Busy> {
	const module = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
	const script =
		`const { answerSignals } = await import(${module('../../native/index.ts')});
		const { yieldToOthers } = await import(${module('../../acquire/priority.ts')});
		process.on('SIGINT', () => process.stderr.write('listened\\n'));
		const answering = answerSignals(${JSON.stringify(TEXT)});
		yieldToOthers(process.ppid, answering);
		process.stdout.write(String(answering.tid));
		const word = new Int32Array(new SharedArrayBuffer(4));
		while (!answering.heard()) Atomics.wait(word, 0, 0, 1);
		for (;;) Atomics.wait(word, 0, 0);`;
	const child = spawn(
		NODE[0], [...NODE.slice(1), '--input-type=module', '-e', script],
		{ stdio: 'pipe', env: { ...process.env, PROCSNAP_NICE: '19' } }
	);
	t.teardown(() => child.kill('SIGKILL'));
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
	await once(child.stdout, 'data');
	return { child, said: () => said };
}

/** Of each thread. One under SCHED_FIFO has the one that it would have without. */
const nicenesses = (pid: number): number[] => readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
	try {
		return [Number(readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[16])];
	} catch {
		return [];	// it has ended
	}
});

test('an answer while JavaScript is busy, once', async (t) => {
	const { child, said } = await busy(t);
	child.kill('SIGINT');
	await until('it answers', () => said() !== '');
	child.kill('SIGINT');
	child.kill('SIGTERM');	// nobody listens to it: it ends the process, after the other one
	await once(child, 'close');
	t.is(said(), TEXT);
});

test('after its stop a signal is heard as before, and not answered', async (t) => {
	const script =
		`const { answerSignals } = await import(${JSON.stringify(new URL('../../native/index.ts', import.meta.url).href)});
		process.on('SIGINT', () => { console.log(answering.heard()); process.exit(0); });
		const answering = answerSignals(${JSON.stringify(TEXT)});
		answering.stop();
		console.log(answering.heard());
		setInterval(() => {}, 1000);`;
	const child = spawn(NODE[0], [...NODE.slice(1), '--input-type=module', '-e', script], { stdio: 'pipe' });
	t.teardown(() => child.kill('SIGKILL'));
	let out = '', said = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text; });
	child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
	await until('it has stopped', () => out !== '');
	child.kill('SIGINT');
	await once(child, 'close');
	t.deepEqual([out, said], ['false\ntrue\n', '']);
});

const asRoot = testUnless(process.getuid?.() === 0 ? null : 'only root may raise a priority');

asRoot('a signal gives all threads the priority that they had', async (t) => {
	const { child } = await busy(t), pid = child.pid as number;
	const before = nicenesses(pid);
	t.is(before.filter((nice) => nice !== 19).length, 1, 'all but the one that answers');
	t.true(before.length > 1);
	child.kill('SIGINT');
	await until('they are in a hurry again', () => nicenesses(pid).every((nice) => nice === 0));
});
