/**
 * Processes in which a duplicate would do harm: the preflight sees it, nothing is done to them, and afterwards they
 * are taken.
 */
import test, { type ExecutionContext } from 'ava';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tracer } from '../../native/index.ts';
import { aGroup } from './groups.ts';
import { children, failure, sleep, start, state, status, until, type Target } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const [TURNS, WHO, GO, RESULT, DONE] = [1, 2, 3, 4, 5];

/**
 * The refusals of check and of inject are one, and the target has not been stopped: no thread has a switch more that
 * it did not make itself.
 */
function refused(t: ExecutionContext, target: Target, name: string, code: string, text: RegExp): void {
	const { reasons, pauseNs } = tracer.check(target.pid);
	const refusals = reasons.filter((reason) => reason.code !== null);
	t.deepEqual(refusals.map((reason) => [reason.name, reason.code]), [[name, code]]);
	t.is(pauseNs, null);
	const error = failure(t, () => tracer.inject(target.pid));
	t.is(error.code, code);
	t.regex(error.message, text);
	t.deepEqual(
		children(target.pid).filter((pid) => status(pid, 'Name') === status(target.pid, 'Name') && state(pid) === 't'),
		[]
	);
	t.is(status(target.pid, 'TracerPid'), '0');
}

function taken(t: ExecutionContext, target: Target): void {
	t.deepEqual(tracer.check(target.pid).reasons.filter(({ code }) => code !== null), []);
	tracer.inject(target.pid);
	tracer.end();
}

const noted = (t: ExecutionContext, target: Target, name: string, text: RegExp): void => {
	const { reasons } = tracer.check(target.pid);
	t.regex(
		reasons.find((reason) => reason.name === name && reason.code === null)?.text ?? JSON.stringify(reasons), text
	);
};

/** False, with the reason printed, where the machine does not let the target get there. */
function could(t: ExecutionContext, target: Target, what: string): boolean {
	if (target.number(WHO) === 0) return true;
	t.log(`not here: ${what}: errno ${target.number(WHO)}`);
	t.pass();
	return false;
}

function folder(t: ExecutionContext, where = tmpdir()): string {
	const made = mkdtempSync(join(where, 'procsnap-test-'));
	t.teardown(() => rmSync(made, { recursive: true, force: true }));
	return made;
}

test('unshare(CLONE_NEWPID): refused until the target has a child, and its next fork() works', async (t) => {
	const target = await start(t, 'hazards', 'new-pid');
	if (!could(t, target, 'unshare(CLONE_NEWPID)')) return;
	refused(t, target, 'new-pid-namespace', 'EBUSY', /CLONE_NEWPID/);
	target.word[GO] = 1n;
	await target.atLeast(DONE, 1);
	t.true(target.number(RESULT) > 0, `fork() gave ${target.number(RESULT)}`);
});

test('unshare(CLONE_NEWTIME): refused until the target has a child', async (t) => {
	const target = await start(t, 'hazards', 'new-time');
	if (!could(t, target, 'unshare(CLONE_NEWTIME)')) return;
	refused(t, target, 'new-time-namespace', 'EBUSY', /CLONE_NEWTIME/);
	target.word[GO] = 1n;
	await target.atLeast(DONE, 1);
	t.true(target.number(RESULT) > 0, `fork() gave ${target.number(RESULT)}`);
});

test('a userfaultfd that wants to be told of fork(): refused', async (t) => {
	const target = await start(t, 'hazards', 'userfaultfd');
	if (!could(t, target, 'userfaultfd(2)')) return;
	refused(t, target, 'userfaultfd', 'EBUSY', /UFFD_FEATURE_EVENT_FORK/);
	await target.runs(TURNS);
});

test('a thread in vfork(): refused with its tid and where it waits, the others go on, and it is taken afterwards',
	async (t) => {
	const target = await start(t, 'hazards', 'vfork');
	await until('the thread waits', () => target.number(WHO) > 0 && state(target.number(WHO)) === 'D');
	const before = status(target.pid, 'nonvoluntary_ctxt_switches');
	refused(t, target, 'uninterruptible', 'ETIMEDOUT', new RegExp(`^thread ${target.number(WHO)} .*state D`));
	t.log(
		`involuntary switches of the first thread before and after: ${before}, ` +
			status(target.pid, 'nonvoluntary_ctxt_switches')
	);
	await target.runs(TURNS);
	target.word[GO] = 1n;
	await until('the thread is back', () => state(target.number(WHO)) !== 'D');
	taken(t, target);
});

test('a thread that waits for its seccomp supervisor: refused until that has answered, once', async (t) => {
	const target = await start(t, 'hazards', 'supervised');
	refused(t, target, 'seccomp-supervisor', 'EBUSY', new RegExp(`^thread ${target.number(WHO)} `));
	target.word[GO] = 1n;
	await target.atLeast(DONE, 1);
	t.is(target.number(RESULT), 77, 'the answer to the first question');
	taken(t, target);
});

test('SCHED_DEADLINE: refused before anything is done', async (t) => {
	const target = await start(t, 'hazards', 'deadline');
	if (!could(t, target, 'SCHED_DEADLINE')) return;
	refused(t, target, 'deadline', 'EAGAIN', /SCHED_DEADLINE/);
	await target.runs(TURNS);
});

for (const kind of ['v1', 'v2'] as const) {
	test(`frozen by a cgroup of version ${kind.slice(1)}, also by one above its own: refused, and taken when thawed`,
		async (t) => {
		const outer = aGroup(t, kind === 'v1' ? 'freezer' : '');
		if (outer?.version !== kind) {
			t.log(`not here: no freezer of version ${kind.slice(1)}`);
			t.pass();
			return;
		}
		const inner = outer.child('inner');
		const target = await start(t, 'hazards', 'plain');
		t.teardown(() => outer.set(kind === 'v1' ? 'freezer.state' : 'cgroup.freeze', kind === 'v1' ? 'THAWED' : '0'));
		inner.add(target.pid);
		taken(t, target);
		const [file, frozen, thawed] = kind === 'v1'
			? ['freezer.state', 'FROZEN', 'THAWED'] as const
			: ['cgroup.freeze', '1', '0'] as const;
		for (const group of [inner, outer]) {
			group.set(file, frozen);
			await until(
				'it is frozen',
				() =>
					(kind === 'v1'
						? inner.get(file).trim() === 'FROZEN'
						: inner.get('cgroup.events').includes('frozen 1'))
			);
			refused(t, target, 'frozen', 'EBUSY', /thaw it first/);
			group.set(file, thawed);
			await target.runs(TURNS);
		}
		taken(t, target);
	});
}

test('a pids cgroup: refused where the duplicate would take the last one, also by a limit above', async (t) => {
	const outer = aGroup(t, 'pids');
	if (outer === null) {
		t.log('not here: no pids cgroup');
		t.pass();
		return;
	}
	const inner = outer.child('inner');
	const target = await start(t, 'hazards', 'plain');
	inner.add(target.pid);
	outer.set('pids.max', '3');
	taken(t, target);
	outer.set('pids.max', '2');
	refused(t, target, 'pids-cgroup', 'EAGAIN', /pids\.max: 1 of 2 processes/);
	outer.set('pids.max', 'max');
	taken(t, target);
});

test('huge pages: MAP_NORESERVE and an empty pool is refused, and a note where they are reserved', async (t) => {
	const pool = '/proc/sys/vm/nr_hugepages', before = readFileSync(pool, 'utf8').trim();
	t.teardown(() => writeFileSync(pool, before));
	const set = (pages: number): boolean => {
		try {
			writeFileSync(pool, String(pages));
		} catch {
			return false;
		}
		return Number(readFileSync(pool, 'utf8')) === pages;
	};
	if (before !== '0' || !set(4)) {
		t.log('not here: the pool of huge pages is in use, or cannot be filled');
		t.pass();
		return;
	}
	const careless = await start(t, 'hazards', 'huge', 4, 'noreserve');
	t.is(careless.number(WHO), 0);
	refused(t, careless, 'hugetlb', 'ENOMEM', /8192 KiB .*MAP_NORESERVE.*free_hugepages has room for 0 KiB/);
	if (set(8)) {
		taken(t, careless);
		// The pool is emptied while the duplicate is there: it goes, and gives back what it shares.
		const { pid } = tracer.inject(careless.pid);
		t.true(set(4));
		await until('the duplicate has ended', () => state(pid) === '');
		t.regex(tracer.end().endedEarly ?? '', /free_hugepages has room for 0 KiB/);
	}
	careless.word[GO] = 1n;
	await careless.runs(TURNS);
	careless.process.kill('SIGKILL');
	await careless.ended();
	set(4);
	const careful = await start(t, 'hazards', 'huge', 4, 'reserve');
	t.is(careful.number(WHO), 0);
	noted(t, careful, 'hugetlb-reserved', /8192 KiB/);
	tracer.inject(careful.pid);
	careful.word[GO] = 1n;
	await careful.runs(TURNS);
	tracer.end();
	careful.process.kill('SIGKILL');
	await careful.ended();
});

test('what is only to be known: locks, System V segments, io_uring', async (t) => {
	const locked = await start(t, 'hazards', 'locked', join(folder(t), 'file'));
	noted(t, locked, 'held', /flock\(2\)/);
	const sysv = await start(t, 'hazards', 'sysv');
	noted(t, sysv, 'held', /System V/);
	const ring = await start(t, 'hazards', 'io-uring');
	if (could(t, ring, 'io_uring_setup(2)')) noted(t, ring, 'held', /io_uring/);
	const plain = await start(t, 'hazards', 'plain');
	t.deepEqual(tracer.check(plain.pid).reasons.filter(({ name }) => name !== 'cgroup-namespace'), []);
});

test('O_DIRECT is a hazard on kernels that do not pin', async (t) => {
	const target = await start(t, 'hazards', 'direct', join(folder(t, process.cwd()), 'file'));
	if (!could(t, target, 'open(O_DIRECT) in this folder')) return;
	const [major = 0, minor = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number);
	const said = tracer.check(target.pid).reasons.some(({ name }) => name === 'direct-io');
	// Where the folder is on a network file system it is a hazard on any kernel.
	t.true(said || major * 1000 + minor >= 6005);
	if (major * 1000 + minor < 6005) noted(t, target, 'direct-io', /O_DIRECT/);
});

test('figures: the estimate grows with the memory, as the target\'s does, and nothing is done to the target',
	async (t) => {
	const small = await start(t, 'states', 'idle'), large = await start(t, 'states', 'large');
	const stalls = (): string => status(large.pid, 'voluntary_ctxt_switches');
	const [a, b] = [tracer.check(small.pid), tracer.check(large.pid)];
	t.true(a.pauseNs !== null && b.pauseNs !== null);
	t.true(
		(b.pauseNs ?? 0) > 3 * (a.pauseNs ?? 0),
		`${a.pauseNs} for ${a.residentKib} KiB, ${b.pauseNs} for ${b.residentKib} KiB`
	);
	t.is(b.threads, 2);
	t.true(b.residentKib > 128 * 1024 && b.growthKib > 128 * 1024 && b.tablesKib >= 256);
	t.true(b.headroomKib !== null && b.headroomKib > 0);
	// The first thread sleeps for good: a stop would have woken it.
	const before = stalls();
	for (let i = 0; i < 5; i++) tracer.check(large.pid);
	await sleep(5);
	t.is(stalls(), before);
	const { pauseNs } = tracer.inject(large.pid);
	tracer.end();
	t.log(`estimated ${b.pauseNs} ns, was ${pauseNs} ns`);
});

for (const mode of ['shared', 'orphaned', 'shared-leaderless'])
	test(`another process has the same memory (${mode}): refused, with its pid, until it is stopped`, async (t) => {
		const target = await start(t, 'changes', mode);
		// It is made after the target has said that it is ready; and a signal to process 0 is one to all of us.
		await until('the other is there', () => target.number(GO) > 0);
		const other = target.number(GO);
		t.teardown(() => process.kill(other, 'SIGKILL'));
		refused(
			t, target, 'shares-memory', 'ENOTSUP',
			new RegExp(`^process ${other} shares the memory of process ${target.pid} .*kill -STOP ${other}`)
		);
		process.kill(other, 'SIGSTOP');
		// In that of the last of its threads.
		const its = (): number => Number(readdirSync(`/proc/${other}/task`).at(-1));
		await until('it is stopped', () => state(its()) === 'T');
		taken(t, target);
		process.kill(other, 'SIGCONT');
		await until('it goes on', () => state(its()) !== 'T');
		refused(t, target, 'shares-memory', 'ENOTSUP', /CLONE_VM/);
	});
