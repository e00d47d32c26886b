/** What a target, its parent and others can see of a duplicate: nothing that they would trip over. */
import test from 'ava';
import { allowedCpus } from '../../bench/environments/isolation.ts';
import { readdirSync, readFileSync } from 'node:fs';
import { place, Tracer } from '../../native/index.ts';
import { sleep, start, state, status, until, type Target } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const PARENT_SIGCHLD = 1, SIGCHLD = 2, PID = 3, TURNS = 4, NOT_ECHILD = 5, HAVE_CHILD = 6, CHILD_CODE = 7, TOLD = 8,
	SETNS = 9, SETNS_RESULT = 10, CLOSE = 11;

const text = (pid: number, name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8');
/** Shared mappings are not in a duplicate: they would hold what is the target's after its end. */
const privateMaps = (pid: number): string[] => text(pid, 'maps').split('\n').filter((line) => !/^\S+ ...s /.test(line));
const files = (pid: number): string[] => readdirSync(`/proc/${pid}/fd`);
const field = (pid: number, number: number): number =>
	Number(text(pid, 'stat').replace(/^.*\) /s, '').split(' ')[number - 3]);

test('no SIGCHLD, nothing for wait(), no zombie; children of its own as ever', async (t) => {
	const family = await start(t, 'family'), pid = family.number(PID);
	for (let i = 0; i < 100; i++) {
		const { pid: duplicate } = tracer.inject(pid);
		if (i % 10 === 0) await family.runs(TURNS);
		tracer.end();
		t.is(state(duplicate), '', 'no zombie');
		if (i % 10 === 5) await family.runs(TURNS);
	}
	t.deepEqual(
		[family.number(SIGCHLD), family.number(PARENT_SIGCHLD), family.number(NOT_ECHILD), family.number(TOLD)],
		[0, 0, 0, 0]
	);

	for (let i = 1; i <= 5; i++) {
		tracer.inject(pid);
		family.word[CHILD_CODE] = 0n;
		family.word[HAVE_CHILD] = 1n;
		await until('the child was waited for', () => family.number(CHILD_CODE) !== 0);
		t.is(family.number(CHILD_CODE), 9);
		tracer.end();
		t.is(family.number(SIGCHLD), i, 'one for each true child');
	}
	t.is(family.number(NOT_ECHILD), 0);
});

test('a job-stopped target: its parent is told of the stop once', async (t) => {
	const family = await start(t, 'family'), pid = family.number(PID);
	process.kill(pid, 'SIGSTOP');
	await family.atLeast(TOLD, 1);
	for (let i = 0; i < 20; i++) {
		tracer.inject(pid);
		tracer.end();
	}
	await sleep(5);
	t.deepEqual([family.number(TOLD), family.number(PARENT_SIGCHLD)], [1, 1]);
	process.kill(pid, 'SIGCONT');
	await family.runs(TURNS);
	// The target may run before its parent does.
	await family.atLeast(TOLD, 2);
	t.is(family.number(TOLD), 2);
});

test('files, maps, mask and children of the target stay', async (t) => {
	const target = await start(t, 'states', 'idle'), { pid } = target;
	const look = (): unknown => [files(pid), text(pid, 'maps'), text(pid, 'task/' + String(pid) + '/children'),
		...['SigBlk', 'SigPnd', 'ShdPnd', 'SigIgn', 'SigCgt', 'Threads', 'TracerPid', 'Seccomp'].map((key) =>
			status(pid, key))];
	await target.runs(1);
	const before = look();
	for (let i = 0; i < 20; i++) {
		const { pid: duplicate } = tracer.inject(pid);
		t.deepEqual(text(duplicate, 'maps').trimEnd().split('\n'), privateMaps(pid).filter((line) => line !== ''));
		t.deepEqual(files(duplicate), [], 'the duplicate has no files open');
		tracer.end();
	}
	t.deepEqual(look(), before);
});

test('pipes end when the target closes them, exits, or is killed, while its duplicate lives', async (t) => {
	for (const how of ['close', 'kill']) {
		const family: Target = await start(t, 'family'), pid = family.number(PID);
		const { pid: duplicate } = tracer.inject(pid);
		if (how === 'close') family.word[CLOSE] = 1n;
		else process.kill(pid, 'SIGKILL');
		t.is(await family.line(), '', how);
		t.is(state(duplicate), 't');
		tracer.end();
	}
});

test('setns() works in a target with a duplicate', async (t) => {
	const family = await start(t, 'family');
	tracer.inject(family.number(PID));
	family.word[SETNS] = 1n;
	await until('setns() returned', () => family.number(SETNS_RESULT) !== 0);
	t.is(family.number(SETNS_RESULT), 1, 'EINVAL: the duplicate shares the struct fs');
	tracer.end();
});

test('CPU and priority stay the target\'s alone', async (t) => {
	// CPU 0 need not be among ours.
	const [cpu = 0, another = cpu] = allowedCpus();
	const own = Tracer.start({ cpu });
	t.teardown(() => own.close());
	const target = await start(t, 'states', 'idle');
	const [PRIORITY, POLICY] = [40, 41];
	const refused = place(target.pid, another, 10);
	if (refused !== null) t.log(`not here: ${refused}`);
	const before = [status(target.pid, 'Cpus_allowed_list'), field(target.pid, PRIORITY), field(target.pid, POLICY)];
	const { pid } = own.inject(target.pid);
	t.is(status(pid, 'Cpus_allowed_list'), String(cpu));
	t.deepEqual([field(pid, PRIORITY), field(pid, POLICY)], [0, 0]);
	own.end();
	t.deepEqual(
		[status(target.pid, 'Cpus_allowed_list'), field(target.pid, PRIORITY), field(target.pid, POLICY)], before
	);
	await target.runs(1);
});

test('a duplicate never runs', async (t) => {
	// While the target is held, nobody but a duplicate that runs could write the target's marker.
	const target = await start(t, 'registers', 1), [ROUNDS, UTIME] = [1, 14];
	if (target.process.exitCode !== null) {
		t.log(`not here: ${await target.line()}`);
		t.pass();
		return;
	}
	for (let i = 0; i < 10; i++) {
		const { pid } = tracer.inject(target.pid);
		tracer.hold(target.pid);
		const rounds = target.number(ROUNDS);
		await sleep(10);
		t.is(target.number(ROUNDS), rounds);
		t.is(field(pid, UTIME), 0);
		t.is(state(pid), 't');
		tracer.letGo();
		tracer.end();
	}
});
