/** What the kernel does to memory by itself. */
import { asWanted, chosen, from, notAsWanted, ofFile, textAt } from '../judging.ts';
import type { Check, Judged, Machine } from '../types.ts';

const MM = '/sys/kernel/mm';

function hugePages(machine: Machine): Judged {
	return ofFile(machine, `${MM}/transparent_hugepage/enabled`, (text) => {
		const mode = chosen(text);
		return mode === 'madvise' ? asWanted(mode) : notAsWanted(mode);
	}, notAsWanted('this kernel has none: variants of huge pages measure small ones'));
}

function swap(machine: Machine): Judged {
	return ofFile(machine, '/proc/swaps', (text) => {
		const areas = text.split('\n').slice(1).map((line) => line.split(/\s+/)[0]);
		return areas.length === 0 ? asWanted('none') : notAsWanted(areas.join(', '));
	}, asWanted('none: this kernel has no swap'));
}

function merging(machine: Machine): Judged {
	return ofFile(
		machine, `${MM}/ksm/run`, (text) => (text === '1' ? notAsWanted('merging') : asWanted('off')),
		asWanted('none: this kernel has no KSM')
	);
}

function damon(machine: Machine): Judged {
	const states = machine.paths(`${MM}/damon/admin/kdamonds/*/state`);
	const modules = machine.paths('/sys/module/damon_*/parameters/enabled');
	for (const path of [...states, ...modules]) {
		const found = machine.file(path);
		if (!('text' in found)) return ofFile(machine, path, notAsWanted);
		if (found.text === 'on' || found.text === 'Y') return notAsWanted(`${path}: ${found.text}`);
	}
	return asWanted(machine.paths(`${MM}/damon/admin`).length === 0 && modules.length === 0
		? 'none: this kernel has no DAMON, or does not show it' : 'off');
}

function numaBalancing(machine: Machine): Judged {
	const nodes = machine.paths('/sys/devices/system/node/node[0-9]*').length;
	return ofFile(machine, '/proc/sys/kernel/numa_balancing', (text) =>
		(text === '0' || nodes <= 1
			? asWanted(text === '0' ? 'off' : 'on, and there is one node')
			: notAsWanted(`on, ${nodes} nodes`)),
	asWanted('none: this kernel has none'));
}

function balloon(machine: Machine): Judged {
	// The virtio device number of a balloon, and VIRTIO_BALLOON_F_REPORTING: virtio 1.2, 5.5.3.
	const reporting = machine.paths('/sys/bus/virtio/devices/*/device').filter((path) =>
		Number(textAt(machine, path)) === 5 &&
			textAt(machine, path.replace(/device$/, 'features'))?.[5] === '1');
	return reporting.length > 0
		? notAsWanted('what is free goes back to the hypervisor (a balloon with free page reporting)')
		: asWanted('no balloon that reports free pages');
}

export const memory: Check[] = [
	{
		name: 'thp', title: 'Transparent huge pages', wanted: 'madvise',
		why: 'with `always` targets of small pages get huge ones, with `never` those of huge pages get none',
		change: '`npm run tune -- apply --knob thp`', spoils: from('counts'), judge: hugePages,
	},
	{
		name: 'swap', title: 'Swap', wanted: 'none',
		why: 'a page that is out has to come back: from a disk, and in time',
		change: '`swapoff -a` (swapon -a afterwards; `tune` does not: it takes long, and can fail half way)',
		spoils: from('times'), judge: swap,
	},
	{
		name: 'ksm', title: 'Kernel same-page merging', wanted: 'off',
		why: 'it write-protects pages and merges what is equal: more faults, and fewer pages',
		change: '`npm run tune -- apply --knob ksm`', spoils: from('counts'), judge: merging,
	},
	{
		name: 'damon', title: 'DAMON', wanted: 'off',
		why: 'it clears accessed bits and may reclaim or split what it finds cold',
		change: '`echo off > .../kdamonds/N/state`, or N into the module\'s parameter that is named',
		spoils: from('times'),
		judge: damon,
	},
	{
		name: 'numa-balancing', title: 'Automatic NUMA balancing', wanted: 'off, or one node',
		why: 'it unmaps pages so that each is faulted in again: more faults, at times of its own',
		change: '`npm run tune -- apply --knob numa-balancing`', spoils: from('counts'), judge: numaBalancing,
	},
	{
		name: 'balloon', title: 'Memory given back', wanted: 'nothing goes back to the hypervisor',
		why: 'a page that was given back is fetched anew when it is touched, which is measured with the target',
		change: 'outside: a balloon without free page reporting, memory that is locked (QEMU: -overcommit mem-lock=on)',
		spoils: from('times'), judge: balloon,
	},
];
