/** precopy: a copy that is made while its target runs is the target as of one moment, whatever it does meanwhile. */
import type { ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../common/errors.ts';
import { mechanism } from '../../mechanisms/precopy.ts';
import { ProcsnapError, type Tracer } from '../../native/index.ts';
import { isFree } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { children, sleep, start, tracerFor, until, type Target } from './help.ts';
import { ShiftingThread } from './shifting.ts';

const precopyTest = testUnless(mechanism.unavailable());

async function shifting(t: ExecutionContext, threads: number, coldPages: number): Promise<{
	target: Target; oracles: ShiftingThread[];
}> {
	const target = await start(t, 'shifting', threads, coldPages), oracles: ShiftingThread[] = [];
	while (oracles.length < threads) oracles.push(new ShiftingThread(await target.line(), coldPages));
	return { target, oracles };
}

for (const [threads, coldPages, copies] of [[1, 512, 60], [3, 512, 30]] as const)
	precopyTest(`memory that is written to, given up, moved, mapped anew: ${threads} threads`, async (t) => {
		const { target, oracles } = await shifting(t, threads, coldPages), tracer = tracerFor(t, { priority: 1 });
		for (let copy = 0; copy < copies; copy++) {
			const still = mechanism.open(tracer, target);
			for (const oracle of oracles)
				t.is(oracle.wrong((address, length) => still.read(BigInt(address), length)), null, `copy ${copy}`);
			still.end();
		}
		await target.runs(1);
	});

precopyTest('threads that sleep are stopped twice: what they write to when they go on is known', async (t) => {
	const tracer = tracerFor(t, { priority: 1 }), target = await start(t, 'crowd', 24), stops: number[] = [];
	while (stops.length < 12) {
		tracer.precopy(target.pid);
		let copy;
		do copy = tracer.precopyGoOn(20); while (!copy.done);
		stops.push(1 + copy.attempts);
		tracer.end();
	}
	// Another page may be touched once in a while.
	t.true(stops.filter((count) => count === 2).length >= 8, `stops of each copy: ${stops.join(' ')}`);
	await target.runs(1);
});

precopyTest('a stack pointer that points nowhere is no reason', async (t) => {
	for (const stack of ['0xffffffffffffffff', '0x800000000000', '0x7ffffffff000', '0x10']) {
		const target = await start(t, 'hazards', 'no-stack', stack);
		t.is(taken(tracerFor(t), target.pid), 'taken', stack);
		await target.runs(1);
	}
});

precopyTest('while its target runs it takes turns with it: its thread is an ordinary one', async (t) => {
	const tracer = tracerFor(t, { priority: 1 });
	const refused = tracer.notGot.find((what) => what.startsWith('sched_setscheduler'));
	if (refused !== undefined) {
		t.pass(`not looked at: ${refused}`);
		return;
	}
	const { target } = await shifting(t, 1, 30_000);
	// Of each of its threads, policy 0 or 1 (SCHED_FIFO); this process cannot look while it waits for the tracer.
	const looking = spawn('sh', ['-c', `while :; do cut -d' ' -f41 /proc/${tracer.pid}/task/*/stat | sort | uniq -c; done`]);
	t.teardown(() => looking.kill('SIGKILL'));
	let seen = '';
	looking.stdout.setEncoding('utf8').on('data', (text: string) => { seen += text; });
	await until('it is looked at', () => seen !== '');
	await sleep(0);
	seen = '';
	const still = mechanism.open(tracer, target);
	await sleep(100);
	still.end();
	t.regex(seen, /1 0\n/);
});

/** The code of the error where it was refused, with nothing left at its tracer. */
function taken(tracer: Tracer, pid: number): string {
	try {
		mechanism.open(tracer, { pid }).end();
		return 'taken';
	} catch (error) {
		if (error instanceof ProcsnapError) return error.code;
		if (error instanceof Failure) return 'ESRCH';
		throw error;
	}
}

precopyTest('what a device may write to unseen is refused, with the reason, and nothing is done', async (t) => {
	const tracer = tracerFor(t), folder = mkdtempSync(join(tmpdir(), 'procsnap-'));
	t.teardown(() => rmSync(folder, { recursive: true }));
	const file = join(folder, 'direct');
	for (const args of [['direct', file], ['io-uring'], ['aio']]) {
		const target = await start(t, 'hazards', ...args), turns = target.number(1);
		const error = t.throws(() => mechanism.open(tracer, target), { instanceOf: ProcsnapError }, args[0]);
		t.is(error.code, 'ENOTSUP');
		t.regex(error.message, /what a device writes into its memory for that is not seen; take a copy by inject/);
		t.true(mechanism.estimate!(tracer, target.pid).reasons.some(({ name }) => name === 'unseen-writes'));
		t.true(isFree(target.pid) && target.number(1) >= turns);
	}
});

precopyTest('what a fork would do to a target is no reason here: no process is made', async (t) => {
	const tracer = tracerFor(t);
	for (const mode of ['new-pid', 'new-time', 'userfaultfd', 'deadline']) {
		const target = await start(t, 'hazards', mode);
		if (target.process.exitCode !== null) {
			t.log(`not looked at: this machine has no ${mode}`);
			continue;
		}
		t.is(taken(tracer, target.pid), 'taken', mode);
		t.deepEqual(children(target.pid), [], mode);
	}
});

precopyTest('two collectors at once: the second is refused, and the first one\'s copy is right', async (t) => {
	const { target, oracles } = await shifting(t, 1, 12_000);
	const first = tracerFor(t), second = tracerFor(t);
	const steps = mechanism.copying!(first, target);
	t.not(steps.next().done, true);
	const error = t.throws(() => mechanism.open(second, target), { instanceOf: ProcsnapError });
	t.is(error.code, 'EBUSY');
	t.regex(error.message, /userfaultfd already, its own or another procsnap's: take a copy by inject, or later/);
	for (;;) {
		const { done, value } = steps.next();
		if (done !== true) continue;
		t.is(oracles[0]!.wrong((address, length) => value.read(BigInt(address), length)), null);
		value.end();
		break;
	}
	t.is(taken(second, target.pid), 'taken', 'later');
});

precopyTest('a target that writes faster than can be read is refused, and goes on', async (t) => {
	const tracer = tracerFor(t, { priority: 1 }), target = await start(t, 'hazards', 'writer', 96, 1);
	target.word[3] = 1n;
	// Beside a load it may not get the CPU for that in the moment in which it counts: then once more.
	let refusal: unknown;
	for (let tries = 0; refusal === undefined && tries < 50; tries++)
		try {
			mechanism.open(tracer, target).end();
		} catch (error) {
			refusal = error;
		}
	t.true(refusal instanceof ProcsnapError && ['E2BIG', 'EAGAIN'].includes(refusal.code), String(refusal));
	t.regex(String(refusal), /faster than it can be read: more than 8 MiB were left for the stop|to ever other pages/);
	t.true(isFree(target.pid));
	t.notRegex(readFileSync(`/proc/${target.pid}/smaps`, 'utf8'), /^VmFlags:.* u[wm]\b/m);
	await target.runs(1);
});

for (const mode of ['exec', 'exit', 'threads'])
	precopyTest(`a target that has or is something new all the time (${mode}): a copy, or a clean error`, async (t) => {
		const tracer = tracerFor(t, { timeoutMs: 2000 }), target = await start(t, 'churn', mode);
		const counts = new Map<string, number>();
		for (let i = 0; i < 60; i++) {
			const code = taken(tracer, mode === 'exit' ? target.number(3) : target.pid);
			counts.set(code, (counts.get(code) ?? 0) + 1);
		}
		t.log([...counts].map(([code, count]) => `${code} ${count}`).join(', '));
		const clean = ['taken', 'ESRCH', 'EAGAIN', 'ETIMEDOUT', 'EBUSY'];
		t.deepEqual([...counts.keys()].filter((code) => !clean.includes(code)), []);
		if (mode === 'threads') t.true((counts.get('taken') ?? 0) > 30);
		await target.runs(1);
		if (mode !== 'threads') t.is(target.number(2), 0, 'what it saw and should not have');
	});
