/** How the kernel schedules, guards and watches. */
import { parseCpuList } from '../../../common/cpu-list.ts';
import { asWanted, chosen, from, notAsWanted, ofFile, textAt, told, unknown } from '../judging.ts';
import type { Check, Judged, Machine } from '../types.ts';

const KERNEL = '/proc/sys/kernel';
const PREEMPT = '/sys/kernel/debug/sched/preempt';

function preemption(machine: Machine): Judged {
	const version = textAt(machine, '/proc/version') ?? '';
	if (version.includes('PREEMPT_RT')) return asWanted('real time (PREEMPT_RT)');
	const shown = machine.file(PREEMPT), model = 'text' in shown ? shown.text : null;
	const named = model === null
		? /(?:^|\s)preempt=(\w+)/.exec(textAt(machine, '/proc/cmdline') ?? '')?.[1]
		: chosen(model);
	if (named !== undefined) return (['full', 'lazy'].includes(named) ? asWanted : notAsWanted)(named);
	if (version.includes('PREEMPT_DYNAMIC'))
		return unknown(`chosen at boot, and ${PREEMPT} cannot be read (as root, with debugfs mounted)`);
	if (version === '') return unknown('/proc/version cannot be read');
	return version.includes('PREEMPT') ? asWanted('full') : notAsWanted('none or voluntary');
}

function mitigations(machine: Machine): Judged {
	const paths = machine.paths('/sys/devices/system/cpu/vulnerabilities/*');
	if (paths.length === 0) return unknown('/sys/devices/system/cpu/vulnerabilities is not there');
	const active = paths.filter((path) => /Mitigation/.test(textAt(machine, path) ?? ''))
		.map((path) => path.split('/').at(-1));
	return told(active.length === 0 ? 'none is active' : `active against ${active.join(', ')}`);
}

const LAYOUTS: Record<string, string> = { 0: 'off', 1: 'on, but for the heap', 2: 'on' };
const layout = (machine: Machine): Judged =>
	ofFile(machine, `${KERNEL}/randomize_va_space`, (text) => told(LAYOUTS[text] ?? text));

function ptraceScope(machine: Machine): Judged {
	return ofFile(machine, `${KERNEL}/yama/ptrace_scope`, (text) => {
		if (text === '0') return asWanted('0: any process of the same user');
		return root(machine) && text !== '3'
			? asWanted(`${text}, and this is root`)
			: notAsWanted(text);
	}, asWanted('none: this kernel has no Yama'));
}

const root = (machine: Machine): boolean =>
	/^Uid:\s*\d+\s+0\s/m.test(textAt(machine, '/proc/self/status') ?? '');

function watchdogs(machine: Machine): Judged {
	const on = ['nmi_watchdog', 'soft_watchdog'].filter((name) => textAt(machine, `${KERNEL}/${name}`) === '1');
	return ofFile(
		machine, `${KERNEL}/watchdog`, () => (on.length === 0 ? asWanted('off') : notAsWanted(`on: ${on.join(', ')}`)),
		asWanted('none: this kernel has none')
	);
}

function throttling(machine: Machine): Judged {
	return ofFile(machine, `${KERNEL}/sched_rt_runtime_us`, (text) =>
		(text === '-1' ? asWanted('off') : notAsWanted(`real-time tasks get ${text} µs of a period`)));
}

const slack = (machine: Machine): Judged => ofFile(machine, '/proc/self/timerslack_ns', (text) =>
	told(`${text} ns, of what is started without SCHED_FIFO`));

function resolution({ floors: { small } }: Machine): Judged {
	if ('why' in small) return unknown(small.why);
	const ns = small.value.timerResolutionNs;
	return (ns <= 1000 ? asWanted : notAsWanted)(`${ns} ns`);
}

function clockSource(machine: Machine): Judged {
	return ofFile(machine, '/sys/devices/system/clocksource/clocksource0/current_clocksource', (text) =>
		(['tsc', 'kvm-clock', 'hyperv_clocksource_tsc_page'].includes(text) ? asWanted : notAsWanted)(text));
}

function interrupts(machine: Machine): Judged {
	const [target = 0] = machine.cpus;
	const lists = machine.paths('/proc/irq/*/smp_affinity_list');
	if (lists.length === 0) return unknown('/proc/irq is not there');
	const effective = (path: string): string | null =>
		textAt(machine, path.replace(/smp_affinity_list$/, 'effective_affinity_list')) ??
			textAt(machine, path);
	const cpus = lists.map(effective);
	if (cpus.includes(null)) return unknown('where interrupts go cannot be read: run it as root');
	const there = cpus.filter((list) => parseCpuList(list ?? '').includes(target)).length;
	const found = `${there} of ${lists.length} go to CPU ${target}`;
	if (machine.cpus.length < 2) return notAsWanted(`${found}, the only one`, { change: 'a machine with two CPUs' });
	return there === 0 ? asWanted(found) : notAsWanted(found);
}

export const kernel: Check[] = [
	{
		name: 'preemption', title: 'Preemption', wanted: 'full, lazy or real time',
		why: 'otherwise a system call of somebody else keeps a woken task waiting until it is over',
		change: 'boot with preempt=full', spoils: ['worst cases'], judge: preemption,
	},
	{
		name: 'mitigations', title: 'Mitigations', wanted: 'known',
		why: 'they are in each system call, fault and switch: figures of machines that differ in them are others',
		change: 'boot with mitigations=off, on a machine that runs nobody else\'s code', spoils: [], judge: mitigations,
	},
	{
		name: 'aslr', title: 'Address randomisation', wanted: 'known',
		why: 'each target has a layout of its own, and page tables with it: on samples layouts, off measures one',
		change: 'leave it on: blocks have targets of their own', spoils: [], judge: layout,
	},
	{
		name: 'ptrace-scope', title: 'Who may trace', wanted: '0, or root',
		why: 'without it nothing can be measured', change: '`sysctl kernel.yama.ptrace_scope=0`, or run as root',
		spoils: from('counts'), judge: ptraceScope,
	},
	{
		name: 'watchdogs', title: 'Watchdogs', wanted: 'off',
		why: 'each CPU is interrupted for them, and the NMI one takes a counter',
		change: '`npm run tune -- apply --knob watchdogs`', spoils: ['worst cases'], judge: watchdogs,
	},
	{
		name: 'rt-throttling', title: 'Real-time throttling', wanted: 'off',
		why: 'a target that runs in real time without rest is stopped for 50 ms of a second',
		change: '`npm run tune -- apply --knob rt-throttling`', spoils: ['worst cases'], judge: throttling,
	},
	{
		name: 'timer-slack', title: 'Timer slack', wanted: 'known',
		why: 'so much later a sleep may end (not under SCHED_FIFO)',
		change: 'none is needed: programs that are timed set their own', spoils: [], judge: slack,
	},
	{
		name: 'timer-resolution', title: 'Resolution of timers', wanted: '1 µs at most',
		why: 'otherwise a sleep ends with a tick, milliseconds later',
		change: 'boot with highres=on', spoils: from('times'),
		judge: resolution,
	},
	{
		name: 'clock-source', title: 'Clock source', wanted: 'tsc, or one that is read without a system call',
		why: 'each reading of another takes a microsecond, and is in each figure',
		change: 'boot with clocksource=tsc tsc=reliable, if the processor\'s is',
		spoils: from('times'), judge: clockSource,
	},
	{
		name: 'irq', title: 'Interrupts', wanted: 'none to the target\'s CPU',
		why: 'they come between, and nobody accounts for them',
		change: '`npm run tune -- apply --knob irq` (and no irqbalance)', spoils: ['worst cases'], judge: interrupts,
	},
];
