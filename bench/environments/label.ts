/**
 * What an environment really is, from evidence and not from wishes. Emulated
 * times are not times, a virtual machine's are only its own: every table says so.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Label } from '../store/manifest.ts';

export interface Evidence {
	/** The first CPU's part of /proc/cpuinfo. */
	cpuModel: string | null;
	hypervisorFlag: boolean | null;
	/** vmx or svm: hardware virtualization is offered to what runs here. */
	virtualizationFlag: boolean | null;
	/** /sys/class/dmi/id: vendor, product and firmware; null where there is no DMI. */
	dmi: string | null;
	/** systemd-detect-virt --vm: `none`, `kvm`, `qemu` (which is TCG) ...; null where it is not installed. */
	detectVirt: string | null;
	/** systemd-detect-virt --container, likewise. */
	detectContainer: string | null;
}

export interface Labelled {
	label: Label;
	/** What it was concluded from, one sentence each. */
	evidence: string[];
}

const EMULATED_CPU = /\bTCG\b/;
const VIRTUAL_CPU = /^QEMU Virtual CPU/;
const VIRTUAL_DMI =
	/QEMU|KVM|VMware|VirtualBox|innotek|Xen|Bochs|Virtual Machine|Amazon EC2(?!.*\.metal)|Google Compute Engine|OpenStack|Parallels|BHYVE|Firecracker|Cloud Hypervisor/i;

/** Pure. `outer` is the label of the environment that started this one, where we know it. */
export function labelFrom(found: Evidence, outer?: Label): Labelled {
	const evidence = [
		`CPU model: ${found.cpuModel ?? 'not reported'}`,
		`hypervisor flag of the CPU: ${yesNo(found.hypervisorFlag)}`,
		`virtualization (vmx, svm) offered by the CPU: ${yesNo(found.virtualizationFlag)}`,
		`DMI: ${found.dmi ?? 'none'}`,
		`systemd-detect-virt: ${found.detectVirt ?? 'not installed'}`,
		...(found.detectContainer === null || found.detectContainer === 'none'
			? []
			: [`in a container: ${found.detectContainer}`]),
		...(outer === undefined ? [] : [`started from an environment that is ${outer}`]),
	];
	return { label: conclude(found, outer), evidence };
}

function conclude(found: Evidence, outer: Label | undefined): Label {
	const model = found.cpuModel ?? '';
	// systemd tells QEMU's accelerators apart: `kvm` is one, `qemu` is none.
	if (outer === 'emulated' || EMULATED_CPU.test(model) || found.detectVirt === 'qemu') {
		return 'emulated';
	}
	const virtual = found.hypervisorFlag === true
		|| VIRTUAL_CPU.test(model)
		|| VIRTUAL_DMI.test(found.dmi ?? '')
		|| (found.detectVirt !== null && found.detectVirt !== 'none');
	if (virtual) {
		return outer === 'vm' || outer === 'nested-vm' ? 'nested-vm' : 'vm';
	}
	// That nothing speaks of a hypervisor is no evidence where nothing speaks at all.
	const spoke = found.hypervisorFlag === false && (found.dmi !== null || found.detectVirt === 'none');
	return spoke ? 'bare-metal' : 'unknown';
}

/** How label.ts looks at the machine: replaced in tests. */
export interface Reader {
	/** A file's text, or null if it cannot be read. */
	file: (path: string) => string | null;
	/** A command's output, or null if it is not installed. */
	command: (name: string, args: string[]) => string | null;
}

export function readEvidence(reader: Reader = systemReader): Evidence {
	const cpuinfo = reader.file('/proc/cpuinfo')?.split('\n\n')[0] ?? '';
	const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(' ');
	const dmi = ['sys_vendor', 'product_name', 'bios_vendor']
		.map((name) => reader.file(`/sys/class/dmi/id/${name}`)?.trim() ?? '')
		.filter((text) => text !== '');
	return {
		cpuModel: /^model name\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? null,
		hypervisorFlag: flags?.includes('hypervisor') ?? null,
		virtualizationFlag: flags === undefined ? null : flags.includes('vmx') || flags.includes('svm'),
		dmi: dmi.length > 0 ? dmi.join(', ') : null,
		detectVirt: reader.command('systemd-detect-virt', ['--vm'])?.trim() ?? null,
		detectContainer: reader.command('systemd-detect-virt', ['--container'])?.trim() ?? null,
	};
}

export const systemReader: Reader = {
	file: (path) => {
		try {
			return readFileSync(path, 'utf8');
		} catch {
			return null;
		}
	},
	// It exits with 1 where it says `none`: only the output counts.
	command: (name, args) => {
		const { error, stdout } = spawnSync(
			name, args, { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] }
		);
		return error === undefined && stdout !== '' ? stdout : null;
	},
};

function yesNo(flag: boolean | null): string {
	return flag === null ? 'not reported' : flag ? 'yes' : 'no';
}
