/** What a duplicate would hold beyond its target's end, or its letting go: it does not. */
import test, { type ExecutionContext } from 'ava';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProcsnapError } from '../../native/index.ts';
import { children, PATIENT, start, state, status, tracerFor, until } from './help.ts';

function folderFor(t: ExecutionContext): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-held-'));
	t.teardown(() => rmSync(folder, { recursive: true }));
	return folder;
}

/** Locks of all files in there. */
function locks(folder: string): string[] {
	const inodes = readdirSync(folder).map((name) => statSync(join(folder, name)).ino);
	return readFileSync('/proc/locks', 'utf8').split('\n')
		.filter((line) => inodes.some((inode) => line.includes(`:${inode} `)));
}

for (const [what, count] of [['flock', 1], ['flock-private', 100], ['ofd-private', 1]] as const)
	test(`locks of mapped files (${what}) go with the target that is killed`, async (t) => {
		const folder = folderFor(t), target = await start(t, 'holding', what, join(folder, 'file')), tracer = tracerFor(
			t
		);
		t.is(locks(folder).length, count);
		const { pid } = tracer.inject(target.pid);
		t.is(locks(folder).length, count, 'they are the target\'s as long as it lives');
		target.process.kill('SIGKILL');
		await target.ended();
		t.is(state(pid), 't', 'the duplicate is there');
		await until(`${count} locks go`, () => locks(folder).length === 0);
		tracer.end();
	});

test('a socket that is only registered with an io_uring is closed with the target', async (t) => {
	const target = await start(t, 'holding', 'uring'), tracer = tracerFor(t);
	if (target.process.exitCode !== null) {
		t.log(`not here: ${await target.line()}`);
		return t.pass();
	}
	const { pid } = tracer.inject(target.pid);
	target.process.kill('SIGKILL');
	t.is(await target.line(), '', 'its peer sees the end');
	t.is(state(pid), 't');
	tracer.end();
	return undefined;
});

const segments = (): string[] =>
	readFileSync('/proc/sysvipc/shm', 'utf8').split('\n').slice(1).map((line) => line.trim().split(/\s+/)[1] ?? '');

test('a SysV segment goes with its last user', async (t) => {
	const target = await start(t, 'holding', 'shm'), tracer = tracerFor(t), id = String(target.number(1));
	t.true(segments().includes(id));
	const { pid } = tracer.inject(target.pid);
	target.process.kill('SIGKILL');
	await target.ended();
	t.is(state(pid), 't');
	await until('the segment goes', () => !segments().includes(id));
	t.pass();
	tracer.end();
});

test('a memfd that the target has unmapped can be sealed', async (t) => {
	const [SEAL, RESULT] = [2, 3], target = await start(t, 'holding', 'seal'), tracer = tracerFor(t);
	tracer.inject(target.pid);
	target.word[SEAL] = 1n;
	await until('fcntl() has returned', () => target.number(RESULT) !== 0);
	t.is(target.number(RESULT), 1);
	tracer.end();
});

test('POSIX locks outlive exec(), also where a duplicate is made just then', async (t) => {
	const [PROGRAMS, LOST] = [1, 2], folder = folderFor(t), tracer = tracerFor(t, PATIENT);
	const target = await start(t, 'holding', 'posix-exec', join(folder, 'file'));
	await target.atLeast(PROGRAMS, 100);
	t.is(target.number(LOST), 0, 'without takes');
	let taken = 0;
	const begun = target.number(PROGRAMS);
	for (const end = Date.now() + 20_000; taken < 150 && Date.now() < end;)
		try {
			tracer.inject(target.pid);
			taken++;
			if (taken % 3 === 0) await target.runs(PROGRAMS);
			tracer.end();
		} catch (error) {
			if (!(error instanceof ProcsnapError) || !['EBUSY', 'ETIMEDOUT', 'EAGAIN', 'ESRCH'].includes(error.code))
				throw error;
		}
	await target.runs(PROGRAMS);
	t.log(`${taken} takes, ${target.number(PROGRAMS) - begun} programs`);
	t.true(taken > 10);
	t.is(target.number(LOST), 0, 'the lock was lost');
	t.is(status(target.pid, 'TracerPid'), '0');
});

test('a tracer that leaves lets a held target go before it ends its duplicate', async (t) => {
	const target = await start(t, 'states', 'idle'), tracer = tracerFor(t);
	const { pid } = tracer.inject(target.pid);
	tracer.hold(target.pid);
	t.deepEqual(children(target.pid), [pid]);
	tracer.close();
	t.deepEqual(children(target.pid), [], 'it has reaped it, which takes that it runs');
	t.notRegex(state(target.pid), /[tT]/);
});
