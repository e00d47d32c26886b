/**
 * An ended duplicate that its target cannot be made to wait for yet: no failure of the end, and it goes as soon as it
 * can.
 */
import test, { type ExecutionContext } from 'ava';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { isFree } from '../processes.ts';
import { freezer, FREEZERS } from './freezers.ts';
import { children, failure, inTheEnd, program, start, state, status, tracerFor, until, type Target } from './help.ts';

/** Of targets/death.c. */
const [TURNS, BAD, OTHER_PID, FAILED_SLEEPS] = [1, 2, 5, 6];
const LAST_PID = '/proc/sys/kernel/ns_last_pid';

async function assertBuried(t: ExecutionContext, target: Target): Promise<void> {
	await until('the zombie has gone', () => children(target.pid).length === 0);
	await until('nobody holds the target', () => isFree(target.pid));
	await target.runs(TURNS);
	t.deepEqual([target.number(BAD), target.number(OTHER_PID), target.number(FAILED_SLEEPS)], [0, 0, 0]);
	t.is(BigInt(`0x${status(target.pid, 'SigBlk')}`), 0n, 'the signal mask');
}

test('another tracer has come by the end: the duplicate is ended, and goes when that one leaves', async (t) => {
	const target = await start(t, 'death', 'asleep'), tracer = tracerFor(t), rival = tracerFor(t);
	const { pid } = await inTheEnd(() => tracer.inject(target.pid));
	await inTheEnd(() => rival.hold(target.pid));
	t.notThrows(() => tracer.end());
	t.is(state(pid), 'Z', 'ended, and still a child');
	const other = await start(t, 'states', 'idle');
	await inTheEnd(() => tracer.inject(other.pid));
	await setTimeout(300);
	t.is(state(pid), 'Z');
	rival.letGo();
	await assertBuried(t, target);
	tracer.end();
});

test('a process is held while there is something to bury: the tracer hears that it is to be let go', async (t) => {
	const target = await start(t, 'death', 'asleep'), other = await start(t, 'states', 'idle');
	const tracer = tracerFor(t), rival = tracerFor(t);
	await inTheEnd(() => tracer.inject(target.pid));
	await inTheEnd(() => rival.hold(target.pid));
	tracer.end();
	await inTheEnd(() => tracer.hold(other.pid));
	await setTimeout(200);
	t.true(tracer.letGo() > 0);
	await other.runs(1);
	rival.letGo();
	await assertBuried(t, target);
});

test('many of them, and some after their tracer was closed', async (t) => {
	const target = await start(t, 'death', 'asleep'), tracer = tracerFor(t), rival = tracerFor(t);
	let most = 0;
	for (let tries = 0; tries < 50 && most < 4; tries++) {
		// The tries that it makes by itself come less and less often.
		for (let i = 0; i < 6 && most < 4; i++) {
			await inTheEnd(() => tracer.inject(target.pid));
			await inTheEnd(() => rival.hold(target.pid));
			tracer.end();
			most = Math.max(most, children(target.pid).length);
			if (most < 4) rival.letGo();
		}
	}
	t.true(most >= 4, `${most} zombies at once`);
	await setTimeout(200);
	t.true(children(target.pid).every((pid) => state(pid) === 'Z'));
	tracer.close();
	t.true(children(target.pid).length > 1, 'they are left when the tracer is closed');
	rival.letGo();
	await assertBuried(t, target);
	await until('the tracer has gone', () => ['', 'Z'].includes(state(tracer.pid)));
});

for (const version of FREEZERS)
	test(`the target is frozen (${version}) by the end`, async (t) => {
		const target = await start(t, 'death', 'asleep'), tracer = tracerFor(t, { timeoutMs: 200 }), group = freezer(
			t, version
		);
		if (!group) return t.pass();
		group.add(target.pid);
		const { pid } = await inTheEnd(() => tracer.inject(target.pid));
		await group.freeze();
		t.notThrows(() => tracer.end());
		t.deepEqual(children(target.pid), [pid]);
		group.thaw();
		await assertBuried(t, target);
		await inTheEnd(() => tracer.inject(target.pid));
		tracer.end();
		return assertBuried(t, target);
	});

/** A duplicate that was killed by others when its target could not be stopped: its end is early, and no burial. */
async function endedEarly(t: ExecutionContext) {
	const target = await start(t, 'death', 'asleep'), tracer = tracerFor(t), rival = tracerFor(t);
	const { pid } = await inTheEnd(() => tracer.inject(target.pid));
	await inTheEnd(() => rival.hold(target.pid));
	process.kill(pid, 'SIGKILL');
	await until('it has ended', () => state(pid) === 'Z');
	await setTimeout(100);
	return { target, tracer, rival, pid };
}

test('a duplicate that ended early and is still a zombie is told to be one, and why', async (t) => {
	const { target, tracer, rival, pid } = await endedEarly(t);
	const { endedEarly: early, unburied } = tracer.end();
	t.is(state(pid), 'Z');
	t.regex(early ?? '', /ended by somebody else|killed from outside/);
	t.regex(unburied ?? '', /traced by process/);
	rival.letGo();
	await assertBuried(t, target);
});

test('a duplicate that ended early and was buried later is not told to be a zombie', async (t) => {
	const { target, tracer, rival } = await endedEarly(t);
	rival.letGo();
	await until('the zombie has gone', () => children(target.pid).length === 0);
	const { endedEarly: early, unburied, pauseNs, unaskedPauseNs } = tracer.end();
	t.regex(early ?? '', /ended by somebody else|killed from outside/);
	t.is(unburied, null);
	t.true(pauseNs + unaskedPauseNs > 0, 'it was stopped for that');
	await assertBuried(t, target);
});

test('a duplicate that ends while this tracer holds its target is a zombie until that runs', async (t) => {
	const target = await start(t, 'death', 'asleep'), tracer = tracerFor(t);
	const { pid } = await inTheEnd(() => tracer.inject(target.pid));
	await inTheEnd(() => tracer.hold(target.pid));
	process.kill(pid, 'SIGKILL');
	await until('it has ended', () => state(pid) === 'Z');
	await setTimeout(100);
	t.regex(tracer.end().unburied ?? '', /is held, and can only wait/);
	tracer.letGo();
	await assertBuried(t, target);
});

test('one that lives on when the thread that traced it has ended is not taken for buried', (t) => {
	t.is(execFileSync(program('core'), ['untraced'], { encoding: 'utf8' }).trim(), 'ok');
});

/** A process with this pid, which sleeps; null where others were always quicker. */
async function strangerWith(t: ExecutionContext, pid: number): Promise<ChildProcess | null> {
	for (let tries = 0; tries < 200; tries++) {
		writeFileSync(LAST_PID, String(pid - 1));
		const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
		t.teardown(() => child.kill('SIGKILL'));
		if (child.pid === pid) return child;
		child.kill('SIGKILL');
		await once(child, 'exit');
	}
	return null;
}

const switches = (pid: number): number =>
	Number(status(pid, 'voluntary_ctxt_switches')) + Number(status(pid, 'nonvoluntary_ctxt_switches'));

for (const way of ['hold', 'stopCopy'] as const)
	test(`a stranger that has the pid of a target which ended before its stop is let be: ${way}`, async (t) => {
		if (!existsSync(LAST_PID) || process.getuid?.() !== 0) {
			t.log(`not here: ${LAST_PID} cannot be written`);
			return t.pass();
		}
		const [CHILD, GO, REUSED] = [1, 2, 3], target = await start(t, 'reused'), tracer = tracerFor(
			t, { timeoutMs: 5000 }
		);
		const pid = target.number(CHILD);
		await until('it is in vfork()', () => state(pid) === 'D');
		target.word[GO] = 1n;
		t.is(failure(t, () => tracer[way](pid)).code, 'ESRCH');
		await until('its pid is given again', () => target.number(REUSED) !== 0);
		t.log(target.number(REUSED) === 1 ? 'its pid was another process\'s' : 'others were quicker to have that pid');
		if (target.number(REUSED) === 1) await until('it goes on', () => state(pid) === 'S');
		return undefined;
	});

test('a stranger that has the pid of a target which has ended is let be', async (t) => {
	if (!existsSync(LAST_PID) || process.getuid?.() !== 0) {
		t.log(`not here: ${LAST_PID} cannot be written`);
		return t.pass();
	}
	const target = await start(t, 'death', 'asleep'), tracer = tracerFor(t), rival = tracerFor(t);
	// One that waits for its burial, and one that is ended when the target is another process.
	await inTheEnd(() => tracer.inject(target.pid));
	await inTheEnd(() => rival.hold(target.pid));
	tracer.end();
	rival.letGo();
	await inTheEnd(() => tracer.inject(target.pid));
	target.process.kill('SIGKILL');
	await target.ended();
	const stranger = await strangerWith(t, target.pid);
	if (stranger?.pid === undefined) {
		t.log('not here: others were given that pid, each time');
		return t.pass();
	}
	const { pid } = stranger;
	await until('it sleeps', () => state(pid) === 'S' && status(pid, 'Name') === 'sleep');
	await setTimeout(50);
	const before = switches(pid);
	t.notThrows(() => tracer.end());
	await setTimeout(500);
	t.is(switches(pid), before, 'it was stopped');
	t.is(stranger.exitCode ?? stranger.signalCode, null);
	return undefined;
});
