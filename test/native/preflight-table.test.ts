/**
 * The preflight's table of reasons and its reading of limits, without a process: every reason, and either side of its
 * bound.
 */
import test, { type ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { program } from './help.ts';

const [MEMORY, MACHINE, COMMIT, HUGE, PROCESSES] = [0, 1, 2, 3, 4];
const MIB = 1024;
/** procsnap.h, enum ps_purpose; a fact of judging.c alone. */
const PRECOPY = 2;

interface Judged {
	reasons: Array<{ code: number; name: string; text: string }>; growth: number; clone: number; reserve: number;
}

/** 100 MiB of one thread, which nothing speaks against. */
const PLAIN = {
	'pid': 42, 'identity.tgid': 42, 'first': 42, 'complete': 1, 'threads': 1, 'cpus': 4, 'may_suspend': 1,
	'resident': 100 * MIB,
	'anonymous': 100 * MIB, 'tables': 200, 'data': 120 * MIB, 'regions': 20, 'user_limit': -1, 'fork_events': -1,
	'direct': -1, 'direct_any': -1,
	'io_uring': -1, 'kernel': 6012,
};
type Fact = keyof typeof PLAIN | (string & {});
type Limit = [of: number, file: string, limit: number, used: number, reclaimable?: number, pageKib?: number];

function judge(facts: Partial<Record<Fact, number | string>>, limits: Limit[] = []): Judged {
	const input = [
		...Object.entries({ ...PLAIN, ...facts }).map(([name, value]) => `${name} ${value}`),
		...limits.map(([of, file, limit, used, reclaimable = 0, pageKib = 0]) =>
			`limit ${of} ${file} ${limit} ${used} ${reclaimable} ${pageKib}`),
	].join('\n');
	const lines = execFileSync(program('judging'), ['facts'], { input: `${input}\n`, encoding: 'utf8' }).trim()
		.split('\n').map((line) => line.split('\t'));
	const [growth = 0, clone = 0, reserve = 0] = (lines.at(-1)?.[1] ?? '').split(' ').map(Number);
	return {
		reasons: lines.slice(0, -1).map(([code, name = '', text = '']) => ({ code: Number(code), name, text })), growth,
		clone, reserve,
	};
}

const names = (judged: Judged): string[] => judged.reasons.map(({ code, name }) => `${name}${code === 0 ? '?' : ''}`);

function alone(
	t: ExecutionContext, judged: Judged, name: string, errno: keyof typeof constants.errno | null, text: RegExp
): void {
	t.deepEqual(names(judged), [errno === null ? `${name}?` : name], JSON.stringify(judged));
	const [reason] = judged.reasons;
	t.is(reason?.code, errno === null ? 0 : -constants.errno[errno], name);
	t.regex(reason?.text ?? '', text);
	t.true((reason?.text.length ?? 0) < 223, `${name} is cut off: ${reason?.text}`);
}

test('nothing speaks against a plain process', (t) => {
	t.deepEqual(judge({}).reasons, []);
});

test('each reason that is not a matter of figures', (t) => {
	const long = 'x'.repeat(200);
	type Facts = Partial<Record<Fact, number | string>>;
	const cases: Array<[Facts, string, keyof typeof constants.errno | null, RegExp]> = [
		[{ pid: 0 }, 'bad-pid', 'EINVAL', /positive number/],
		[{ own: 1 }, 'own-process', 'EINVAL', /procsnap itself/],
		[{ gone: 1 }, 'no-process', 'ESRCH', /no process 42/],
		[{ 'identity.kernel_thread': 1 }, 'kernel-thread', 'EINVAL', /kernel thread/],
		[{ 'identity.tgid': 41 }, 'thread', 'EINVAL', /thread of process 41/],
		[{ tracer: 7 }, 'traced', 'EBUSY', /traced by process 7 /],
		[{ zombie: 1 }, 'zombie', 'ESRCH', /zombie/],
		[{ denied: 1 }, 'no-permission', 'EPERM', /CAP_SYS_PTRACE/],
		[{ is_32_bit: 1 }, '32-bit', 'ENOTSUP', /32-bit/],
		[{ frozen: `/sys/fs/cgroup/freezer/${long}/freezer.state` }, 'frozen', 'EBUSY', /freezer\.state\): thaw it/],
		[
			{ stuck: 43, stuck_in: 'rpc_wait_bit_killable' }, 'uninterruptible', 'ETIMEDOUT',
			/thread 43 .* rpc_wait_bit_killable/,
		],
		[{ supervised: 43 }, 'seccomp-supervisor', 'EBUSY', /thread 43 .*supervisor/],
		[{ filtered: 1, may_suspend: 0 }, 'seccomp-filter', 'EACCES', /CAP_SYS_ADMIN/],
		[{ deadline: 1 }, 'deadline', 'EAGAIN', /SCHED_DEADLINE/],
		[{ new_pid_pending: 1 }, 'new-pid-namespace', 'EBUSY', /CLONE_NEWPID/],
		[{ new_time_pending: 1 }, 'new-time-namespace', 'EBUSY', /CLONE_NEWTIME/],
		[{ fork_events: 5 }, 'userfaultfd', 'EBUSY', /descriptor 5 .*UFFD_FEATURE_EVENT_FORK/],
		[{ 'limits.out_of_reach': 1 }, 'cgroup-unseen', 'EACCES', /cannot be seen/],
		[{ 'limits.nested': 1 }, 'cgroup-namespace', null, /not seen/],
		[{ direct: 6 }, 'direct-io', null, /descriptor 6 .*O_DIRECT.*before 6\.5/],
		[{ direct: 6, direct_remote: 1 }, 'direct-io', null, /its file system does not pin/],
		[{ aio: 1, kernel: 6001 }, 'direct-io', null, /io_setup/],
		[{ sysv: 1 }, 'held', null, /System V/],
		[{ locks: 2 }, 'held', null, /flock/],
		[{ io_uring: 3 }, 'held', null, /io_uring/],
		[{ io_uring: 3, purpose: PRECOPY }, 'unseen-writes', 'ENOTSUP', /42 has an io_uring: .* by inject$/],
		[{ sharer: 7 }, 'shares-memory', 'ENOTSUP', /process 7 shares the memory of process 42 .*CLONE_VM.* -STOP 7/],
		[{ sharer: 7, purpose: PRECOPY }, 'shares-memory', 'ENOTSUP', /process 7 shares the memory of process 42 /],
		[{ sharing_unknown: 1 }, 'sharing-unknown', null, /CLONE_VM.* is not known/],
		[{ descriptors_hidden: 1 }, 'descriptors-hidden', null, /not all looked at/],
	];
	for (const [facts, name, errno, text] of cases) alone(t, judge(facts), name, errno, text);
	t.deepEqual(names(judge({ sharer: 7, sharing_unknown: 1 })), ['shares-memory'], 'one is enough');
	t.deepEqual(names(judge({ io_uring: 3, kernel: 6001 })), ['direct-io?', 'held?']);
	t.deepEqual(names(judge({ io_uring: 3, kernel: 6005 })), ['held?'], 'since 6.5 a direct read pins its pages');
	t.deepEqual(names(judge({ filtered: 1 })), [], 'with CAP_SYS_ADMIN it is suspended');
	t.deepEqual(names(judge({ gone: 1, new_pid_pending: 1 })), ['no-process'], 'what is no target is told alone');
	t.deepEqual(
		names(judge({ new_pid_pending: 1, deadline: 1 })), ['deadline', 'new-pid-namespace'], 'of the rest, everything'
	);
});

test('memory: taken where the clone and the reserve fit, refused 1 KiB below, and a note where not all of it fits',
	(t) => {
	const { clone, reserve, growth } = judge({});
	t.true(reserve > 20 * MIB && reserve < growth, String(reserve));
	for (const [of, name] of [[MEMORY, 'memory-cgroup'], [MACHINE, 'machine-memory']] as const) {
		const room = (kib: number, more: Partial<Record<Fact, number>> = {}): Judged =>
			judge(more, [[of, '/g/memory.max', 1000 * MIB, 1000 * MIB - kib]]);
		t.deepEqual(names(room(growth + reserve)), [], name);
		t.deepEqual(names(room(clone + reserve)), ['memory-tight?'], name);
		const refused = room(clone + reserve - 1);
		t.deepEqual(names(refused), [name]);
		t.is(refused.reasons[0]?.code, -constants.errno.ENOMEM);
		t.regex(
			refused.reasons[0]?.text ?? '',
			/^\/g\/memory\.max: 9\d\d MiB used of 1000 MiB, 0 KiB of that reclaimable; a duplicate needs 3\d MiB, .*42 may be killed/
		);
		t.deepEqual(
			names(room(clone + reserve, { 'limits.oom_group': 1 })), [name], 'an OOM kill would take all of the cgroup'
		);
		t.deepEqual(names(room(growth, { 'limits.oom_group': 1 })), ['memory-tight?']);
	}
	t.deepEqual(
		names(judge({}, [[MEMORY, '/g', 1000 * MIB, 1000 * MIB, growth + reserve]])), [],
		'what can be reclaimed is room'
	);
	t.deepEqual(
		names(judge({}, [[MEMORY, '/g', 9000 * MIB, 0], [MEMORY, '/g/h', 100 * MIB, 99 * MIB]]))[0], 'memory-cgroup',
		'the tightest level counts'
	);
	// A small process needs no more than all that it has.
	const small = judge({ anonymous: 2 * MIB, resident: 3 * MIB, tables: 60 });
	t.is(small.reserve, small.growth);
	t.deepEqual(
		names(judge(
			{ anonymous: 2 * MIB, resident: 3 * MIB, tables: 60 }, [[MEMORY, '/g', 10 * MIB, 10 * MIB - small.growth]]
		)),
		['memory-tight?']
	);
	t.deepEqual(
		names(judge(
			{ anonymous: 2 * MIB, resident: 3 * MIB, tables: 60 },
			[[MEMORY, '/g', 10 * MIB, 10 * MIB - small.growth + 1]]
		)).slice(0, 1),
		['memory-cgroup']
	);
});

test('the reserve grows with the threads that can write, up to the CPUs that they have', (t) => {
	const reserves = [[1, 4], [2, 4], [4, 4], [100, 4], [100, 64]].map(([threads = 0, cpus = 0]) =>
		judge({ threads, cpus, anonymous: 1 << 21, resident: 1 << 21 }).reserve);
	t.true(reserves[0]! < reserves[1]! && reserves[1]! < reserves[2]! && reserves[3]! < reserves[4]!, reserves.join());
	t.is(reserves[2], reserves[3]);
});

test('overcommit, processes, huge pages: either side of the bound', (t) => {
	const commit = (room: number): Judged => judge({}, [[COMMIT, '/proc/meminfo', 1000 * MIB, 1000 * MIB - room]]);
	t.deepEqual(names(commit(136 * MIB)), []);
	alone(t, commit(136 * MIB - 1), 'commit-limit', 'ENOMEM', /overcommit_memory is 2.* 120 MiB more/);

	const pids = (room: number): Judged => judge({}, [[PROCESSES, '/sys/fs/cgroup/pids/g/pids.max', 10, 10 - room]]);
	t.deepEqual(names(pids(2)), []);
	alone(t, pids(1), 'pids-cgroup', 'EAGAIN', /pids\.max: 9 of 10 processes/);
	t.deepEqual(names(judge({ user_limit: 10, user_processes: 8 })), []);
	alone(
		t, judge({ user_limit: 10, user_processes: 9 }), 'user-processes', 'EAGAIN',
		/RLIMIT_NPROC of process 42 is 10, and its user has 9/
	);

	const huge = { 'huge_sizes': 1, 'huge_size[0].page_kib': 2 * MIB };
	const pool = (room: number): Limit =>
		[HUGE, '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', room, 0, 0, 2 * MIB];
	t.deepEqual(names(judge({ ...huge, 'huge_size[0].unreserved_kib': 8 * MIB }, [pool(8 * MIB)])), []);
	alone(
		t, judge({ ...huge, 'huge_size[0].unreserved_kib': 8 * MIB }, [pool(6 * MIB)]), 'hugetlb', 'ENOMEM',
		/8192 KiB of huge pages with MAP_NORESERVE.*SIGBUS/
	);
	alone(
		t, judge({ ...huge, 'huge_size[0].reserved_kib': 8 * MIB }, [pool(6 * MIB)]), 'hugetlb-reserved', null,
		/taken from the duplicate/
	);
	t.deepEqual(
		names(judge({ ...huge, 'huge_size[0].unreserved_kib': 8 * MIB }, [[HUGE, '/other', 0, 0, 0, 1 << 20]])), [],
		'the pool of another size'
	);
});

/** A folder with files as in /. */
function root(t: ExecutionContext, files: Record<string, string>): string {
	const made = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(made, { recursive: true, force: true }));
	for (const [name, text] of Object.entries(files)) {
		mkdirSync(join(made, dirname(name)), { recursive: true });
		writeFileSync(join(made, name), text);
	}
	mkdirSync(join(made, 'proc/self/ns'), { recursive: true });
	symlinkSync('cgroup:[4026531835]', join(made, 'proc/self/ns/cgroup'));
	return made;
}

function limits(folder: string): { found: string[]; outOfReach: string; oomGroup: string } {
	const lines = execFileSync(program('judging'), ['limits', folder, '42'], { encoding: 'utf8' }).trim().split('\n');
	const last = (name: string): string => lines.find((line) => line.startsWith(name))?.split(' ')[1] ?? '';
	return { found: lines.slice(0, -2), outOfReach: last('out-of-reach'), oomGroup: last('oom-group') };
}

const NO_LIMIT = 2n ** 63n - 1n;
const V1_NO_LIMIT = '9223372036854771712\n';
const mount = (point: string, type: string, options: string, under = '/'): string =>
	`30 23 0:26 ${under} ${point} rw,nosuid shared:9 - ${type} ${type} rw,${options}\n`;

test('version 2: max and high of every level, what can be reclaimed, pids, oom.group', (t) => {
	const g = 'sys/fs/cgroup/a b/c';
	const { found, outOfReach, oomGroup } = limits(root(t, {
		'proc/42/cgroup': '0::/a b/c\n',
		'proc/self/mountinfo': mount('/sys/fs/cgroup', 'cgroup2', 'nsdelegate'),
		[`${g}/memory.max`]: '104857600\n', [`${g}/memory.high`]: 'max\n', [`${g}/memory.current`]: '62914560\n',
		[`${g}/memory.stat`]: 'anon 1\nfile_dirty 1048576\nfile_writeback 1048576\ninactive_file ' +
			'10485760\nactive_file 99\n',
		[`${g}/memory.oom.group`]: '0\n', [`${g}/pids.max`]: '100\n', [`${g}/pids.current`]: '7\n',
		'sys/fs/cgroup/a b/memory.max': 'max\n', 'sys/fs/cgroup/a b/memory.high': '209715200\n',
		'sys/fs/cgroup/a b/memory.current': '73400320\n',
		'sys/fs/cgroup/a b/memory.stat': 'inactive_file 0\n', 'sys/fs/cgroup/a b/memory.oom.group': '1\n',
		'sys/fs/cgroup/a b/pids.max': 'max\n', 'sys/fs/cgroup/a b/pids.current': '9\n',
		'sys/fs/cgroup/cgroup.procs': '',
	}));
	t.deepEqual(found, [
		`${MEMORY} /sys/fs/cgroup/a b/c/memory.max 102400 61440 8192 49152`,
		`${MEMORY} /sys/fs/cgroup/a b/c/memory.high ${NO_LIMIT} 0 0 ${NO_LIMIT}`,
		`${MEMORY} /sys/fs/cgroup/a b/memory.max ${NO_LIMIT} 0 0 ${NO_LIMIT}`,
		`${MEMORY} /sys/fs/cgroup/a b/memory.high 204800 71680 0 133120`,
		`${PROCESSES} /sys/fs/cgroup/a b/c/pids.max 100 7 0 93`,
		`${PROCESSES} /sys/fs/cgroup/a b/pids.max ${NO_LIMIT} 0 0 ${NO_LIMIT}`,
	]);
	t.deepEqual([outOfReach, oomGroup], ['0', '1']);
});

test('version 1, in a hybrid: memory and memory with swap of every level, in a mount whose options come in any ' +
	'order', (t) => {
	const g = 'sys/fs/cgroup/mem,ory/a';
	const { found, outOfReach } = limits(root(t, {
		'proc/42/cgroup': '4:cpu,memory:/a\n3:pids:/\n1:name=systemd:/memory\n0::/elsewhere\n',
		'proc/self/mountinfo': `${mount('/sys/fs/cgroup/unified', 'cgroup2', 'nsdelegate')}${mount('/sys/fs/cgroup/mem\\054ory', 'cgroup', 'cpu,memory')}`,
		[`${g}/memory.limit_in_bytes`]: '104857600\n', [`${g}/memory.usage_in_bytes`]: '62914560\n',
		[`${g}/memory.memsw.limit_in_bytes`]: '125829120\n', [`${g}/memory.memsw.usage_in_bytes`]: '115343360\n',
		[`${g}/memory.stat`]: 'inactive_file 7\ndirty 1\ntotal_dirty 1048576\ntotal_writeback ' +
			'0\ntotal_inactive_file 5242880\n',
		'sys/fs/cgroup/mem,ory/memory.limit_in_bytes': V1_NO_LIMIT,
		'sys/fs/cgroup/mem,ory/memory.usage_in_bytes': '73400320\n',
	}));
	t.deepEqual(found, [
		`${MEMORY} /sys/fs/cgroup/mem,ory/a/memory.limit_in_bytes 102400 61440 4096 45056`,
		`${MEMORY} /sys/fs/cgroup/mem,ory/a/memory.memsw.limit_in_bytes 122880 112640 4096 14336`,
		`${MEMORY} /sys/fs/cgroup/mem,ory/memory.limit_in_bytes ${NO_LIMIT} 0 0 ${NO_LIMIT}`,
	]);
	t.is(outOfReach, '0');
});

test('a container: the mount begins at its cgroup; and a cgroup that no mount shows', (t) => {
	const files = { 'sys/fs/cgroup/memory.max': '1048576\n', 'sys/fs/cgroup/memory.current': '0\n' };
	const inside = limits(root(t, {
		...files, 'proc/42/cgroup': '0::/docker/abc\n',
		'proc/self/mountinfo': mount('/sys/fs/cgroup', 'cgroup2', 'x', '/docker/abc'),
	}));
	t.deepEqual(
		inside, { found: [`${MEMORY} /sys/fs/cgroup/memory.max 1024 0 0 1024`], outOfReach: '0', oomGroup: '0' }
	);
	for (const [path, under] of [
		['/docker/abd', '/docker/abc'], ['/docker/abcd', '/docker/abc'], ['/../abd', '/'],
	] as const) {
		const other = limits(root(
			t,
			{
				...files, 'proc/42/cgroup': `0::${path}\n`,
				'proc/self/mountinfo': mount('/sys/fs/cgroup', 'cgroup2', 'x', under),
			}
		));
		t.deepEqual(other, { found: [], outOfReach: '1', oomGroup: '0' }, path);
	}
	t.is(
		limits(root(t, { 'proc/42/cgroup': '0::/\n', 'proc/self/mountinfo': '' })).outOfReach, '0',
		'a machine without cgroup file systems'
	);
});

test('the machine: what is available, and with overcommit 2 what may be committed; pools and cgroups of huge pages',
	(t) => {
	const { found } = limits(root(t, {
		'proc/42/cgroup': '5:hugetlb:/h\n0::/\n',
		'proc/self/mountinfo': mount('/sys/fs/cgroup/hugetlb', 'cgroup', 'hugetlb'),
		'proc/meminfo': 'MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    400 kB\nCommitLimit:     ' +
			'900 kB\nCommitted_AS:    850 kB\n',
		'proc/sys/vm/overcommit_memory': '2\n',
		'sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '5\n',
		'sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages': '2\n',
		'sys/fs/cgroup/hugetlb/h/hugetlb.2MB.limit_in_bytes': '8388608\n',
		'sys/fs/cgroup/hugetlb/h/hugetlb.2MB.usage_in_bytes': '4194304\n',
	}));
	t.deepEqual(found, [
		`${MACHINE} /proc/meminfo 1000 600 0 400`,
		`${COMMIT} /proc/meminfo 900 850 0 50`,
		`${HUGE} /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages 10240 4096 0 6144`,
		`${HUGE} /sys/fs/cgroup/hugetlb/h/hugetlb.2MB.limit_in_bytes 8192 4096 0 4096`,
	]);
});
