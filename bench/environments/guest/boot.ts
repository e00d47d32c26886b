/**
 * Boots a kernel in QEMU and runs one command there. The command's end is told by
 * an exit record that guest-init leaves; without it the guest died or hung, and the
 * error says so with the end of its console.
 */
import {
	existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../../common/errors.ts';
import { clockFault } from './clock.ts';
import { findComplaints, tailOf } from './complaints.ts';
import { follow } from './follow.ts';
import { startQemu, type QemuProcess } from './qemu-process.ts';
import { MISSING, findQemu, qemuArguments, qemuVersion, type Accelerator } from './qemu.ts';
import { guestScript } from './script.ts';

export interface BootOptions {
	/** Folder with the kernel, `bzImage`. */
	kernelDir: string;
	cpus: number;
	memoryMiB: number;
	accelerator: Accelerator;
	/** Guest time is the number of instructions; takes one CPU and no accelerator. */
	countInstructions?: boolean;
	/** Program and arguments. */
	command: string[];
	cwd: string;
	env: Record<string, string | undefined>;
	/** The guest may write here: it is its $PROCSNAP_SHARE. */
	shareDir?: string;
	/** The most that it may take as a whole. */
	timeoutS: number;
	/** The longest that the command may say nothing. */
	quietS?: number;
	/** The most that the boot may take until the command begins. */
	bootS?: number;
	/** More of the kernel's command line. */
	append?: string;
	onOutput?: (stream: 'stdout' | 'stderr', data: Buffer) => void;
	/** What the user should know while it runs. */
	onNote?: (text: string) => void;
	/** Ends the guest at once; bootGuest then throws its reason. */
	signal?: AbortSignal;
}

export interface GuestEnd {
	/** The command's. */
	status: number;
	/** Lines of the kernel's log that no sound kernel writes. */
	complaints: string[];
	/** Why no time measured in it can be used, or null. */
	clockFault: string | null;
	qemu: string;
	/** Until the command began, by the guest's own clock. */
	bootMs: number;
	/** From QEMU's start to its end. */
	tookMs: number;
}

const BOOT_S = 120;

/** More than one death before the first command is no accident. */
const ATTEMPTS = 2;

export async function bootGuest(options: BootOptions): Promise<GuestEnd> {
	const qemu = findQemu();
	if (qemu === null) {
		throw new Failure(MISSING);
	}
	if (!existsSync(join(options.kernelDir, 'bzImage'))) {
		throw new Failure(
			`${options.kernelDir}: has no bzImage to boot: build the kernel with npm run kernel -- build`
		);
	}
	for (let attempt = 1; ; attempt++) {
		removeOrphans();
		const folder = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`));
		try {
			const outcome = await bootOnce(qemu, realpathSync(folder), options);
			if ('status' in outcome) {
				return outcome;
			}
			if (outcome.begun || !outcome.again || attempt === ATTEMPTS) {
				throw new Failure(outcome.why);
			}
			options.onNote?.(
				`the guest died before its command began; trying once more (QEMU's emulation is known to lose a ` +
					`boot now and then). Its console ended so:\n${outcome.tail}`
			);
		} finally {
			rmSync(folder, { recursive: true, force: true });
		}
	}
}

const FOLDER = 'procsnap-guest-';

/** The folders of processes that were killed and could not remove them; their QEMU has died with them. */
function removeOrphans(): void {
	for (const name of readdirSync(tmpdir())) {
		const pid = name.startsWith(FOLDER) ? /^\d+(?=-)/.exec(name.slice(FOLDER.length))?.[0] : undefined;
		if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
			try {
				rmSync(join(tmpdir(), name), { recursive: true, force: true });
			} catch {
				// Another user's.
			}
		}
	}
}

interface Death {
	begun: boolean;
	/** Another attempt may do better. */
	again: boolean;
	why: string;
	tail: string;
}

async function bootOnce(qemu: string, folder: string, options: BootOptions): Promise<GuestEnd | Death> {
	const control = join(folder, 'control');
	const consoleFile = join(folder, 'console');
	prepare(control, options);
	const { signal } = options;
	signal?.throwIfAborted();
	const startedAt = performance.now();
	const watchdog = createWatchdog(control, options);
	const followers = (['stdout', 'stderr'] as const).map((name) => follow(join(control, name), (data) => {
		watchdog.heard();
		options.onOutput?.(name, data);
	}));
	const running = startQemu(qemu, qemuArguments({
		kernel: join(options.kernelDir, 'bzImage'), cpus: options.cpus, memoryMiB: options.memoryMiB,
		accelerator: options.accelerator,
		countInstructions: options.countInstructions ?? false, console: consoleFile, control, share: options.shareDir,
		append: options.append ?? '',
	}));
	const abort = () => running.kill();
	signal?.addEventListener('abort', abort);
	try {
		watchdog.guard(running);
		const { code, said } = await running.ended;
		signal?.throwIfAborted();
		followers.forEach((follower) => follower.close());
		followers.length = 0;
		return judge({
			control, consoleText: read(consoleFile), code, said, hang: watchdog.hang(),
			tookMs: performance.now() - startedAt, qemu: () => qemuVersion(qemu),
			countInstructions: options.countInstructions ?? false,
		});
	} finally {
		watchdog.stop();
		signal?.removeEventListener('abort', abort);
		running.kill();
		followers.forEach((follower) => follower.close());
	}
}

/** What guest-init finds in the control folder. */
function prepare(control: string, { command, cwd, env }: BootOptions): void {
	mkdirSync(control);
	writeFileSync(join(control, 'command'), guestScript({ command, cwd, env }));
	// To be uncovered where a tmpfs of the guest's hides them.
	writeFileSync(join(control, 'folders'), [...new Set([cwd, PROJECT])].map((folder) => `${folder}\n`).join(''));
}

const PROJECT = join(import.meta.dirname, '../../..');

interface Watchdog {
	heard: () => void;
	guard: (running: QemuProcess) => void;
	/** Why it was ended, or null. */
	hang: () => string | null;
	stop: () => void;
}

/** Ends a guest that hangs, and one whose QEMU stands still after an error of KVM's. */
function createWatchdog(control: string, { timeoutS, quietS = Infinity, bootS = BOOT_S }: BootOptions): Watchdog {
	const startedAt = performance.now();
	let heardAt: number | undefined;
	let hang: string | null = null;
	let timer: NodeJS.Timeout | undefined;
	const reason = (): string | null => {
		const now = performance.now();
		if (now - startedAt > timeoutS * 1000) {
			return `the guest hung, or needed longer than it may: it was ended after ${timeoutS} s`;
		}
		if (heardAt === undefined) {
			if (existsSync(join(control, 'begun'))) {
				heardAt = now;
			}
			return now - startedAt > bootS * 1000
				? `the guest hung while it booted: its command had not begun after ${bootS} s`
				: null;
		}
		return now - heardAt > quietS * 1000 ? `the guest hung: its command said nothing for ${quietS} s` : null;
	};
	return {
		heard: () => { heardAt = performance.now(); },
		guard: (running) => {
			timer = setInterval(() => {
				hang ??= reason();
				if (hang !== null || /KVM internal error|KVM: entry failed/.test(running.said())) {
					running.kill();
				}
			}, 100);
		},
		hang: () => hang,
		stop: () => clearInterval(timer),
	};
}

interface Remains {
	control: string;
	consoleText: string;
	code: number | null;
	said: string;
	hang: string | null;
	tookMs: number;
	qemu: () => string;
	countInstructions: boolean;
}

/** A moment, by the guest's clock and by the host's. */
function mark(control: string, name: string): { guestS: number; hostS: number } {
	const file = join(control, name);
	return { guestS: Number(read(file)), hostS: existsSync(file) ? statSync(file).mtimeMs / 1000 : NaN };
}

function judge({ control, consoleText, code, said, hang, tookMs, qemu, countInstructions }: Remains): GuestEnd | Death {
	const status = /^\d+$/.exec(read(join(control, 'status')).trim())?.[0];
	const begun = read(join(control, 'begun'));
	if (status !== undefined) {
		return {
			status: Number(status),
			clockFault: countInstructions ? null : clockFault(mark(control, 'begun'), mark(control, 'ended')),
			complaints: findComplaints(`${read(join(control, 'dmesg'))}\n${consoleText}`),
			qemu: qemu(),
			bootMs: Math.round(Number(begun) * 1000),
			tookMs: Math.round(tookMs),
		};
	}
	const tail = tailOf(consoleText);
	const console = `The end of its console:\n${tail}`;
	const fromQemu = said.trim() === '' ? '' : `\nQEMU said:\n${tailOf(said)}`;
	if (hang !== null) {
		return {
			begun: begun !== '', again: false, tail,
			why: `${hang}. ${console}${fromQemu}\nGive it longer with --timeout if it was only slow; otherwise its ` +
				`kernel is at fault`,
		};
	}
	if (consoleText === '' && code !== 0) {
		return {
			begun: false, again: false, tail,
			why: `QEMU did not start the guest (exit code ${code ?? 'none, killed'}).${fromQemu}`,
		};
	}
	const when = begun === '' ? 'before its command began' : 'while its command ran';
	const panic = /Kernel panic - (.*)/.exec(consoleText)?.[1]?.trim();
	const how = panic !== undefined
		? `its kernel panicked (${panic})`
		: /the share is lost/.test(consoleText) ? 'it lost its share with the host' : 'it ended without an exit record';
	return {
		begun: begun !== '', again: true, tail,
		why: `the guest died ${when}: ${how}. ${console}${fromQemu}\nIf its kernel is new, boot it by hand: npm run ` +
			`guest -- true`,
	};
}

function read(file: string): string {
	try {
		return readFileSync(file, 'utf8');
	} catch {
		return '';
	}
}
