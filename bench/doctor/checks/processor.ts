/** Which processor, and what it does by itself: siblings, clocks, idle states. */
import { parseCpuList } from '../../../common/cpu-list.ts';
import { asWanted, from, notAsWanted, ofFile, ofFiles, textAt, told, unknown } from '../judging.ts';
import type { Check, Judged, Machine } from '../types.ts';

const CPU = '/sys/devices/system/cpu';

/** Waking from a deeper state takes longer than a short pause lasts. */
const DEEP_US = 10;

const HYPERVISORS = 'the hypervisor or the firmware decides, and says nothing here';

function identity(machine: Machine): Judged {
	return ofFile(machine, '/proc/cpuinfo', (text) => {
		const [first = ''] = text.split('\n\n');
		const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(first)?.[1];
		const [model, family, number, stepping, microcode] =
			['model name', 'cpu family', 'model', 'stepping', 'microcode'].map((name) => field(name) ?? 'not told');
		const hypervisors = /^flags\s*:.*\bhypervisor\b/m.test(first) ? ' (as the hypervisor tells it)' : '';
		return told(
			`${model}, family ${family}, model ${number}, stepping ${stepping}, microcode ${microcode}${hypervisors}`
		);
	});
}

function smt(machine: Machine): Judged {
	return ofFile(machine, `${CPU}/smt/active`, (active) => {
		const siblings = [...new Set(machine.paths(`${CPU}/cpu*/topology/thread_siblings_list`)
			.map((path) => textAt(machine, path) ?? '?'))];
		if (active === '1') return notAsWanted(`on: siblings ${siblings.join(' ')}`);
		if (machine.label !== 'bare-metal')
			return unknown('off in here, but whether a CPU of here is half of one outside only its hypervisor knows');
		return asWanted('off');
	});
}

function isolated(machine: Machine): Judged {
	return ofFile(machine, `${CPU}/isolated`, (text) => {
		const cpus = parseCpuList(text), [target] = machine.cpus;
		const ticks = textAt(machine, `${CPU}/nohz_full`);
		const found = text === '' ? 'none' : `${text}${ticks === null || ticks === '' ? '' : `, no ticks on ${ticks}`}`;
		return target !== undefined && cpus.includes(target) ? asWanted(found) : notAsWanted(found);
	});
}

const governor = (machine: Machine): Judged => ofFiles(
	machine, `${CPU}/cpufreq/policy*/scaling_governor`,
	(texts) => (texts.join() === 'performance' ? asWanted : notAsWanted)(texts.join(', ')),
	unknown(`no scaling_governor: ${HYPERVISORS}`)
);

function turbo(machine: Machine): Judged {
	const intel = textAt(machine, `${CPU}/intel_pstate/no_turbo`);
	if (intel !== null) return intel === '1' ? asWanted('off') : notAsWanted('on');
	return ofFile(
		machine, `${CPU}/cpufreq/boost`, (text) => (text === '0' ? asWanted('off') : notAsWanted('on')),
		unknown(`neither intel_pstate/no_turbo nor cpufreq/boost: ${HYPERVISORS}`)
	);
}

function idle(machine: Machine): Judged {
	const driver = textAt(machine, `${CPU}/cpuidle/current_driver`) ?? 'none';
	const latencies = machine.paths(`${CPU}/cpu0/cpuidle/state*/latency`);
	const on = latencies.filter((path) => textAt(machine, path.replace(/latency$/, 'disable')) !== '1');
	const deepest = Math.max(0, ...on.map((path) => Number(textAt(machine, path) ?? Number.NaN)));
	if (Number.isNaN(deepest)) return unknown('the latencies of idle states cannot be read');
	if (latencies.length === 0) {
		return machine.label === 'bare-metal'
			? unknown(`no idle states are told (driver ${driver})`)
			: unknown(`driver ${driver}, without states: what a CPU does that has nothing to do, ${HYPERVISORS}`);
	}
	const found = `driver ${driver}, the deepest state in use takes ${deepest} µs to leave`;
	if (deepest > DEEP_US) return notAsWanted(found);
	return machine.label === 'bare-metal' ? asWanted(found) : unknown(`${found}; below, ${HYPERVISORS}`);
}

export const processor: Check[] = [
	{
		name: 'cpu', title: 'Processor', wanted: 'known',
		why: 'a model\'s name alone is not a processor: figures of other steppings or microcode are others',
		change: 'it cannot be changed; compare runs of the same one', spoils: [], judge: identity,
	},
	{
		name: 'smt', title: 'Simultaneous multithreading', wanted: 'off',
		why: 'what runs on the sibling takes half of the core, and no figure shows it',
		change: 'in the firmware, or `echo off > /sys/devices/system/cpu/smt/control`',
		spoils: from('times'), judge: smt,
	},
	{
		name: 'isolated', title: 'Isolated CPUs', wanted: 'the target\'s CPU, the first that may be used',
		why: 'elsewhere the scheduler, timers and kernel threads come between',
		change: 'boot with isolcpus=managed_irq,domain,CPU nohz_full=CPU rcu_nocbs=CPU', spoils: ['worst cases'],
		judge: isolated,
	},
	{
		name: 'governor', title: 'Frequency governor', wanted: 'performance',
		why: 'other governors let the clock follow the load: the first rounds are slower than the later ones',
		change: '`npm run tune -- apply --knob governor`', spoils: from('times'), judge: governor,
	},
	{
		name: 'turbo', title: 'Turbo', wanted: 'off',
		why: 'the clock follows heat and what the other cores do', change: '`npm run tune -- apply --knob turbo`',
		spoils: from('times'), judge: turbo,
	},
	{
		name: 'idle', title: 'Idle states', wanted: `none that takes more than ${DEEP_US} µs to leave`,
		why: 'a wake-up waits for its CPU to come back: that is in each stop and each answer',
		change: '`npm run tune -- apply --knob idle`', spoils: from('times'), judge: idle,
	},
];
