import { spawnSync } from 'node:child_process';
import test from 'ava';
import { experiment as cloneKill } from '../../../../bench/experiments/clone-kill.ts';
import { experiment as read } from '../../../../bench/experiments/read.ts';
import { ofOneMoment } from '../../../../mechanisms/shared/all.ts';
import { cutRounds } from '../../../../bench/environments/emulated.ts';
import { findComplaints, tailOf } from '../../../../bench/environments/guest/complaints.ts';
import { qemuArguments } from '../../../../bench/environments/guest/qemu.ts';
import { guestScript } from '../../../../bench/environments/guest/script.ts';
import { describeHere } from '../../../../bench/environments/here.ts';
import { Failure } from '../../../../common/errors.ts';
import type { Variant } from '../../../../bench/types.ts';

const WHAT_KERNELS_SAY = [
	['[    1.000000] BUG: KASAN: use-after-free in x', true],
	['[    1.000000] WARNING: possible circular locking dependency detected', true],
	['[    1.000000][   T12] WARNING: CPU: 1 PID: 2 at mm/mmap.c:3 y+0x1/0x2', true],
	['<4>[    2.0] INFO: rcu_sched detected stalls', true],
	['[    2.0] Oops: 0000 [#1] PREEMPT SMP', true],
	['[    2.0] general protection fault, probably for non-canonical address', true],
	['[    2.0] BUG: unable to handle page fault for address: 0', true],
	['[    2.0] kmemleak: 3 new suspected memory leaks', true],
	['[    2.0] Kernel panic - not syncing: x', true],
	['[    2.0] INFO: task cat:12 blocked for more than 120 seconds.', true],
	['[    0.0] Kernel command line: oops=panic panic=-1', false],
	['[    0.1] PCI: Using host bridge windows from ACPI; if necessary, use "pci=nocrs" and report a bug', false],
	['[    0.1] Spectre V2 : WARNING: Unprivileged eBPF is enabled', false],
	['[    0.1] kmemleak: Kernel memory leak detector initialized', false],
	['[    0.1] MDS CPU bug present and SMT on', false],
] as const;

test('complaints are found, and nothing that a sound kernel says', (t) => {
	for (const [line, complains] of WHAT_KERNELS_SAY) {
		t.is(findComplaints(`quiet\n${line}\r\n`).length, Number(complains), line);
	}
	t.deepEqual(findComplaints('[ 1.0] BUG: x\n[ 2.0] BUG: x\n'), ['BUG: x'], 'each once');
});

test('a console\'s tail has no control sequences', (t) => {
	t.is(tailOf('\x1bc\x1b[?7l\x1b[2Jone\r\n\r\ntwo\r\nthree', 2), '  two\n  three');
	t.is(tailOf(''), '  (nothing)');
});

test('the script runs exactly the words it is given, in its folder, with its environment alone', (t) => {
	const script = guestScript({
		command: [
			'sh', '-c', 'printf "%s|" "$@" "$ODD" "$LEFT" "$TMPDIR" "$PROCSNAP_SHARE" "$PWD"', 'sh', 'a b', '"\'$x', '',
		],
		cwd: '/usr', env: { PATH: process.env['PATH'], ODD: 'it\'s\n$HOME', TMPDIR: '/home/x' },
	});
	const { stdout } = spawnSync(
		'sh', ['-s'], { input: script, encoding: 'utf8', env: { ...process.env, LEFT: 'in' } }
	);
	t.is(stdout, 'a b|"\'$x||it\'s\n$HOME||\n'.replace('\n$HOME||\n', '\n$HOME|||/run/share|/usr|'));
	t.is(
		spawnSync(
			'sh', ['-s'], { input: guestScript({ command: ['true'], cwd: '/no such', env: {} }), encoding: 'utf8' }
		).status,
		126
	);
});

test('QEMU\'s arguments: commas in paths, the share, what counting takes', (t) => {
	const machine = {
		kernel: '/k/bzImage', cpus: 2, memoryMiB: 99, accelerator: 'tcg', countInstructions: false,
		console: '/a,b/console', control: '/a,b/control', share: undefined, append: '',
	} as const;
	const plain = qemuArguments(machine).join(' ');
	t.regex(plain, /path=\/a,,b\/control,security_model=none,multidevs=remap/);
	t.regex(plain, /path=\/,security_model=none,multidevs=remap,readonly=on/);
	t.regex(plain, /-accel tcg,thread=multi -cpu max,-erms,-fsrm -smp 2 -m 99 .*-no-reboot .*file:\/a,,b\/console/);
	t.notRegex(plain, /procsnap\.share|id=share|norandmaps/);
	t.regex(qemuArguments({ ...machine, share: '/s' }).join(' '), /procsnap\.share .*id=share,path=\/s,/);
	t.regex(
		qemuArguments({ ...machine, countInstructions: true }).join(' '),
		/thread=single -icount shift=0,sleep=off -cpu max,-erms,-fsrm .*norandmaps/
	);
	t.regex(qemuArguments({ ...machine, accelerator: 'kvm' }).join(' '), /-accel kvm -cpu host /);
});

test('what the host tells of the guest is in the manifest, and outweighs what is seen', (t) => {
	const guest = {
		accelerator: 'tcg', reason: null, qemu: '7', kernel: 'k', cpus: 1, memoryMiB: 1, countInstructions: false,
	};
	const here = describeHere({ PROCSNAP_GUEST: JSON.stringify({ id: 'x', outer: 'emulated', guest }) });
	t.is(here.id, 'x');
	t.like(here.environment, { name: 'guest', label: 'emulated', guest });
	t.like(describeHere({}), { id: undefined, environment: { name: 'host', guest: null } });
	t.throws(() => describeHere({ PROCSNAP_GUEST: 'yes' }), { instanceOf: Failure, message: /PROCSNAP_GUEST/ });
});

const variant = (rounds: number, hints: Partial<Variant> = {}): Variant =>
	({ id: 'x', factors: {}, rounds, warmupRounds: 3, blockRounds: 100, ...hints });

test('rounds are cut where instructions are emulated, but never below what a median needs', (t) => {
	t.like(cutRounds([variant(1000)], false)[0], { rounds: 40, blockRounds: 40, warmupRounds: 1, budgetMs: 600 });
	t.like(cutRounds([variant(1000, { differsByTarget: true })], false)[0], { rounds: 40, blockRounds: 20 });
	t.is(cutRounds([variant(30)], false)[0]?.rounds, 10);
	t.is(cutRounds([variant(2)], false)[0]?.rounds, 2);
	t.deepEqual(
		cutRounds([variant(9, { id: 'slow', tooSlowEmulated: true }), variant(9, { tooSlowEmulated: false })], false)
			.map(({ id }) => id),
		['x']
	);
	const [counted] = cutRounds([variant(1000)], true);
	t.is(counted?.rounds, 11);
	t.is(counted?.budgetMs, undefined, 'a clock would make the rounds differ between runs');
});

test('where instructions are emulated neither stop copies more than 64 MiB, nor peek reads more than 64 KiB', (t) => {
	const left = [cloneKill, read].flatMap(({ variants }) => cutRounds(variants('paper', ofOneMoment()), false));
	const largest = (name: string, size: string): number =>
		Math.max(...left.filter(({ factors }) => factors['mechanism'] === name || factors['way'] === name)
			.map(({ factors }) => Number(factors[size] ?? 0)));
	t.is(largest('stop', 'rssMiB'), 28);
	t.is(largest('inject', 'rssMiB'), 1024);
	t.is(largest('peek', 'sizeKiB'), 64);
	t.true(largest('proc-mem', 'sizeKiB') > 1024);
});
