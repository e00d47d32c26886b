import test from 'ava';
import { CHECKS } from '../../../bench/doctor/checks.ts';
import { findingLines, verdictLines } from '../../../bench/doctor/show.ts';
import type { Finding, Machine } from '../../../bench/doctor/types.ts';
import { EXIT_CODES, examine, verdictOf } from '../../../bench/doctor/verdict.ts';
import { cloudVm, emulated, laptop, tunedBareMetal } from './machines.ts';

const judge = (machine: Machine) => {
	const findings = examine(machine, CHECKS);
	const named = (state: Finding['state']) =>
		findings.filter((each) => each.state === state).map(({ name }) => name).sort();
	return { findings, named, verdict: verdictOf(findings) };
};
const fitness = (machine: Machine): string[] => judge(machine).verdict.fitness.map(({ fit }) => fit);

test('bare metal that is tuned is fit for all', (t) => {
	const { named, verdict } = judge(tunedBareMetal());
	t.deepEqual([named('not as wanted'), named('unknown')], [[], []]);
	t.deepEqual(fitness(tunedBareMetal()), ['yes', 'yes', 'yes', 'yes']);
	t.is(verdict.exitCode, 0);
});

test('a cloud VM is fit for counts and ratios; what its hypervisor does not tell is unknown', (t) => {
	const { named, verdict } = judge(cloudVm());
	t.deepEqual(fitness(cloudVm()), ['yes', 'yes', 'no', 'no']);
	t.deepEqual(named('not as wanted'), ['balloon', 'fresh-page', 'gaps', 'isolated', 'virtualisation']);
	t.deepEqual(named('unknown'), ['governor', 'idle', 'preemption', 'smt', 'steal', 'turbo']);
	t.is(verdict.exitCode, EXIT_CODES.times);
});

test('an emulated one is fit for counts alone, and is told to count instructions', (t) => {
	t.deepEqual(fitness(emulated()), ['yes', 'no', 'no', 'no']);
	t.is(judge(emulated()).verdict.exitCode, EXIT_CODES.ratios);
	t.regex(judge(emulated()).findings.find(({ name }) => name === 'virtualisation')!.change, /--count-instructions/);
});

test('a laptop is told each of its knobs, and that its pages are merged and huge: not even counts', (t) => {
	const { named, findings, verdict } = judge(laptop());
	t.deepEqual(named('not as wanted'), [
		'cpu-max', 'governor', 'idle', 'irq', 'isolated', 'ksm', 'ptrace-scope', 'rt-throttling', 'smt', 'swap', 'thp',
		'turbo', 'watchdogs',
	]);
	t.deepEqual(named('unknown'), ['preemption']);
	t.regex(findings.find(({ name }) => name === 'governor')!.found, /performance, powersave/);
	t.regex(findings.find(({ name }) => name === 'cpu-max')!.found, /^\/sys\/fs\/cgroup\/a: 50000 100000$/);
	t.is(verdict.exitCode, EXIT_CODES.counts);
});

test('a file that cannot be read is unknown with its reason, never a pass', (t) => {
	const hidden = { why: 'permission denied', absent: false };
	for (const [name, path] of [
		['governor', '/sys/devices/system/cpu/cpufreq/policy0/scaling_governor'], ['swap', '/proc/swaps'],
		['ksm', '/sys/kernel/mm/ksm/run'], ['damon', '/sys/kernel/mm/damon/admin/kdamonds/0/state'],
		['watchdogs', '/proc/sys/kernel/watchdog'], ['cpu-max', '/proc/self/cgroup'], ['steal', '/proc/stat'],
		['pressure', '/proc/pressure/io'], ['numa-balancing', '/proc/sys/kernel/numa_balancing'],
		['thp', '/sys/kernel/mm/transparent_hugepage/enabled'], ['isolated', '/sys/devices/system/cpu/isolated'],
		['turbo', '/sys/devices/system/cpu/intel_pstate/no_turbo'], 
		['idle', '/sys/devices/system/cpu/cpu0/cpuidle/state2/disable'],
		['watchdogs', '/proc/sys/kernel/nmi_watchdog'], ['cpu-max', '/sys/fs/cgroup/user.slice/cpu.max'],
		['mitigations', '/sys/devices/system/cpu/vulnerabilities/spectre_v1'], ['cpu', '/proc/cpuinfo'],
		['balloon', '/sys/bus/virtio/devices/virtio0/device'],
	] as const) {
		const finding = judge(tunedBareMetal({ [path]: hidden })).findings.find((each) => each.name === name)!;
		t.is(finding.state, 'unknown', `${name}, ${path}: ${finding.found}`);
		t.regex(finding.found, /permission denied/, name);
	}
});

test('what could not be measured is unknown, with its reason, and the machine is not known to be fit', (t) => {
	const why = 'it was ended';
	const machine = { ...tunedBareMetal(), floors: { gaps: { why }, firstTouch: { why }, small: { why } } };
	const { named, verdict } = judge(machine);
	t.deepEqual(named('unknown'), ['call', 'copy', 'fault', 'fresh-page', 'gaps', 'timer-resolution', 'wake']);
	t.deepEqual(verdict.fitness.map(({ fit }) => fit), ['yes', 'yes', 'unknown', 'unknown']);
	t.is(verdict.exitCode, EXIT_CODES.times);
});

test('heavy gaps leave no ratio, a single one leaves no worst case', (t) => {
	const gaps = (change: object) => {
		const machine = tunedBareMetal(), { gaps: all } = machine.floors;
		const value = 'value' in all ? all.value.map((each) => ({ ...each, ...change })) : [];
		return fitness({ ...machine, floors: { ...machine.floors, gaps: { value } } });
	};
	t.deepEqual(gaps({ lostNs: 3e8 }), ['yes', 'no', 'no', 'no']);
	t.deepEqual(gaps({ lostNs: 3e7 }), ['yes', 'yes', 'no', 'no']);
	t.deepEqual(gaps({ largestNs: 60_000 }), ['yes', 'yes', 'yes', 'no']);
});

test('the verdict comes first, and whatever is not as wanted has all that is to be known of it', (t) => {
	const { findings, verdict } = judge(laptop());
	const lines = [...verdictLines(verdict, 'TUNED'), ...findingLines(findings)];
	t.regex(lines[1]!, /^ {2}counts +NO: thp, ksm, ptrace-scope$/);
	t.true(lines.indexOf('TUNED') < lines.findIndex((line) => line.startsWith('Not as wanted')));
	const wrong = findings.filter(({ state }) => state === 'not as wanted');
	for (const { title, name, found, wanted, why, change } of wrong) {
		const at = lines.indexOf(`  ${title} (${name})`);
		t.deepEqual(lines.slice(at + 1, at + 5).map((line) => line.slice(12)), [found, wanted, why, change]);
	}
});

test('names are unique, and each check says why and how', (t) => {
	t.is(new Set(CHECKS.map(({ name }) => name)).size, CHECKS.length);
	for (const { name, wanted, why, change } of CHECKS)
		t.true([wanted, why, change].every((text) => text !== ''), name);
});
