/** What the machine is itself, and who else is on it. */
import { asWanted, from, notAsWanted, ofFile, percentText, textAt, unknown } from '../judging.ts';
import type { Check, Judged, Machine } from '../types.ts';

/** Of ten seconds, some task waited for so many percent: more is another's load. */
const PRESSURE_PERCENT = 5;
/** Half of the time: then not even what is alternated within a run has the same load. */
const HEAVY_PERCENT = 50;
const STEAL_SHARE = 0.001;

const LABELS: Partial<Record<Machine['label'], string>> = {
	'vm': 'a virtual machine (whether it is nested does not show in here)', 'nested-vm': 'a virtual machine in one',
};

function virtualisation({ label, evidence }: Machine): Judged {
	if (label === 'bare-metal') return asWanted('bare metal');
	if (label === 'unknown') 
		return unknown(`nothing speaks for a hypervisor or against one: ${evidence.join('; ')}`);
	if (label === 'emulated')
		return notAsWanted('emulated: its times are those of the emulator', {
			spoils: from('ratios'), change: 'count instructions: `npm run bench -- --count-instructions`',
		});
	return notAsWanted(LABELS[label] ?? label);
}

function steal(machine: Machine): Judged {
	return ofFile(machine, '/proc/stat', (text) => {
		const ticks = /^cpu\s+(.*)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? [];
		const all = ticks.slice(0, 8).reduce((sum, each) => sum + each, 0), stolen = ticks[7];
		if (stolen === undefined || all === 0) return unknown('/proc/stat does not tell it');
		if (stolen === 0 && machine.label !== 'bare-metal')
			return unknown('0 since boot, as hypervisors say that do not tell it: see gaps');
		const found = `${percentText(stolen / all)} since boot`;
		return stolen / all <= STEAL_SHARE ? asWanted(found) : notAsWanted(found);
	});
}

function pressure(machine: Machine): Judged {
	const shares: Array<[string, number]> = [];
	for (const what of ['cpu', 'memory', 'io']) {
		const found = machine.file(`/proc/pressure/${what}`);
		if (!('text' in found)) return unknown(`/proc/pressure/${what}: ${found.why} (boot with psi=1)`);
		shares.push([what, Number(/^some avg10=([\d.]+)/m.exec(found.text)?.[1] ?? Number.NaN)]);
	}
	const text = `somebody waited, of the last 10 s: ${shares.map(([what, share]) => `${what} ${share} %`).join(', ')}`;
	const most = Math.max(...shares.map(([, share]) => share));
	if (Number.isNaN(most)) return unknown('/proc/pressure is not as it should be');
	if (most <= PRESSURE_PERCENT) return asWanted(text);
	return notAsWanted(text, { spoils: from(most > HEAVY_PERCENT ? 'ratios' : 'times') });
}

/** The group's own limit and those above it. cgroups(7): `0::/a/b`, or `4:cpu,cpuacct:/a/b` in version 1. */
function cpuMax(machine: Machine): Judged {
	return ofFile(machine, '/proc/self/cgroup', (text) => {
		const limits: string[] = [];
		let seen = false;
		for (const [, controllers = '', path = ''] of text.matchAll(/^\d+:([^:]*):(.*)$/gm)) {
			const ours = controllers.split(',').includes('cpu');
			if (!ours && controllers !== '') continue;
			const roots = ours ? [`/sys/fs/cgroup/${controllers}`, '/sys/fs/cgroup/cpu'] : ['/sys/fs/cgroup'];
			const parts = path.split('/').filter((part) => part !== '');
			for (const folder of roots.flatMap((root) =>
				Array.from({ length: parts.length + 1 }, (_, i) => [root, ...parts.slice(0, i)].join('/')))) {
				seen ||= textAt(machine, `${folder}/cgroup.procs`) !== null;
				const limit = limitIn(machine, folder, ours);
				if (limit !== null) limits.push(`${folder}: ${limit}`);
			}
		}
		if (limits.length > 0) return notAsWanted(limits.join('; '));
		return seen ? asWanted('none') : unknown('the group of this process is not to be seen in /sys/fs/cgroup');
	}, asWanted('none: this kernel has no cgroups'));
}

function limitIn(machine: Machine, folder: string, first: boolean): string | null {
	const text = textAt(machine, `${folder}/${first ? 'cpu.cfs_quota_us' : 'cpu.max'}`);
	return text === null || text.startsWith('max') || text === '-1' ? null : text;
}

export const surroundings: Check[] = [
	{
		name: 'virtualisation', title: 'Virtualisation', wanted: 'bare metal',
		why: 'the time of a virtual machine is its hypervisor\'s too: faults, wake-ups and stops are others',
		change: 'a machine of its own', spoils: from('times'), judge: virtualisation,
	},
	{
		name: 'steal', title: 'Steal time', wanted: `at most ${percentText(STEAL_SHARE)}`,
		why: 'so long the hypervisor let others run',
		change: 'a machine of its own, or CPUs that are dedicated to this one',
		spoils: from('times'), judge: steal,
	},
	{
		name: 'pressure', title: 'Pressure (PSI)', wanted: `at most ${PRESSURE_PERCENT} % of the time`,
		why: 'others want the same CPU, memory or disk at the same time',
		change: 'end what else runs', spoils: from('times'),
		judge: pressure,
	},
	{
		name: 'cpu-max', title: 'CPU limit of the cgroup', wanted: 'none',
		why: 'whoever has used up its share stands still for the rest of the period',
		change: 'a cgroup without cpu.max, in containers --cpus left out', spoils: from('ratios'), judge: cpuMax,
	},
];
