/** Whoever is killed, at whatever step of create_proc_snap(): the target has no part in it, and no duplicate stays. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { ProcsnapError, Tracer } from '../../native/index.ts';
import { aMark, isFree, marked, NODE } from '../processes.ts';
import type { Footprint } from './footprint.ts';
import { children, failure, snapTest, start, state, tracerFor, until, type Target } from './help.ts';

// In all that is started here, and in duplicates of it.
const mark = aMark();
process.env[mark.split('=')[0]!] = mark.split('=')[1];

const [TURNS, BAD, SIGNALS, OTHER_PID, FAILED_SLEEPS, CUT_SLEEPS] = [1, 2, 3, 5, 6, 8];
/** Of targets/vforking.c. */
const END_CHILD = 2;
const TAKE = ['checked', 'released', 'held'], END = ['killed', 'buried'];

async function assertUnharmed(target: Target): Promise<void> {
	await until('only the target is left', () => marked(mark).every((pid) => pid === target.pid));
	await target.runs(TURNS);
	for (const word of [BAD, SIGNALS, OTHER_PID, FAILED_SLEEPS, CUT_SLEEPS]) if (target.number(word) !== 0)
		throw new Error(`word ${word} is ${target.number(word)}`);
	if (!isFree(target.pid)) throw new Error('the target is held');
	if (children(target.pid).length > 0) throw new Error('the target has a child');
}

const mortal = (...args: Array<string | number>) =>
	spawn(
		NODE[0],
		[...NODE.slice(1), '--expose-gc', fileURLToPath(new URL('mortal.ts', import.meta.url)), ...args.map(String)],
		{ stdio: ['ignore', 'pipe', 'inherit'] }
	);

snapTest('the requester is killed at each step, or while it has a duplicate', async (t) => {
	const target = await start(t, 'death', 'asleep');
	for (const [verb, steps] of [['at', TAKE], ['at-end', END]] as const)
		for (const step of steps) {
			const [, signal] =
				await once(mortal(verb, step, target.pid, 'snap'), 'close') as [number | null, string | null];
			t.is(signal, 'SIGKILL', step);
			await assertUnharmed(target);
		}
	const holder = mortal('snap', target.pid);
	let said = '';
	holder.stdout.on('data', (text: Buffer) => void (said += text.toString()));
	await until('it has a duplicate', () => said.trim().split('\n').length === 2);
	const duplicate = Number(said.trim().split('\n')[1]);
	t.not(state(duplicate), '');
	holder.kill('SIGKILL');
	await assertUnharmed(target);
	await until('the duplicate is gone', () => state(duplicate) === '');
});

snapTest('the tracer is killed at each step, or while it has a duplicate that is read by peek', async (t) => {
	const target = await start(t, 'death', 'busy');
	for (const step of [...TAKE, ...END]) {
		const tracer = Tracer.start();
		if (TAKE.includes(step)) tracer.killAt(step, 'tracer');
		const error = t.throws(() => {
			tracer.snap(target.pid);
			tracer.killAt(step, 'tracer');
			tracer.end();
		}, { instanceOf: ProcsnapError });
		t.is(error.code, 'EPIPE', step);
		tracer.close();
		await assertUnharmed(target);
	}
	for (const way of ['proc-mem', 'peek'] as const) {
		const tracer = Tracer.start(), { pid } = tracer.snap(target.pid);
		tracer.read(way, pid, BigInt(`0x${readFileSync(`/proc/${target.pid}/maps`, 'utf8').split('-')[0] ?? ''}`), 8);
		process.kill(tracer.pid, 'SIGKILL');
		tracer.close();
		await until('the kernel ends the duplicate', () => state(pid) === '');
		await assertUnharmed(target);
	}
});

snapTest('a tracing thread that is given up leaves the duplicate as it is', async (t) => {
	const tracer = tracerFor(t, { timeoutMs: 200 }), target = await start(t, 'pattern'), vforking = await start(
		t, 'vforking'
	);
	const { pid } = tracer.snap(target.pid), read = (): number => tracer.read('peek', pid, target.word[1]!, 64).bytes;
	t.is(read(), 64);
	t.is(failure(t, () => tracer.hold(vforking.pid)).code, 'ETIMEDOUT');
	t.is(read(), 64);
	t.is(tracer.registers().length, 1);
	tracer.end();
	t.deepEqual(children(tracer.pid), []);
	vforking.word[END_CHILD] = 1n;		// it has the test's output open
});

snapTest('300 duplicates, and nothing has grown', async (t) => {
	const target = await start(t, 'region'), child = mortal('snap-cycles', 300, target.pid);
	let out = '';
	child.stdout.on('data', (text: Buffer) => void (out += text.toString()));
	await once(child, 'close');
	const last = out.trim().split('\n').at(-1)!;
	const { before, after } = JSON.parse(last) as Record<'before' | 'after', Record<'tracer' | 'target', Footprint>>;
	for (const who of ['tracer', 'target'] as const) {
		t.true(
			after[who].rssKiB - before[who].rssKiB < 300, `${who}: ${before[who].rssKiB}, then ${after[who].rssKiB} KiB`
		);
		t.deepEqual({ ...after[who], rssKiB: 0 }, { ...before[who], rssKiB: 0 });
	}
	t.deepEqual(marked(mark), [target.pid]);
});
