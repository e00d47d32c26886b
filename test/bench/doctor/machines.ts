/** Four machines, as their files and probes tell of them. */
import type { Found, Machine } from '../../../bench/doctor/types.ts';
import type { Floors } from '../../../bench/targets/probes.ts';

const CPU = '/sys/devices/system/cpu';

const QUIET: Record<string, string> = {
	'/proc/cpuinfo': [
		'processor\t: 0', 'cpu family\t: 6', 'model\t\t: 143', 'model name\t: Xeon', 'stepping\t: 8',
		'microcode\t: 0x2b000590', 'flags\t\t: fpu vmx',
	].join('\n'),
	[`${CPU}/smt/active`]: '0', [`${CPU}/cpu0/topology/thread_siblings_list`]: '0', [`${CPU}/isolated`]: '0-1',
	[`${CPU}/nohz_full`]: '0-1', [`${CPU}/cpufreq/policy0/scaling_governor`]: 'performance',
	[`${CPU}/cpufreq/policy1/scaling_governor`]: 'performance', [`${CPU}/intel_pstate/no_turbo`]: '1',
	[`${CPU}/cpuidle/current_driver`]: 'intel_idle', [`${CPU}/cpu0/cpuidle/state1/latency`]: '2',
	[`${CPU}/cpu0/cpuidle/state1/disable`]: '0', [`${CPU}/cpu0/cpuidle/state2/latency`]: '170',
	[`${CPU}/cpu0/cpuidle/state2/disable`]: '1', [`${CPU}/vulnerabilities/spectre_v1`]: 'Mitigation: usercopy',
	'/proc/version': 'Linux version 6.12 #1 SMP PREEMPT_DYNAMIC',
	'/sys/kernel/debug/sched/preempt': 'none voluntary (full) lazy',
	'/sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never', '/proc/swaps': 'Filename\tType',
	'/sys/kernel/mm/ksm/run': '0', '/sys/kernel/mm/damon/admin/kdamonds/0/state': 'off',
	'/proc/sys/kernel/numa_balancing': '0', '/proc/sys/kernel/randomize_va_space': '2',
	'/proc/sys/kernel/yama/ptrace_scope': '0', '/proc/sys/kernel/watchdog': '0',
	'/proc/sys/kernel/nmi_watchdog': '0', '/proc/sys/kernel/soft_watchdog': '0',
	'/proc/sys/kernel/sched_rt_runtime_us': '-1', '/proc/self/timerslack_ns': '50000',
	'/sys/devices/system/clocksource/clocksource0/current_clocksource': 'tsc',
	'/proc/irq/1/smp_affinity_list': '2-3', '/proc/irq/1/effective_affinity_list': '2',
	'/proc/stat': 'cpu  100 0 50 9000 1 0 2 0 0 0\ncpu0 1', '/proc/pressure/cpu': 'some avg10=0.10 avg60=1',
	'/proc/pressure/memory': 'some avg10=0.00 avg60=0', '/proc/pressure/io': 'some avg10=0.00 avg60=0',
	'/proc/self/cgroup': '0::/user.slice', '/sys/fs/cgroup/user.slice/cgroup.procs': '1',
	'/sys/fs/cgroup/user.slice/cpu.max': 'max 100000',
};

const FLOORS = {
	gaps: { value: [0, 1].map((cpu) => ({
		cpu, fifo: true, spunNs: 3e9, count: 2, lostNs: 40_000, over100Us: 0, over1Ms: 0, largestNs: 22_000,
		preempted: 0,
	})) },
	firstTouch: { value: {
		bytes: 256 << 20, freshMeanNs: 520, freshMedianNs: 500, againMeanNs: 510, againMedianNs: 500,
	} },
	small: { value: {
		callNs: 80, copyNs: 300, wakeNs: { median: 4000, p99: 7000, largest: 9000, n: 500 }, timerResolutionNs: 1,
	} },
} satisfies Floors;

type Files = Record<string, string | Found | null>;

/** `null`: there is no such file. */
function machine(files: Files, rest: Partial<Omit<Machine, 'file' | 'paths'>> = {}): Machine {
	const all = new Map(Object.entries({ ...QUIET, ...files }).filter(([, found]) => found !== null));
	return {
		label: 'bare-metal', evidence: [], cpus: [0, 1], floors: FLOORS, ...rest,
		file: (path) => {
			const found = all.get(path) ?? { why: 'there is no such file', absent: true };
			return typeof found === 'string' ? { text: found } : found;
		},
		paths: (pattern) => {
			const matches = new RegExp(`^${pattern.replaceAll('*', '[^/]*')}(?=/|$)`);
			return [...new Set([...all.keys()].flatMap((path) => matches.exec(path) ?? []))];
		},
	};
}

export const tunedBareMetal = (files: Files = {}): Machine => machine(files);

const noFrequency = Object.fromEntries(Object.keys(QUIET).filter((path) => /cpufreq|pstate|state\d/.test(path))
	.map((path) => [path, null]));

export const cloudVm = (): Machine => machine({
	...noFrequency, [`${CPU}/isolated`]: '', '/sys/kernel/debug/sched/preempt': null,
	'/sys/bus/virtio/devices/virtio0/device': '0x0005', '/sys/bus/virtio/devices/virtio0/features': '0110010100',
}, {
	label: 'vm', floors: {
		...FLOORS,
		gaps: { value: FLOORS.gaps.value.map((each) => ({ ...each, lostNs: 30e6, largestNs: 11e6, over1Ms: 2 })) },
		firstTouch: { value: { ...FLOORS.firstTouch.value, freshMeanNs: 16_000 } },
	},
});

export const emulated = (): Machine => machine(noFrequency, { label: 'emulated' });

export const laptop = (): Machine => machine({
	[`${CPU}/smt/active`]: '1', [`${CPU}/isolated`]: '', [`${CPU}/cpufreq/policy1/scaling_governor`]: 'powersave',
	[`${CPU}/intel_pstate/no_turbo`]: '0', [`${CPU}/cpu0/cpuidle/state2/disable`]: '0',
	'/sys/kernel/mm/transparent_hugepage/enabled': '[always] madvise never', '/sys/kernel/mm/ksm/run': '1',
	'/proc/swaps': 'Filename\tType\n/dev/sda2 partition', '/proc/sys/kernel/nmi_watchdog': '1',
	'/proc/sys/kernel/sched_rt_runtime_us': '950000', '/proc/irq/1/effective_affinity_list': '0',
	'/proc/self/cgroup': '0::/a/b', '/sys/fs/cgroup/a/cgroup.procs': '', '/sys/fs/cgroup/a/cpu.max': '50000 100000',
	'/sys/kernel/debug/sched/preempt': { why: 'permission denied', absent: false },
	'/proc/sys/kernel/yama/ptrace_scope': '1',
});
