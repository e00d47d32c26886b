import test from 'ava';
import { labelFrom, readEvidence, type Evidence, type Reader } from '../../../bench/environments/label.ts';
import { withoutNames } from '../../../bench/environments/machine.ts';
import { parseCpuList } from '../../../common/cpu-list.ts';
import type { Label } from '../../../bench/store/manifest.ts';

const cpuinfo = (model: string, flags: string) =>
	`processor\t: 0\nmodel name\t: ${model}\nflags\t\t: fpu ${flags} sse\n\nprocessor\t: 1\nmodel name\t: ` +
		`other\nflags\t\t: none\n`;

function machine(
	files: Record<string, string>, detectVirt: string | null = null, container: string | null = null
): Reader {
	return {
		file: (path) => files[path] ?? null,
		command: (_name, [what]) => (what === '--vm' ? detectVirt : container),
	};
}

const dmi = (vendor: string, product: string) =>
	({ '/sys/class/dmi/id/sys_vendor': `${vendor}\n`, '/sys/class/dmi/id/product_name': `${product}\n` });
const REAL = cpuinfo('Intel(R) Core(TM) i5-4460  CPU @ 3.20GHz', 'vmx');
const GUEST = cpuinfo('AMD EPYC', 'hypervisor');

const MACHINES: Array<[string, Reader, Label | undefined, Label]> = [
	[
		'a PC', machine({ '/proc/cpuinfo': REAL, ...dmi('Dell Inc.', 'OptiPlex 9020') }, 'none\n'), undefined,
		'bare-metal',
	],
	[
		'a PC without systemd', machine({ '/proc/cpuinfo': REAL, ...dmi('Dell Inc.', 'OptiPlex 9020') }), undefined,
		'bare-metal',
	],
	[
		'an EC2 metal instance', machine({ '/proc/cpuinfo': REAL, ...dmi('Amazon EC2', 'c5.metal') }), undefined,
		'bare-metal',
	],
	['an EC2 instance', machine({ '/proc/cpuinfo': GUEST, ...dmi('Amazon EC2', 'c5.large') }), undefined, 'vm'],
	['Firecracker: no DMI', machine({ '/proc/cpuinfo': GUEST }, 'kvm\n', 'docker\n'), undefined, 'vm'],
	[
		'KVM that offers virtualization is still one VM',
		machine({ '/proc/cpuinfo': cpuinfo('AMD EPYC', 'svm hypervisor') }), undefined, 'vm',
	],
	[
		'KVM that hides its flag', machine({ '/proc/cpuinfo': REAL, ...dmi('QEMU', 'Standard PC (Q35 + ICH9, 2009)') }),
		undefined, 'vm',
	],
	['a VM that a VM started', machine({ '/proc/cpuinfo': GUEST }, 'kvm\n'), 'vm', 'nested-vm'],
	['a VM on bare metal', machine({ '/proc/cpuinfo': GUEST }, 'kvm\n'), 'bare-metal', 'vm'],
	[
		'QEMU without an accelerator, its own CPU model',
		machine({ '/proc/cpuinfo': cpuinfo('QEMU TCG CPU version 2.5+', 'hypervisor') }), undefined, 'emulated',
	],
	[
		'QEMU without an accelerator, as systemd sees it',
		machine({ '/proc/cpuinfo': cpuinfo('QEMU Virtual CPU version 2.5+', 'hypervisor') }, 'qemu\n'), 'vm',
		'emulated',
	],
	[
		'QEMU\'s CPU model under KVM',
		machine({ '/proc/cpuinfo': cpuinfo('QEMU Virtual CPU version 2.5+', 'hypervisor') }, 'kvm\n'), undefined, 'vm',
	],
	['whatever runs inside an emulator', machine({ '/proc/cpuinfo': GUEST }, 'kvm\n'), 'emulated', 'emulated'],
	['no hypervisor flag, and nothing else that speaks', machine({ '/proc/cpuinfo': REAL }), undefined, 'unknown'],
	['nothing can be read', machine({}), undefined, 'unknown'],
	[
		'no flags, as on other architectures', machine({ '/proc/cpuinfo': 'processor\t: 0\n' }, 'none\n'), undefined,
		'unknown',
	],
];

for (const [title, reader, outer, label] of MACHINES) {
	test(`${title}: ${label}`, (t) => {
		t.is(labelFrom(readEvidence(reader), outer).label, label);
	});
}

test('the evidence is the first CPU\'s and says what it was', (t) => {
	const evidence: Evidence = readEvidence(machine({ '/proc/cpuinfo': GUEST }, 'kvm\n', 'docker\n'));
	t.deepEqual(
		evidence,
		{
			cpuModel: 'AMD EPYC', hypervisorFlag: true, virtualizationFlag: false, dmi: null, detectVirt: 'kvm',
			detectContainer: 'docker',
		}
	);
	t.deepEqual(labelFrom(evidence, 'vm').evidence, [
		'CPU model: AMD EPYC',
		'hypervisor flag of the CPU: yes',
		'virtualization (vmx, svm) offered by the CPU: no',
		'DMI: none',
		'systemd-detect-virt: kvm',
		'in a container: docker',
		'started from an environment that is vm',
	]);
});

test('the kernel\'s command line loses names and addresses, and nothing else', (t) => {
	t.is(
		withoutNames(
			'quiet isolcpus=1 ip=10.0.0.3::10.0.0.1 systemd.hostname=lab7 root=/dev/vda log=lab7.example.org ' +
				'mitigations=auto lab',
			['lab7', '']
		),
		'quiet isolcpus=1 ip=<left out> systemd.hostname=<left out> root=/dev/vda log=<left out> mitigations=auto lab',
	);
});

test('CPU lists', (t) => {
	t.deepEqual(['0-1', '3', '0-2,5,7-8\n', ''].map(parseCpuList), [[0, 1], [3], [0, 1, 2, 5, 7, 8], []]);
});
