/** What a fork leaves out (MADV_DONTFORK) is found, and copied, in the one stop of a take, however it is hidden. */
import test, { type ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { temporaryFolder } from '../acquire/help.ts';
import type { LeftOut } from '../../native/index.ts';
import { inTheEnd, PATIENT, program, start, tracerFor, type Target } from './help.ts';

const [AT, BYTES] = [1, 2], KIB = 1 << 10;

/** A take in which what was left out was copied, unless a busy machine kept the tracer from that each time. */
async function keeping(t: ExecutionContext, target: Target): Promise<LeftOut | null> {
	const tracer = tracerFor(t, { ...PATIENT, priority: 1 });
	for (let tries = 0; ; tries++) {
		const { leftOut } = await inTheEnd(() => tracer.inject(target.pid));
		tracer.end();
		if (tries === 20 || (leftOut?.regions[0]?.pages ?? null) !== null) return leftOut;
	}
}

/** Its pages were copied, all of them, and nothing else was left out. */
async function assertKept(t: ExecutionContext, target: Target): Promise<void> {
	const leftOut = await keeping(t, target);
	t.is(leftOut?.bytes, target.number(BYTES));
	t.is(leftOut?.regions.length, 1, 'it is found');
	const pages = leftOut?.regions[0]?.pages ?? [];
	t.deepEqual(pages.map(({ start, bytes }) => [start, bytes.length]), [[target.number(AT), target.number(BYTES)]]);
	t.true(pages[0]?.bytes.every((byte) => byte === 'k'.charCodeAt(0)));
}

test('it is copied', async (t) => assertKept(t, await start(t, 'left-out', 'plain', 64 * KIB)));

test('what the process may not read itself (PROT_NONE) is copied', async (t) =>
	assertKept(t, await start(t, 'left-out', 'none', 64 * KIB)));

test('what lies behind a file with a very deep path is found', async (t) => {
	const before = process.cwd();
	process.chdir(temporaryFolder(t));
	const target = await start(t, 'left-out', 'deep', 64 * KIB).finally(() => process.chdir(before));
	return assertKept(t, target);
});

test('no duplicate is ended, and none is made again, for what it lacks', async (t) => {
	const target = await start(t, 'left-out', 'plain', 64 * KIB), tracer = tracerFor(t, PATIENT);
	tracer.killAt('killed', 'tracer');
	t.is((await inTheEnd(() => tracer.inject(target.pid))).leftOut?.bytes, target.number(BYTES), 'the tracer lives');
});

test('the time of the stop is kept to: what takes longer to read is not copied', async (t) => {
	const target = await start(t, 'left-out', 'plain', 7 * KIB * KIB);
	// Of one tracer that reads it again and again, the memory to read it into would be there.
	for (let i = 0; i < 5; i++) {
		const tracer = tracerFor(t, { stopLimitMs: 0.5, timeoutMs: 15_000, priority: 1 });
		const { leftOut } = await inTheEnd(() => tracer.inject(target.pid));
		tracer.close();
		t.is(leftOut?.bytes, target.number(BYTES), 'how much it is, is known');
		t.is(leftOut?.regions[0]?.pages?.length ?? null, null);
	}
});

test('a first thread that has ended meanwhile does not make it look as if nothing were left out', (t) => {
	t.is(execFileSync(program('ended-size'), { encoding: 'utf8' }).trim(), 'ok');
});
