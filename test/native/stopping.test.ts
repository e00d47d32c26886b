/** Stops that fail: the others do not stand still for a thread that cannot be stopped, and all go on. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { place, ProcsnapError, type Tracer } from '../../native/index.ts';
import { isFree } from '../processes.ts';
import { failure, program, start, state, status, tracerFor, until } from './help.ts';

/** Of targets/gaps.c. */
const [LOOKS, END_CHILD, GAP, TID] = [1, 2, 3, 7];

test('a thread that waits in the kernel: the take is refused, and names it; the others never stand still',
	async (t) => {
	const target = await start(t, 'gaps', 'vfork'), tracer = tracerFor(t, { timeoutMs: 3000 });
	await until('its thread is in vfork()', () => state(target.number(TID)) === 'D');
	for (const ask of ['inject', 'hold', 'stopCopy'] as const) {
		target.word[GAP] = 0n;
		const error = failure(t, () => tracer[ask](target.pid));
		t.is(error.code, 'ETIMEDOUT');
		t.regex(error.message, new RegExp(`thread ${target.number(TID)} of process ${target.pid} .*state D.*vfork`));
		await target.runs(LOOKS);
		t.true(
			target.number(GAP) < 1000e6,
			`${ask} was tried for 3 s, and another thread stood still for ${target.number(GAP) / 1e6} ms`
		);
	}
	t.true(isFree(target.pid));
	target.word[END_CHILD] = 1n;
	await until('vfork() has returned', () => state(target.number(TID)) === 'S');
	t.is(tracer.inject(target.pid).threads, 2);
	tracer.end();
});

test('a thread that was willing, and does not stop: the stop is undone in time, and all go on', async (t) => {
	const target = await start(t, 'gaps', 'vforks'), tracer = tracerFor(t, { timeoutMs: 3000 });
	let undone = 0, taken = 0, refused = 0, leastMs = Infinity;
	for (const end = Date.now() + 120_000; undone < 2 && Date.now() < end;) {
		let isUndone = false;
		target.word[GAP] = 0n;
		try {
			// A stop that was undone, as the others had waited for their 50 ms, is part of the pause that is told.
			isUndone = tracer.inject(target.pid).pauseNs > 50e6;
			taken++;
			tracer.end();
		} catch (error) {
			if (!(error instanceof ProcsnapError) || !['ETIMEDOUT', 'EBUSY'].includes(error.code)) throw error;
			isUndone = /did not stop within/.test(error.message);
			if (!isUndone) refused++;
		}
		await until('nobody holds the target', () => isFree(target.pid));
		await target.runs(LOOKS);
		if (!isUndone) continue;
		undone++;
		leastMs = Math.min(leastMs, target.number(GAP) / 1e6);
	}
	t.log(
		`${taken} taken, ${undone} after a stop that was undone or refused after some, ${refused} refused before ` +
			`anything was stopped`
	);
	t.is(undone, 2);
	// On a busy machine each may come late to its CPU by itself.
	t.true(leastMs < 130, `a thread is in vfork() for 180 ms, and another one stood still for ${leastMs} ms at least`);
});

test('a target that has its calls dispatched to itself is refused, and goes on', async (t) => {
	const [TURNS, SIGSYS] = [1, 2], target = await start(t, 'dispatch'), tracer = tracerFor(t);
	if (target.process.exitCode !== null) {
		t.log(`not here: ${await target.line()}`);
		return t.pass();
	}
	for (let i = 0; i < 20; i++) {
		const error = failure(t, () => tracer.inject(target.pid));
		t.is(error.code, 'ENOTSUP');
		t.regex(error.message, /syscall user dispatch/);
		await target.runs(TURNS);
	}
	t.is(target.number(SIGSYS), 0, 'it was sent SIGSYS');
	t.is(BigInt(`0x${status(target.pid, 'SigBlk')}`), 0n);
	t.true(isFree(target.pid));
	t.true(tracer.stopCopy(target.pid).bytes > 0, 'no call is made for this');
	tracer.end();
	return target.runs(TURNS);
});

test('a target whose duplicate cannot be buried was stopped for that all the same: the end tells for how long',
	async (t) => {
	const [BEGIN, BEGUN] = [3, 4], target = await start(t, 'dispatch', 'later'), tracer = tracerFor(t);
	tracer.inject(target.pid);
	target.word[BEGIN] = 1n;
	await until(
		'its calls are dispatched, or cannot be', () => target.number(BEGUN) === 1 || target.process.exitCode !== null
	);
	const { unburied, pauseNs } = tracer.end();
	if (target.process.exitCode !== null) {
		t.log(`not here: ${await target.line()}`);
		return t.pass();
	}
	t.regex(unburied ?? '', /syscall user dispatch/);
	t.true(pauseNs > 0);
	await until('the tracer has tried again', () => tracer.untold().pauseNs > 0);
	return target.runs(1);
});

const tasks = (pid: number): number[] => readdirSync(`/proc/${pid}/task`).map(Number);

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

test('a real-time tracer on the only CPU that the target may use does not keep it from stopping', async (t) => {
	const target = await start(t, 'states', 'threaded'), urgent = tracerFor(t, { cpu: 0, priority: 50 }), ordinary =
		tracerFor(t, { cpu: 0 });
	const refused = urgent.notGot.find((what) => what.startsWith('sched_')) ?? place(target.pid, 0, 0) ??
		place(target.number(2), 0, 0);
	if (refused !== null) {
		t.log(`not here: ${refused}`);
		return t.pass();
	}
	const pauses = (tracer: Tracer): number => median(Array.from({ length: 9 }, () => {
		const { pauseNs } = tracer.inject(target.pid);
		tracer.end();
		return pauseNs;
	}));
	const usual = pauses(ordinary), real = pauses(urgent);
	t.log(`median pause ${(usual / 1e6).toFixed(2)} ms; by the real-time tracer ${(real / 1e6).toFixed(2)} ms`);
	t.true(real <= 10 * usual);
	return undefined;
});

test('a tracer gets its CPUs back after each take, in whatever order', async (t) => {
	const pinned = await start(t, 'states', 'idle'), other = await start(t, 'states', 'idle'), tracer = tracerFor(t);
	const refused = place(pinned.pid, 0, 0);
	if (refused !== null) {
		t.log(`not here: ${refused}`);
		return t.pass();
	}
	const cpus = (): string[] => [...new Set(tasks(tracer.pid).map((tid) => status(tid, 'Cpus_allowed_list')))];
	const before = cpus();
	for (let i = 0; i < 5; i++) {
		tracer.inject(pinned.pid);
		t.deepEqual(cpus(), before, 'after a take');
		tracer.hold(other.pid);
		tracer.end();
		tracer.letGo();
		t.deepEqual(cpus(), before, 'after an end beside a held process');
		tracer.inject(other.pid);
		tracer.hold(pinned.pid);
		tracer.end();
		tracer.letGo();
		t.deepEqual(cpus(), before, 'after an end beside a held process, pinned');
	}
	return undefined;
});

for (const what of ['room', 'too-large'])
	test(`memory for a copy is asked for in steps, and only where there is as much: ${what}`, (t) => {
		t.is(execFileSync(program('core'), [what], { encoding: 'utf8' }).trim(), 'ok');
	});
