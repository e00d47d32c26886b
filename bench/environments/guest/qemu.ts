/** QEMU: where it is, and with which arguments a guest is started. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const QEMU = 'qemu-system-x86_64';
export const MISSING = `${QEMU} is missing; on Debian run as root: apt-get install qemu-system-x86 seabios`;

/** Every guest boots it; it has to be where the guest's root, the host's `/`, has it too. */
const INIT = fileURLToPath(new URL('../../../scripts/guest-init', import.meta.url));

export type Accelerator = 'kvm' | 'tcg';

export interface Machine {
	/** The kernel to boot, a bzImage. */
	kernel: string;
	cpus: number;
	memoryMiB: number;
	accelerator: Accelerator;
	/** The clock counts instructions, one a nanosecond: the same on every host, and no time. */
	countInstructions: boolean;
	/** Files and folders of the host's. */
	console: string;
	control: string;
	share: string | undefined;
	/** More of the kernel's command line. */
	append: string;
}

/** The program's path, or null. */
export function findQemu(path = process.env['PATH'] ?? ''): string | null {
	for (const folder of path.split(delimiter).filter((part) => part !== '')) {
		const file = join(folder, QEMU);
		try {
			accessSync(file, constants.X_OK);
			return file;
		} catch {
			// Not there: the next one.
		}
	}
	return null;
}

/** `7.2.22`, or `unknown`. */
export function qemuVersion(qemu: string): string {
	const { stdout } = spawnSync(
		qemu, ['--version'], { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] }
	);
	return /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
}

export function qemuArguments(machine: Machine): string[] {
	const folder = (id: string, tag: string, path: string, more = '') => [
		// multidevs: the host's folders lie on several file systems, whose inode numbers meet.
		'-fsdev', `local,id=${id},path=${escape(path)},security_model=none,multidevs=remap${more}`,
		'-device', `virtio-9p-pci,fsdev=${id},mount_tag=${tag}`,
	];
	return [
		'-M', 'q35', ...acceleration(machine),
		'-smp', String(machine.cpus), '-m', String(machine.memoryMiB),
		'-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
		'-serial', `file:${escape(machine.console)}`,
		'-kernel', machine.kernel, '-append', commandLine(machine),
		...folder('root', 'hostroot', '/', ',readonly=on'),
		...folder('control', 'control', machine.control),
		...(machine.share === undefined ? [] : folder('share', 'share', machine.share)),
		'-device', 'virtio-rng-pci',
	];
}

/**
 * Emulated, a string instruction takes a turn for each of its steps. The kernel clears and copies
 * pages by bytes where the processor says that it is fast at that (erms, fsrm), else by words: a
 * guest then fills 1 GiB in a half to a fifth of the time, and what it spends on bytes is nearer to
 * a real processor's share.
 */
const EMULATED_CPU = 'max,-erms,-fsrm';

function acceleration({ accelerator, countInstructions }: Machine): string[] {
	if (countInstructions) {
		return ['-accel', 'tcg,thread=single', '-icount', 'shift=0,sleep=off', '-cpu', EMULATED_CPU];
	}
	return accelerator === 'kvm'
		? ['-accel', 'kvm', '-cpu', 'host']
		: ['-accel', 'tcg,thread=multi', '-cpu', EMULATED_CPU];
}

/**
 * Where memory lies decides how many page tables there are, by some percent of a small
 * process. And a counter of one instruction a nanosecond need not be calibrated.
 */
const REPEATABLE = 'norandmaps tsc_early_khz=1000000';

function commandLine({ share, append, countInstructions }: Machine): string {
	return [
		'root=hostroot rootfstype=9p rootflags=trans=virtio,version=9p2000.L,cache=loose,msize=524288,access=any ro',
		INIT.includes(' ') ? `init="${INIT}"` : `init=${INIT}`,
		// loglevel 5: warnings reach the console, where a machine that died left them.
		'console=ttyS0 quiet loglevel=5 log_buf_len=4M panic=-1 oops=panic tsc=reliable',
		...(countInstructions ? [REPEATABLE] : []),
		...(share === undefined ? [] : ['procsnap.share']),
		...(append === '' ? [] : [append]),
	].join(' ');
}

/** In QEMU's option lists a comma is written twice. */
function escape(path: string): string {
	return path.replaceAll(',', ',,');
}
