/**
 * What a mechanism's steps cost on this machine: measured once in a while, and kept meanwhile, in a small file that is
 * gone with the next boot. Without the file it is measured each time.
 */
import {
	closeSync, constants, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { codeOf } from '../../common/errors.ts';
import type { Calibration } from '../../native/index.ts';

const KEPT_MS = 86_400_000;
const MOST_BYTES = 4096;
const LARGEST_NS = 1e9;

/** Of another boot or kernel, other figures are right. */
export interface Here { bootId: string; kernel: string; nowMs: number }

/** In memory rather than on the disk of a machine that is looked at; null: nowhere. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.()): string | null {
	const base = env['XDG_CACHE_HOME'] ?? (uid === 0 ? '/run' : env['XDG_RUNTIME_DIR']);
	return base === undefined || !base.startsWith('/') ? null : join(base, 'procsnap');
}

const here = (): Here => ({
	bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), kernel: release(), nowMs: Date.now(),
});

/** `measure` is asked where nothing is kept that is right here. Throws what it throws. */
export function calibrated(
	name: string, measure: () => Calibration, folder: string | null = cacheFolder(), now: Here = here()
): Calibration {
	const file = folder === null ? null : join(folder, `${name}.json`);
	const kept = file === null ? null : keptIn(file, now);
	if (kept !== null) return kept;
	const measured = measure();
	if (file !== null && folder !== null) keep(folder, file, { ...now, ...measured });
	return measured;
}

/** null: nothing that can be used. It may be anybody's file. */
function keptIn(file: string, { bootId, kernel, nowMs }: Here): Calibration | null {
	let fd: number | undefined;
	try {
		fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
		const { size, uid } = fstatSync(fd);
		if (!fstatSync(fd).isFile() || size > MOST_BYTES || uid !== process.getuid?.()) return null;
		const found = JSON.parse(readFileSync(fd, 'utf8')) as Partial<Here & Calibration> | null;
		if (found?.bootId !== bootId || found.kernel !== kernel) return null;
		const age = nowMs - Number(found.nowMs), { protectNs, unprotectNs } = found;
		if (!(age >= 0 && age < KEPT_MS) || !isCost(protectNs) || !isCost(unprotectNs)) return null;
		return { protectNs, unprotectNs };
	} catch {
		return null;
	} finally {
		if (fd !== undefined) closeSync(fd);
	}
}

const isCost = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= LARGEST_NS;

/** All of it, or nothing; where it cannot be written, it is not kept. */
function keep(folder: string, file: string, content: Here & Calibration): void {
	const begun = `${file}.${process.pid}`;
	try {
		for (const each of [dirname(folder), folder]) made(each);
		writeFileSync(begun, `${JSON.stringify(content)}\n`, { flag: 'wx', mode: 0o600 });
		renameSync(begun, file);
	} catch {
		removed(begun);
	}
}

/** One by one: where a kernel denies that there is a parent, as in /proc, mkdirp of Node never ends. */
function made(folder: string): void {
	try {
		mkdirSync(folder, { mode: 0o700 });
	} catch (error) {
		if (codeOf(error) !== 'EEXIST') throw error;
	}
}

function removed(file: string): void {
	try {
		rmSync(file);
	} catch {
		// It is not there, or nothing can be written there.
	}
}
