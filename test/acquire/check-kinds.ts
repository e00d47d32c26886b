/** Processes of every kind that `procsnap check` tells apart: how they are made, and what it must say of them. */
import type { ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tracer } from '../../native/index.ts';
import { aGroup, type Group } from '../native/groups.ts';
import { program, start, state, status, until } from '../native/help.ts';

export interface Kind {
	title: string;
	/** The reasons' names: refusals as they are, notes with a question mark; those of the machine are left out. */
	reasons: string[];
	/** The process to look at; null: this machine has none of this kind, and the reason was printed. */
	make: (t: ExecutionContext) => Promise<number | null>;
}

const WHO = 2;

async function hazard(t: ExecutionContext, ...args: Array<string | number>): Promise<number | null> {
	const target = await start(t, 'hazards', ...args);
	if (target.number(WHO) !== 0 && !['vfork', 'supervised'].includes(String(args[0]))) {
		t.log(`not here: ${args.join(' ')}: errno ${target.number(WHO)}`);
		return null;
	}
	if (args[0] === 'vfork')
		await until('the thread waits', () => target.number(WHO) > 0 && state(target.number(WHO)) === 'D');
	return target.pid;
}

async function states(t: ExecutionContext, mode: string): Promise<number> {
	return (await start(t, 'states', mode)).pid;
}

function group(t: ExecutionContext, controller: string): Group | null {
	const made = aGroup(t, controller);
	if (made === null) t.log(`not here: no cgroup of ${controller === '' ? 'version 2' : controller}`);
	return made;
}

async function inMemory(t: ExecutionContext, mib: number, limit: number, above: boolean): Promise<number | null> {
	const outer = group(t, 'memory');
	if (outer === null) return null;
	outer.set(outer.version === 'v2' ? 'memory.max' : 'memory.limit_in_bytes', String(limit << 20));
	return (await start(t, 'hazards', 'writer', mib, 1, above ? outer.child('inner').folder : outer.folder)).pid;
}

async function huge(t: ExecutionContext, flags: string): Promise<number | null> {
	const pool = '/proc/sys/vm/nr_hugepages', before = readFileSync(pool, 'utf8').trim();
	t.teardown(() => writeFileSync(pool, before));
	try {
		if (before !== '0') throw new Error('the pool of huge pages is in use');
		writeFileSync(pool, '4');
		if (readFileSync(pool, 'utf8').trim() !== '4') throw new Error('the pool of huge pages cannot be filled');
	} catch (error) {
		t.log(`not here: ${String(error)}`);
		return null;
	}
	return hazard(t, 'huge', 4, flags);
}

export const KINDS: Kind[] = [
	{ title: 'An ordinary process', reasons: [], make: (t) => states(t, 'idle') },
	{ title: 'Eight threads that write', reasons: [], make: (t) => hazard(t, 'writer', 64, 8) },
	{ title: '128 MiB in small pages', reasons: [], make: (t) => states(t, 'large') },
	{
		title: 'Stopped by SIGSTOP', reasons: [], make: async (t) => {
			const pid = await states(t, 'idle');
			process.kill(pid, 'SIGSTOP');
			await until('it is stopped', () => state(pid) === 'T');
			return pid;
		},
	},
	{
		title: 'Its first thread has ended', reasons: [], make: async (t) => {
			const pid = await states(t, 'leaderless');
			await until('its first thread has ended', () => state(pid) === 'Z');
			return pid;
		},
	},
	{
		title: 'A seccomp filter that kills on clone()', reasons: [],
		make: async (t) => (await start(t, 'filtered')).pid,
	},
	{
		title: 'A memory cgroup with room for a part of what it can write', reasons: ['memory-tight?'],
		make: (t) => inMemory(t, 120, 200, false),
	},
	{
		title: 'A memory cgroup that is nearly full', reasons: ['memory-cgroup'],
		make: (t) => inMemory(t, 60, 64, false),
	},
	{
		title: 'A limit above its own memory cgroup', reasons: ['memory-cgroup'],
		make: (t) => inMemory(t, 60, 64, true),
	},
	{
		title: 'A pids cgroup with room for one more', reasons: ['pids-cgroup'], make: async (t) => {
			const made = group(t, 'pids');
			const pid = made === null ? null : await states(t, 'idle');
			if (pid !== null) made?.add(pid);
			made?.set('pids.max', '2');
			return pid;
		},
	},
	{
		title: 'An ordinary user that may have no further process', reasons: ['user-processes'],
		make: (t) => states(t, 'limited'),
	},
	{
		title: 'Frozen by its cgroup', reasons: ['frozen'], make: async (t) => {
			const made = group(t, '');
			const pid = made === null ? null : await states(t, 'idle');
			if (made === null || pid === null) return null;
			t.teardown(() => made.set('cgroup.freeze', '0'));
			made.add(pid);
			made.set('cgroup.freeze', '1');
			await until('it is frozen', () => made.get('cgroup.events').includes('frozen 1'));
			return pid;
		},
	},
	{ title: 'A thread in vfork()', reasons: ['uninterruptible'], make: (t) => hazard(t, 'vfork') },
	{
		title: 'A thread that waits for its seccomp supervisor', reasons: ['seccomp-supervisor'],
		make: (t) => hazard(t, 'supervised'),
	},
	{ title: 'SCHED_DEADLINE', reasons: ['deadline'], make: (t) => hazard(t, 'deadline') },
	{ title: 'After unshare(CLONE_NEWPID)', reasons: ['new-pid-namespace'], make: (t) => hazard(t, 'new-pid') },
	{ title: 'After unshare(CLONE_NEWTIME)', reasons: ['new-time-namespace'], make: (t) => hazard(t, 'new-time') },
	{
		title: 'A userfaultfd that wants to be told of fork()', reasons: ['userfaultfd'],
		make: (t) => hazard(t, 'userfaultfd'),
	},
	{
		title: 'Huge pages without a reserve, and none is free', reasons: ['hugetlb'],
		make: (t) => huge(t, 'noreserve'),
	},
	{
		title: 'Huge pages with a reserve, and none is free', reasons: ['hugetlb-reserved?'],
		make: (t) => huge(t, 'reserve'),
	},
	{
		title: 'A file lock', reasons: ['held?'], make: (t) => {
			const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
			t.teardown(() => rmSync(folder, { recursive: true }));
			return hazard(t, 'locked', join(folder, 'file'));
		},
	},
	{ title: 'An io_uring', reasons: ['held?'], make: (t) => hazard(t, 'io-uring') },
	{
		title: 'Traced', reasons: ['traced'], make: async (t) => {
			const pid = await states(t, 'idle'), tracer = Tracer.start();
			t.teardown(() => tracer.close());
			tracer.hold(pid);
			return pid;
		},
	},
	{ title: 'A zombie', reasons: ['zombie'], make: async (t) => (await start(t, 'states', 'zombie')).number(WHO) },
	{ title: 'A thread', reasons: ['thread'], make: async (t) => (await start(t, 'states', 'threaded')).number(WHO) },
	{
		title: 'A kernel thread', reasons: ['kernel-thread'],
		make: () =>
			Promise.resolve(
				readdirSync('/proc').map(Number).find((pid) => pid > 0 && status(pid, 'Kthread') === '1') ?? 2
			),
	},
	{
		title: 'A 32-bit program', reasons: ['32-bit'], make: async (t) => {
			const child = existsSync(program('thirtytwo')) ? spawn(program('thirtytwo'), { stdio: 'ignore' }) : null;
			let failed = child === null;
			child?.on('error', () => { failed = true; }).on('exit', () => { failed = true; });
			t.teardown(() => child?.kill('SIGKILL'));
			await until(
				'it waits',
				() => failed || (state(child?.pid ?? 0) === 'S' && status(child?.pid ?? 0, 'Name') === 'thirtytwo')
			);
			if (!failed) return child?.pid ?? null;
			t.log('not here: this machine makes or runs no 32-bit programs');
			return null;
		},
	},
	{ title: 'No process', reasons: ['no-process'], make: () => Promise.resolve(4_000_000) },
];
