/**
 * KVM or emulation. That /dev/kvm is there says little: in a nested machine it may
 * not run an ordinary kernel. So KVM is used only after a boot with it succeeded.
 */
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { messageOf } from '../../../common/errors.ts';
import { bootGuest } from './boot.ts';
import { findQemu, qemuVersion, type Accelerator } from './qemu.ts';

export interface Acceleration {
	accelerator: Accelerator;
	/** Why it is not KVM; null where it is. */
	reason: string | null;
}

const TRIAL_S = 30;

/** Asked once for each boot of the host: the answer is kept in the cache. */
export async function chooseAccelerator(kernelDir: string, signal?: AbortSignal): Promise<Acceleration> {
	const refusal = refusedKvm();
	if (refusal !== null) {
		return { accelerator: 'tcg', reason: refusal };
	}
	const key = `${read('/proc/sys/kernel/random/boot_id').trim()} ${qemuVersion(findQemu() ?? '')} ${kernelDir}`;
	const known = recall(key);
	if (known !== null) {
		return known;
	}
	const found = await tryKvm(kernelDir, signal);
	remember(key, found);
	return found;
}

function refusedKvm(): string | null {
	try {
		accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
		return null;
	} catch (error) {
		return `/dev/kvm cannot be used (${messageOf(error).split(':')[0] ?? ''})`;
	}
}

async function tryKvm(kernelDir: string, signal: AbortSignal | undefined): Promise<Acceleration> {
	try {
		await bootGuest({
			kernelDir, cpus: 1, memoryMiB: 512, accelerator: 'kvm', command: ['true'], cwd: '/', env: process.env,
			timeoutS: TRIAL_S, ...(signal === undefined ? {} : { signal }),
		});
		return { accelerator: 'kvm', reason: null };
	} catch (error) {
		signal?.throwIfAborted();
		const [first = ''] = messageOf(error).split('\n').filter((line) => /KVM|kvm|panic/i.test(line))
			.map((line) => line.trim());
		return {
			accelerator: 'tcg',
			reason: `a trial boot with KVM failed (${first === '' ? messageOf(error).split('\n')[0] ?? '' : first})`,
		};
	}
}

function cacheFile(): string {
	return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'procsnap', 'accelerator.json');
}

function recall(key: string): Acceleration | null {
	try {
		const kept = JSON.parse(read(cacheFile())) as { key?: unknown; accelerator?: unknown; reason?: unknown };
		const valid = kept.key === key && (kept.accelerator === 'kvm' || kept.accelerator === 'tcg');
		return valid
			? {
				accelerator: kept.accelerator as Accelerator,
				reason: typeof kept.reason === 'string' ? kept.reason : null,
			}
			: null;
	} catch {
		return null;
	}
}

/** Where it cannot be kept, the trial is made again. */
function remember(key: string, found: Acceleration): void {
	try {
		mkdirSync(dirname(cacheFile()), { recursive: true });
		writeFileSync(cacheFile(), `${JSON.stringify({ key, ...found })}\n`);
	} catch {
		// Only the time of a trial is lost.
	}
}

function read(file: string): string {
	try {
		return readFileSync(file, 'utf8');
	} catch {
		return '';
	}
}
