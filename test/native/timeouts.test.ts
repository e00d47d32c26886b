/**
 * A relative timeout goes on where it was when a call is put back, and does not
 * start anew: with stops at a quarter, a half and three quarters of the time an
 * unmended call would take 1.75 times as long as it was asked to.
 */
import test, { type ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Tracer } from '../../native/index.ts';
import { duplicated, failure, inTheEnd, PATIENT, program, sleep, start, tracerFor, type Target } from './help.ts';

/** Where a process may write so many bytes: a thread's stack. */
function largeMapping(pid: number, bytes: number): bigint {
	for (const [, from, to] of readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^(\w+)-(\w+) rw-p/gm))
		if (BigInt(`0x${to}`) - BigInt(`0x${from}`) >= BigInt(bytes)) return BigInt(`0x${from}`);
	throw new Error(`process ${pid} has no mapping of ${bytes} bytes`);
}

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const TIMEOUT_MS = 800;
const KINDS = [
	// Restarted by the kernel:
	'poll', 'ppoll', 'select', 'pselect', 'nanosleep', 'clock_nanosleep', 'futex',
	// Put back, and ended by the tracer when the time is over:
	'epoll_wait', 'epoll_pwait', 'epoll_pwait2', 'semtimedop', 'sigtimedwait', 'io_getevents', 'io_uring_enter',
	'recv-rcvtimeo', 'read-rcvtimeo', 'recvmsg-rcvtimeo',
	'accept-rcvtimeo', 'connect-sndtimeo', 'send-sndtimeo', 'preadv2-rcvtimeo', 'recvmmsg-rcvtimeo', 'writev-sndtimeo',
	'sendmmsg-sndtimeo', 'splice-rcvtimeo', 'sendfile-sndtimeo', 'waitall-rcvtimeo', 'ppoll-constant', 'io_pgetevents',
	// Restarted by the kernel with the whole of its time:
	'read-vtime',
];

/**
 * Where the machine is so busy that times say little, a kind is tried again; one that starts anew takes too long each
 * time.
 */
const TRIES = 3;

/** How long a target took, in timeouts. What it returned must be right in any case. */
async function ratio(t: ExecutionContext, kind: string, target: Target): Promise<number> {
	const text = await target.line(), [result, expected, ns] = text.split(' ').map(Number);
	t.is(result, expected, `${kind}: ${text}`);
	return (ns ?? 0) / (TIMEOUT_MS * 1e6);
}

const wrong = (taken: number): boolean => taken < 0.98 || taken >= 1.35;

/** Try some kinds, all at once; the ones that took a wrong time. */
async function attempt(
	t: ExecutionContext, kinds: readonly string[], disturb: (target: Target) => Promise<void>
): Promise<string[]> {
	const runs = [];
	for (const kind of kinds) {
		const target = await start(t, 'blocked', kind, TIMEOUT_MS);
		if (target.process.exitCode === null) runs.push({ kind, target, disturbed: disturb(target) });
		else t.log(`${kind} is not here: ${await target.line()}`);
	}
	const failed = [];
	for (const { kind, target, disturbed } of runs) {
		await disturbed;
		const taken = await ratio(t, kind, target);
		if (wrong(taken)) failed.push(kind);
		if (wrong(taken)) t.log(`${kind} took ${taken.toFixed(2)} of its time`);
	}
	return failed;
}

async function keepTheirTime(
	t: ExecutionContext, kinds: readonly string[], disturb: (target: Target) => Promise<void>
): Promise<void> {
	let left = kinds;
	for (let tries = 0; tries < TRIES && left.length > 0; tries++) left = await attempt(t, left, disturb);
	t.deepEqual(left, []);
}

/** The tracer keeps many deadlines, and the test takes the time of one. */
test('timeouts are neither lengthened nor shortened by duplicates', (t) => keepTheirTime(t, KINDS, async (target) => {
	const began = Date.now();
	for (const part of [0.25, 0.5, 0.75]) {
		await sleep(Math.max(0, began + part * TIMEOUT_MS - Date.now()));
		duplicated(tracer, target.pid);
	}
}));

test('a call that gets a part, and then nothing, ends in its time with that part', (t) =>
	keepTheirTime(t, ['waitall-woken'], async (target) => {
		const began = Date.now();
		for (const part of [0.25, 0.5, 0.75]) {
			await sleep(Math.max(0, began + part * TIMEOUT_MS - Date.now()));
			if (part === 0.5) target.tell('x');
			else duplicated(tracer, target.pid);
		}
	}));

/** Holds one after the other, so with a tracer each. */
test('the time of a hold counts', (t) =>
	keepTheirTime(t, ['epoll_wait', 'epoll_pwait2', 'semtimedop', 'recv-rcvtimeo', 'poll'], async (target) => {
	const own = Tracer.start();
	await sleep(TIMEOUT_MS * 0.2);
	own.hold(target.pid);
	await sleep(TIMEOUT_MS * 0.7);
	own.letGo();
	own.close();
}));

/** All at once, so that many are let go when their time is over; of those, what has come is found by each. */
test('what comes in a hold is found, though the time is over by its end', async (t) => {
	const targets = await Promise.all(Array.from({ length: 12 }, async (_, i) => {
		const began = Date.now(), target = await start(t, 'blocked', i % 2 === 0 ? 'epoll_wait' : 'epoll_pwait2', 2000);
		const own = tracerFor(t);
		await target.asleep();
		await inTheEnd(() => own.hold(target.pid));
		target.tell('x');
		return { target, own, began };
	}));
	const results = await Promise.all(targets.map(async ({ target, own, began }) => {
		await sleep(Math.max(100, began + 2300 - Date.now()));
		own.letGo();
		return (await target.line()).split(' ')[0];
	}));
	t.deepEqual(results, results.map(() => '1'));
});

test('a look at a process changes nothing in the calls that another tracer follows', (t) =>
	keepTheirTime(t, ['epoll_wait', 'semtimedop', 'recv-rcvtimeo'], async (target) => {
	const own = Tracer.start(), other = tracerFor(t);
	await sleep(TIMEOUT_MS * 0.6);
	duplicated(own, target.pid);
	own.close();
	await sleep(5);
	other.check(target.pid);
}));

/** Each that comes asks the one that stays to leave, at whatever moment of the calls that it follows. */
test('tracers that take turns end no call', async (t) => {
	const kinds = Array.from({ length: 6 }, () => ['epoll_wait', 'epoll_pwait2', 'semtimedop', 'recv-rcvtimeo']).flat();
	const targets = [];
	for (const [i, kind] of kinds.entries()) targets.push(await start(t, 'blocked', kind, 1000 + 20 * i));
	const ended = Promise.all(targets.map((target) => target.line()));
	let over = false, turns = 0;
	void ended.then(() => { over = true; });
	for (; !over; turns++) {
		const own = Tracer.start();
		for (const target of targets.filter(({ process: { exitCode } }) => exitCode === null)) {
			try {
				duplicated(own, target.pid);
			} catch (error) {
				t.regex(String(error), /ended|gone|no process|is traced/);
			}
		}
		own.close();
		await sleep(1);
	}
	t.true(turns >= 3);
	const results = (await ended).map((line) => line.split(' '));
	t.deepEqual(
		results.map(([result], i) => [kinds[i], result]), results.map(([, expected], i) => [kinds[i], expected])
	);
});

/** Two tracees of one tracer: one is read for long, and the other's time is over meanwhile. */
test('a long read keeps no call that is followed', async (t) => {
	const bytes = 8 << 20, own = Tracer.start({ dataBytes: bytes });
	t.teardown(() => own.close());
	const threaded = await start(t, 'states', 'threaded'), waiting = await start(t, 'blocked', 'epoll_wait', 300);
	await waiting.asleep();
	duplicated(own, waiting.pid);
	const { pid } = own.inject(threaded.pid), stack = largeMapping(pid, bytes), began = performance.now();
	t.is(own.read('peek', pid, stack, bytes).bytes, bytes);
	const readMs = performance.now() - began;
	own.end();
	const [result, , ns] = (await waiting.line()).split(' ').map(Number);
	t.is(result, 0);
	t.true(ns! / 1e6 < 300 + readMs / 2, `it took ${ns! / 1e6} ms, and the read ${readMs} ms`);
	t.true(readMs > 600, 'the read lasted longer than the call');
});

/**
 * It takes a while until it has let all of them go. Of none the time may begin anew without being counted: the second
 * take comes after half of it, so whoever begins anew takes more than 1.5 of it. On a machine that is so busy that the
 * calls end late by this much, or are over before the second take has come to them, longer ones are tried.
 */
test('a tracer that is asked hands over each of very many calls', async (t) => {
	const MANY = 1500;
	for (const waitMs of [5000, 20_000, 45_000]) {
		const target = await start(t, 'patient', MANY, waitMs), first = Tracer.start(PATIENT), second = tracerFor(
			t, PATIENT
		);
		await sleep(300);
		await inTheEnd(() => first.inject(target.pid));
		first.end();
		first.close();
		await sleep(waitMs / 2);
		const { restartedCalls, lengthenedTimeouts } = await inTheEnd(() => second.inject(target.pid));
		second.end();
		await target.atLeast(2, MANY);
		t.log(
			`${restartedCalls} of ${MANY} calls of ${waitMs} ms were put back, ${target.number(3)} took too long, ` +
				`${lengthenedTimeouts} were counted`
		);
		if (restartedCalls === MANY && target.number(3) <= lengthenedTimeouts)
			return t.true(lengthenedTimeouts < MANY);
		target.process.kill('SIGKILL');
	}
	return t.fail('no take came to all calls, or calls began anew and were not counted');
});

test('the timeout of a call is not that of an earlier one of its kind', (t) => {
	t.is(execFileSync(program('core'), ['later'], { encoding: 'utf8' }).trim(), 'ok');
});

test('the negative control: what a call takes that starts anew three times', async (t) => {
	// SIGSTOP and SIGCONT give EINTR in sigtimedwait() and epoll_wait(), signal(7): so these calls are not restarted
	// by anybody.
	const target = await start(t, 'blocked', 'epoll_wait', TIMEOUT_MS);
	await target.asleep();
	target.process.kill('SIGSTOP');
	await sleep(20);
	target.process.kill('SIGCONT');
	t.regex(await target.line(), /^-4 /, 'EINTR, as the core must not let it happen');
});

test('a timeout is kept by a tracer that has been closed', (t) =>
	keepTheirTime(t, ['recv-rcvtimeo', 'semtimedop', 'epoll_wait'], async (target) => {
	const own = Tracer.start();
	await sleep(TIMEOUT_MS / 4);
	duplicated(own, target.pid);
	own.close();
	t.is(target.process.exitCode, null, 'close() does not wait for it');
}));

test('a tracer that cannot write down when a call is due goes on to follow it', async (t) => {
	const target = await start(t, 'blocked', 'epoll_wait', 2500), own = Tracer.start(PATIENT), other = tracerFor(t);
	await target.asleep();
	await sleep(1000);
	duplicated(own, target.pid);
	own.close();
	// As where there is no memory for its file: it can write no byte to one.
	try {
		execFileSync('prlimit', ['--pid', String(own.pid), '--fsize=0']);
	} catch (error) {
		t.log(`not here: ${String(error)}`);
		return t.pass();
	}
	t.is(failure(t, () => other.inject(target.pid)).code, 'EBUSY');
	t.is(other.lastCalls.lengthenedTimeouts, 0);
	const [result, , ns] = (await target.line()).split(' ').map(Number);
	t.is(result, 0);
	t.true(ns! / 1e6 < 3200, `it took ${ns! / 1e6} ms`);
	return undefined;
});
