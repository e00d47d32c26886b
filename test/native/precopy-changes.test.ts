/**
 * precopy, while the kernel or the target changes what the target's memory is made of; and targets that are unlike
 * others. Each copy is the target as of one moment, by its own count, and the target has no more than before.
 */
import type { ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mechanism } from '../../mechanisms/precopy.ts';
import { ProcsnapError, type Tracer } from '../../native/index.ts';
import type { Still } from '../../mechanisms/shared/types.ts';
import { isFree } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { Changes } from './changes.ts';
import { start, state, status, tracerFor, until, type Target } from './help.ts';
import type { ReadCopy } from './shifting.ts';

const precopyTest = testUnless(mechanism.unavailable());
const COPIES = 5;

interface Look { rssKiB: number; swapKiB: number; tablesKiB: number; lockedKiB: number; descriptors: string[] }

/** A thread of it that lives: of one that has ended, /proc tells nothing. */
const living = (pid: number): number =>
	readdirSync(`/proc/${pid}/task`).map(Number).find((tid) => state(tid) !== 'Z') ?? pid;

function look(pid: number): Look {
	const tid = living(pid);
	return {
		rssKiB: parseInt(status(tid, 'VmRSS')), swapKiB: parseInt(status(tid, 'VmSwap')),
		tablesKiB: parseInt(status(tid, 'VmPTE')), lockedKiB: parseInt(status(tid, 'VmLck')),
		descriptors: readdirSync(`/proc/${tid}/fd`).map((fd) => readlinkSync(`/proc/${tid}/fd/${fd}`)),
	};
}

const smaps = (pid: number): string => readFileSync(`/proc/${living(pid)}/smaps`, 'utf8');
const sumOf = (key: string, text: string): number =>
	[...text.matchAll(new RegExp(`^${key}: +(\\d+) kB`, 'gm'))].reduce((sum, [, kib]) => sum + Number(kib), 0);

/** Nothing of the copy is in the target, and it goes on. */
async function assertAsBefore(t: ExecutionContext, target: Target, before: Look): Promise<void> {
	const { pid } = target, after = look(pid);
	t.deepEqual(after.descriptors, before.descriptors);
	t.notRegex(smaps(pid), /^VmFlags:.* u[wm]\b/m, 'no region is registered');
	// Counted for each CPU, and added up now and then: some pages are within what the kernel tells.
	t.true(after.rssKiB + after.swapKiB <= before.rssKiB + before.swapKiB + 512, JSON.stringify([before, after]));
	t.true(after.tablesKiB <= before.tablesKiB + 16, JSON.stringify([before, after]));
	t.is(after.lockedKiB, before.lockedKiB);
	t.true(isFree(pid));
	await target.runs(1);
	t.is(target.process.exitCode, null);
	t.is(target.process.signalCode, null);
}

/** It has been all around its area, so that it grows no more by itself. */
async function changing(t: ExecutionContext, mode: string, ...args: string[]): Promise<{
	target: Target; oracle: Changes;
}> {
	const target = await start(t, 'changes', mode, ...args), oracle = await Changes.of(target, mode);
	if (mode !== 'stack') await target.atLeast(1, oracle.pages + 64);
	return { target, oracle };
}

/** Of a file's page that lies behind the file's end there is nothing. */
const readerOf = (still: Still): ReadCopy => (address, length) => {
	try {
		return still.read(BigInt(address), length);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'EIO') return new Uint8Array();
		throw error;
	}
};

function assertCopy(t: ExecutionContext, tracer: Tracer, target: Target, oracle: Changes, what: string): void {
	const still = mechanism.open(tracer, target);
	t.is(oracle.wrong(readerOf(still)), null, what);
	t.not(oracle.wrong(readerOf(still), 5), null, 'a control');
	still.end();
}

async function assertCopies(
	t: ExecutionContext, { target, oracle }: { target: Target; oracle: Changes }, copies = COPIES
): Promise<void> {
	const tracer = tracerFor(t, { priority: 1 }), before = look(target.pid);
	for (let copy = 0; copy < copies; copy++) {
		assertCopy(t, tracer, target, oracle, `copy ${copy}`);
		await target.runs(1);
	}
	await assertAsBefore(t, target, before);
}

for (const mode of ['plain', 'locked', 'free', 'denied', 'regions'])
	precopyTest(`memory that changes meanwhile: ${mode}`, async (t) => {
		const made = await changing(t, mode);
		if (made.target.number(2) !== 0) t.log(`not looked at: errno ${made.target.number(2)}`);
		await assertCopies(t, made, mode === 'regions' ? 2 : COPIES);
	});

precopyTest('memory that changes meanwhile: huge pages are written to, and split', async (t) => {
	const made = await changing(t, 'huge'), before = sumOf('AnonHugePages', smaps(made.target.pid));
	if (before === 0) t.log('not looked at: this machine has made no huge page of it');
	await assertCopies(t, made);
	t.log(`huge pages: ${before} KiB, and ${sumOf('AnonHugePages', smaps(made.target.pid))} KiB after ${COPIES} copies`);
});

for (const mode of ['brk', 'file', 'dropped', 'guarded'])
	precopyTest(`memory that changes meanwhile: ${mode}, given up in each round`, async (t) => {
		const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
		t.teardown(() => rmSync(folder, { recursive: true }));
		const { target, oracle } = await changing(t, mode, join(folder, 'file'));
		const tracer = tracerFor(t, { priority: 1 }), before = look(target.pid);
		for (let copy = 0; copy < 2 * COPIES; copy++) {
			assertCopy(t, tracer, target, oracle, `copy ${copy}`);
			await sleep(copy);
		}
		// As large as it becomes in each round.
		await assertAsBefore(t, target, { ...before, rssKiB: before.rssKiB + oracle.pages * 4 });
	});

precopyTest('memory that changes meanwhile: a page of hugetlbfs, given up in each round', async (t) => {
	const reason = lendHugePages(t);
	if (reason !== null) {
		t.log(`skipped: ${reason}`);
		t.pass();
		return;
	}
	const { target, oracle } = await changing(t, 'hugetlb'), tracer = tracerFor(t, { priority: 1 });
	for (let copy = 0; copy < 25; copy++) assertCopy(t, tracer, target, oracle, `copy ${copy}`);
	await target.runs(1);
});

precopyTest('memory that changes meanwhile: the stack grows', async (t) => {
	const { target, oracle } = await changing(t, 'stack'), tracer = tracerFor(t, { priority: 1 });
	const before = look(target.pid);
	let grown = 0;
	for (let copy = 0; copy < 3; copy++) {
		const from = target.number(1);
		assertCopy(t, tracer, target, oracle, `copy ${copy}`);
		if (target.number(1) > from && from < oracle.pages) grown++;
	}
	t.true(grown > 0, 'it grew in none of them');
	await target.atLeast(1, oracle.pages + 64);
	assertCopy(t, tracer, target, oracle, 'when it has grown');
	const kib = oracle.pages * 4;
	const own = { rssKiB: before.rssKiB + kib, tablesKiB: before.tablesKiB + kib / 256 };
	await assertAsBefore(t, target, { ...before, ...own });
});

const POOL = '/proc/sys/vm/nr_hugepages';

/** Two huge pages more. Why there are none, or null. */
function lendHugePages(t: ExecutionContext): string | null {
	try {
		const before = readFileSync(POOL, 'utf8');
		writeFileSync(POOL, String(Number(before) + 2));
		t.teardown(() => writeFileSync(POOL, before));
		const free = Number(/^HugePages_Free:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
		return free >= 2 ? null : 'this machine has no huge pages left';
	} catch (error) {
		return `huge pages cannot be had: ${String(error)}`;
	}
}

/** A file to swap to. Why there can be none here, or null. */
function swapOn(t: ExecutionContext): string | null {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-')), file = join(folder, 'swap');
	t.teardown(() => rmSync(folder, { recursive: true }));
	try {
		execFileSync('fallocate', ['-l', '32M', file], { stdio: 'pipe' });
		execFileSync('chmod', ['600', file]);
		execFileSync('mkswap', [file], { stdio: 'pipe' });
		execFileSync('swapon', [file], { stdio: 'pipe' });
	} catch (error) {
		return `no swap can be turned on: ${String(error).split('\n')[0]}`;
	}
	t.teardown(() => execFileSync('swapoff', [file]));
	return null;
}

precopyTest('memory that changes meanwhile: swapped out and in', async (t) => {
	const reason = swapOn(t);
	if (reason !== null) {
		t.log(`skipped: ${reason}`);
		t.pass();
		return;
	}
	const made = await changing(t, 'swap');
	await until('some of it is swapped out', () => look(made.target.pid).swapKiB > 0);
	await assertCopies(t, made);
	await until('some of it is swapped out again', () => look(made.target.pid).swapKiB > 0);
});

const KSM = '/sys/kernel/mm/ksm', MERGE_MS = 3000;

/** Merging is turned on, fast, until the end of the test. */
function mergeOn(t: ExecutionContext): string | null {
	try {
		for (const [name, value] of [['pages_to_scan', 4000], ['sleep_millisecs', 1], ['run', 1]] as const) {
			const before = readFileSync(join(KSM, name), 'utf8');
			writeFileSync(join(KSM, name), String(value));
			t.teardown(() => writeFileSync(join(KSM, name), before));
		}
		return null;
	} catch (error) {
		return `pages cannot be merged: ${String(error).split('\n')[0]}`;
	}
}

precopyTest('memory that changes meanwhile: pages of the same content are merged, and written to', async (t) => {
	const reason = mergeOn(t);
	if (reason !== null) {
		t.log(`skipped: ${reason}`);
		t.pass();
		return;
	}
	const made = await changing(t, 'ksm');
	const merged = (): number => Number(readFileSync(`/proc/${made.target.pid}/ksm_merging_pages`, 'utf8'));
	for (const end = Date.now() + MERGE_MS; merged() === 0 && Date.now() < end;) await sleep(5);
	if (merged() === 0) t.log('not looked at: the kernel has not got to merge pages, on a busy machine');
	const { target, oracle } = made, tracer = tracerFor(t, { priority: 1 }), before = look(target.pid);
	for (let copy = 0; copy < COPIES; copy++) {
		assertCopy(t, tracer, target, oracle, `copy ${copy}`);
		await target.runs(1);
	}
	await assertAsBefore(t, target, { ...before, rssKiB: before.rssKiB + oracle.pages * 4 });
});

for (const mode of ['filtered', 'strict', 'user', 'dumpable', 'powerless', 'no-space', 'leaderless', 'vforks'])
	precopyTest(`a target that is unlike others: ${mode}`, async (t) => {
		await assertCopies(t, await changing(t, mode));
	});

precopyTest('a target that may open nothing more is refused, with the reason, and goes on', async (t) => {
	const { target, oracle } = await changing(t, 'no-files'), tracer = tracerFor(t, { priority: 1 });
	const before = look(target.pid);
	const error = t.throws(() => mechanism.open(tracer, target), { instanceOf: ProcsnapError });
	t.is(error.code, 'EMFILE');
	t.regex(error.message, /RLIMIT_NOFILE/);
	await assertAsBefore(t, target, before);
	execFileSync('prlimit', ['--pid', String(target.pid), '--nofile=64']);
	assertCopy(t, tracer, target, oracle, 'with room for one more');
	await assertAsBefore(t, target, before);
});

for (const mode of ['shared', 'orphaned'])
	precopyTest(`a process that writes to the same memory, and that no stop stops, is a reason (${mode})`, async (t) => {
		const { target, oracle } = await changing(t, mode), tracer = tracerFor(t, { priority: 1 });
		const before = look(target.pid);
		const error = t.throws(() => mechanism.open(tracer, target), { instanceOf: ProcsnapError });
		t.is(error.code, 'ENOTSUP');
		t.regex(error.message, new RegExp(`^process ${target.number(3)} shares the memory of process ${target.pid} `));
		await assertAsBefore(t, target, before);
		process.kill(target.number(3), 'SIGKILL');
		await until('it has ended', () => ['', 'Z'].includes(state(target.number(3))));
		const still = mechanism.open(tracer, target);
		t.is(oracle.wrong(readerOf(still)), null);
		still.end();
	});
