/** The command, on the files of a machine that is none; and one knob of this one. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { discoverKnobs } from '../../../bench/commands/tune.ts';
import { STATE } from '../../../bench/tune/state.ts';
import { treeAt } from '../../../bench/tune/tree.ts';
import { apply, restore } from '../../../bench/tune/tune.ts';
import type { State } from '../../../bench/tune/types.ts';
import { NODE } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { run } from '../e2e/procsnap.ts';
import { aMachine } from './machine.ts';

const THROTTLING = '/proc/sys/kernel/sched_rt_runtime_us';
const tune = (root: string, ...args: string[]) => run(['tune', ...args, '--root', root]);

test('apply sets each knob, status and exit code say so, restore puts all back and leaves nothing', async (t) => {
	const { root, settings } = aMachine(t), before = settings();
	t.is((await tune(root, 'status')).code, 0);
	const { code, output } = await tune(root, 'apply');
	t.is(code, 0, output);
	const tuned = settings();
	t.like(tuned, {
		'/sys/devices/system/cpu/cpufreq/policy0/scaling_governor': 'performance',
		'/sys/devices/system/cpu/cpufreq/policy1/scaling_governor': 'performance',
		'/sys/devices/system/cpu/cpufreq/boost': '0', '/sys/devices/system/cpu/cpu0/cpuidle/state1/disable': '0',
		'/sys/devices/system/cpu/cpu0/cpuidle/state2/disable': '1', '/sys/kernel/mm/ksm/run': '0',
		'/sys/kernel/mm/transparent_hugepage/enabled': 'madvise', '/proc/sys/kernel/numa_balancing': '0',
		'/proc/sys/kernel/soft_watchdog': '0', '/proc/sys/kernel/watchdog': '1', [THROTTLING]: '-1',
		'/proc/irq/7/smp_affinity_list': '1,2', '/proc/irq/12/smp_affinity_list': '1',
	});
	const status = await tune(root, 'status');
	t.is(status.code, 3);
	t.regex(status.output, /^governor +set by us since 20/m);
	const restored = await tune(root, 'restore');
	t.is(restored.code, 0, restored.output);
	t.deepEqual(settings(), before);
	t.regex((await tune(root, 'restore')).output, /nothing of ours is set/);
});

test('applied twice, with a knob more the second time: the first state is what is restored', async (t) => {
	const { root, settings, set } = aMachine(t), before = settings();
	await tune(root, 'apply', '--knob', 'rt-throttling');
	await tune(root, 'apply');
	set(THROTTLING, '500000');
	await tune(root, 'apply');
	t.is(settings()[THROTTLING], '-1');
	const { changes } = JSON.parse(readFileSync(join(root, STATE), 'utf8')) as State;
	t.deepEqual(changes.filter(({ path }) => path === THROTTLING).map((each) => each.before), ['950000']);
	t.is((await tune(root, 'restore')).code, 0);
	t.deepEqual(settings(), before);
});

test('killed at each step of apply, and of restore: restore puts all back', async (t) => {
	const { root, settings } = aMachine(t), before = settings();
	const script = fileURLToPath(new URL('./killed.ts', import.meta.url));
	const killed = (action: string, step: number): string | null => {
		const [node, ...flags] = NODE;
		const { signal, stdout, stderr } =
			spawnSync(node, [...flags, script, root, action, String(step)], { encoding: 'utf8' });
		t.is(stderr, '');
		return signal === 'SIGKILL' ? null : stdout;
	};
	const tree = treeAt(root), knobs = await discoverKnobs();
	let step = 0;
	for (; killed('apply', step) === null; step++) {
		if (step % 3 === 0) apply(tree, knobs);	// and applied again in between
		if (step % 5 === 0) t.is((await tune(root, 'restore')).code, 0);
		else restore(tree);
		t.deepEqual(settings(), before, `apply, killed before step ${step}`);
	}
	t.true(step > 10, `${step} steps`);
	for (step = 0; killed('restore', step) === null; step++) {
		restore(tree);
		t.deepEqual(settings(), before, `restore, killed before step ${step}`);
		apply(tree, knobs);
	}
	t.true(step > 10, `${step} steps`);
	t.deepEqual(settings(), before);
});

test('a knob that may not be written: named, all others restored, nothing written down', async (t) => {
	const { root, settings } = aMachine(t);
	rmSync(join(root, THROTTLING));
	symlinkSync('/proc/version', join(root, THROTTLING));	// can be read; nobody can write to it
	const before = settings();
	await tune(root, 'apply', '--knob', 'ksm');
	const { code, output } = await tune(root, 'apply');
	t.is(code, 1);
	t.regex(output, /the knob rt-throttling cannot be set: .*sched_rt_runtime_us.*; all is as it was before/);
	t.deepEqual(settings(), before);
	t.false(existsSync(join(root, STATE)));
});

test('an interrupt that the kernel does not let move stays, and the others move', async (t) => {
	const { root, settings } = aMachine(t);
	rmSync(join(root, '/proc/irq/12/smp_affinity_list'));
	symlinkSync('/sys/devices/system/cpu/online', join(root, '/proc/irq/12/smp_affinity_list'));	// as above
	const before = settings();
	const { code, output } = await tune(root, 'apply', '--knob', 'irq');
	t.is(code, 0, output);
	t.regex(output, /^irq: \/proc\/irq\/12\/smp_affinity_list: 0.*, which the kernel does not let change$/m);
	t.is(settings()['/proc/irq/7/smp_affinity_list'], '1,2');
	t.is((await tune(root, 'restore')).code, 0);
	t.deepEqual(settings(), before);
});

test('what somebody else has changed meanwhile is said, and put back all the same', async (t) => {
	const { root, settings, set } = aMachine(t), before = settings();
	await tune(root, 'apply');
	set(THROTTLING, '500000');
	const { code, output } = await tune(root, 'restore');
	t.is(code, 0);
	t.regex(output, /sched_rt_runtime_us was 500000, not -1: somebody else has changed it/);
	t.deepEqual(settings(), before);
});

test('a state of an earlier boot is none: nothing of it is written', async (t) => {
	const { root, settings, set } = aMachine(t);
	await tune(root, 'apply', '--knob', 'ksm');
	set('proc/sys/kernel/random/boot_id', 'another-boot');
	set('sys/kernel/mm/ksm/run', '2');
	t.regex((await tune(root, 'restore')).output, /nothing of ours is set/);
	t.is(settings()['/sys/kernel/mm/ksm/run'], '2');
	t.false(existsSync(join(root, STATE)));
});

test('a corrupt state, or one of files elsewhere, is an error that names it, and nothing is changed', async (t) => {
	const { root, settings, set } = aMachine(t);
	await tune(root, 'apply', '--knob', 'ksm');
	const text = readFileSync(join(root, STATE), 'utf8');
	const elsewhere = [text.replace('/sys/kernel', '/sys/../run/kernel'), text.replace('/sys/', '/run/')];
	for (const state of [text.slice(0, 40), ...elsewhere]) {
		set(STATE, state);
		const before = settings();
		for (const action of ['apply', 'restore', 'status']) {
			const { code, output } = await tune(root, action);
			t.is(code, 1);
			t.regex(output, /\/run\/procsnap-tune\.json: is corrupt/);
		}
		t.deepEqual(settings(), before);
	}
});

test('wrong usage: an unknown action, knob, and a knob to restore', async (t) => {
	for (const args of [[], ['tweak'], ['apply', '--knob', 'volume'], ['restore', '--knob', 'ksm']])
		t.is((await run(['tune', ...args])).code, 2, args.join(' '));
});

const watchdog = '/proc/sys/kernel/soft_watchdog';
const noWatchdog = process.getuid?.() !== 0 ? 'it takes root'
	: !existsSync(watchdog) || readFileSync(watchdog, 'utf8').trim() !== '1' ? 'no watchdog is on here'
	: existsSync(STATE) ? 'this machine is tuned'
	: null;

testUnless(noWatchdog)('a knob of this machine: set, told by doctor, restored', async (t) => {
	t.teardown(() => run(['tune', 'restore']).then(() => undefined));
	const { code, output } = await run(['tune', 'apply', '--knob', 'watchdogs']);
	t.is(code, 0, output);
	t.is(readFileSync(watchdog, 'utf8').trim(), '0');
	t.regex((await run(['doctor'])).output, /^TUNED by procsnap since .* \(watchdogs\): npm run tune -- restore$/m);
	t.is((await run(['tune', 'restore'])).code, 0);
	t.is(readFileSync(watchdog, 'utf8').trim(), '1');
	t.false(existsSync(STATE));
});
