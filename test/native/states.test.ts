/** Targets in unusual states, and what is no target: a duplicate or one clear error, and no harm. */
import test from 'ava';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { Tracer } from '../../native/index.ts';
import { children, failure, program, sleep, start, state, status, tracerFor, until } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const [TURNS, OTHER] = [1, 2];

test('a job-stopped target is duplicated, stays stopped, and goes on at SIGCONT', async (t) => {
	const target = await start(t, 'states', 'idle');
	target.process.kill('SIGSTOP');
	await until('it is stopped', () => state(target.pid) === 'T');
	const turns = target.number(TURNS);
	for (let i = 0; i < 20; i++) {
		tracer.inject(target.pid);
		tracer.end();
	}
	tracer.hold(target.pid);
	tracer.letGo();
	tracer.stopCopy(target.pid);
	tracer.end();
	await sleep(5);
	t.is(state(target.pid), 'T');
	t.is(target.number(TURNS), turns, 'it has not run');
	target.process.kill('SIGCONT');
	await target.runs(TURNS);
});

test('a target that is traced already: the error names its tracer', async (t) => {
	const other = tracerFor(t), target = await start(t, 'states', 'idle');
	other.hold(target.pid);
	for (const ask of [
		() => tracer.inject(target.pid), () => tracer.hold(target.pid), () => tracer.stopCopy(target.pid),
	]) {
		const error = failure(t, ask);
		t.is(error.code, 'EBUSY');
		t.true(error.message.includes(`traced by process ${other.pid} `), error.message);
	}
	other.letGo();
	tracer.inject(target.pid);
	tracer.end();
	await target.runs(TURNS);
});

test('a zombie', async (t) => {
	const target = await start(t, 'states', 'zombie');
	const error = failure(t, () => tracer.inject(target.number(OTHER)));
	t.is(error.code, 'ESRCH');
	t.regex(error.message, /zombie/);
	t.is(failure(t, () => tracer.stopCopy(target.number(OTHER))).code, 'ESRCH');
	t.is(failure(t, () => tracer.hold(target.number(OTHER))).code, 'ESRCH');
});

test('a process whose first thread has ended', async (t) => {
	const target = await start(t, 'states', 'leaderless');
	await until('its first thread has ended', () => state(target.pid) === 'Z');
	for (let i = 0; i < 10; i++) {
		const { threads, pid } = tracer.inject(target.pid);
		t.is(threads, 1);
		t.is(tracer.registers()[0]?.tid, target.number(OTHER));
		t.is(status(pid, 'State').slice(0, 1), 't');
		tracer.end();
	}
	t.true(tracer.stopCopy(target.pid).bytes > 100_000, 'all of its memory');
	tracer.end();
	await target.runs(TURNS);
});

test('what is no process that could be taken', async (t) => {
	const target = await start(t, 'states', 'threaded');
	const kernelThread = readdirSync('/proc').map(Number).find((pid) => pid > 0 && status(pid, 'Kthread') === '1') ?? 2;
	const cases: Array<[number, string, RegExp]> = [
		[4_000_000, 'ESRCH', /no process 4000000/],
		[0, 'EINVAL', /positive number/],
		[-1, 'EINVAL', /positive number/],
		[process.pid, 'EINVAL', /procsnap itself/],
		[tracer.pid, 'EINVAL', /procsnap itself/],
		[kernelThread, 'EINVAL', /kernel thread/],
		[target.number(OTHER), 'EINVAL', new RegExp(`thread of process ${target.pid}`)],
	];
	for (const [pid, code, message] of cases)
		for (const ask of ['inject', 'hold', 'stopCopy'] as const) {
			const error = failure(t, () => tracer[ask](pid));
			t.is(error.code, code, `${ask} ${pid}`);
			t.regex(error.message, message);
		}
	tracer.inject(target.pid);
	tracer.end();
});

test('a 32-bit process', async (t) => {
	const notHere = (why: string): void => {
		t.log(`not here: ${why}`);
		t.pass();
	};
	if (!existsSync(program('thirtytwo'))) {
		notHere('this compiler makes no 32-bit programs (gcc -m32 -nostdlib)');
		return;
	}
	const child = spawn(program('thirtytwo'), { stdio: 'ignore' });
	t.teardown(() => child.kill('SIGKILL'));
	let end: string | undefined;
	child.once('error', (error) => { end = error.message; })
		.once('exit', (code, signal) => { end = `it ended by ${signal ?? String(code)}`; });
	// A kernel may be without 32 bits (CONFIG_IA32_EMULATION, ia32_emulation=off): only a program that tries can tell.
	await until(
		'it waits, or has ended',
		() => end !== undefined || (state(child.pid ?? 0) === 'S' && status(child.pid ?? 0, 'Name') === 'thirtytwo')
	);
	if (end !== undefined) {
		notHere(`this kernel runs no 32-bit programs: ${end}`);
		return;
	}
	for (const ask of ['inject', 'hold', 'stopCopy'] as const) {
		const error = failure(t, () => tracer[ask](child.pid ?? 0));
		t.is(error.code, 'ENOTSUP');
		t.regex(error.message, /32-bit/);
	}
	t.is(state(child.pid ?? 0), 'S');
	t.is(status(child.pid ?? 0, 'TracerPid'), '0');
});

test('a target in a pid namespace of its own, where pids are others', async (t) => {
	const outer = spawn(
		'unshare', ['--pid', '--fork', '--kill-child', program('family')], { stdio: ['ignore', 'ignore', 'inherit'] }
	);
	t.teardown(() => outer.kill('SIGKILL'));
	const child = (pid: number): number => children(pid)[0] ?? 0;
	await until('the target runs', () => status(child(child(outer.pid ?? 0)), 'Name') === 'family');
	const pid = child(child(outer.pid ?? 0));
	t.not(status(pid, 'NSpid').split(/\s+/).at(-1), String(pid), 'its pid there is another one');
	for (let i = 0; i < 20; i++) {
		const { pid: duplicate } = tracer.inject(pid);
		t.is(status(duplicate, 'PPid'), String(pid));
		tracer.end();
		t.deepEqual(children(pid), [], 'its pid there was used to wait for it');
	}
	t.is(status(pid, 'TracerPid'), '0');
});

test('a target that may have no further process: the error says so', async (t) => {
	const target = await start(t, 'states', 'limited');
	const error = failure(t, () => tracer.inject(target.pid));
	t.is(error.code, 'EAGAIN');
	t.regex(error.message, /RLIMIT_NPROC/);
	await target.runs(TURNS);
	t.is(status(target.pid, 'TracerPid'), '0');
});

test('a frozen cgroup: a clean error, and the target goes on when it thaws', async (t) => {
	const root = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((folder) =>
		existsSync(`${folder}/cgroup.controllers`));
	const group = `${root ?? ''}/procsnap-test-${process.pid}`;
	try {
		if (root === undefined) throw new Error('there is no cgroup2 file system');
		mkdirSync(group);
	} catch (error) {
		t.log(`not here: ${String(error)}`);
		t.pass();
		return;
	}
	const quick = tracerFor(t, { timeoutMs: 100 }), target = await start(t, 'states', 'idle');
	t.teardown(async () => {
		writeFileSync(`${group}/cgroup.freeze`, '0');
		target.process.kill('SIGKILL');
		await target.ended();
		rmdirSync(group);
	});
	writeFileSync(`${group}/cgroup.procs`, String(target.pid));
	writeFileSync(`${group}/cgroup.freeze`, '1');
	await until('it is frozen', () => readFileSync(`${group}/cgroup.events`, 'utf8').includes('frozen 1'));
	const error = failure(t, () => quick.inject(target.pid));
	t.is(error.code, 'EBUSY');
	t.regex(error.message, /frozen/);
	const turns = target.number(TURNS);
	await sleep(5);
	t.is(target.number(TURNS), turns, 'still frozen');
	writeFileSync(`${group}/cgroup.freeze`, '0');
	await target.runs(TURNS);
	quick.inject(target.pid);
	quick.end();
	await target.runs(TURNS);
});
