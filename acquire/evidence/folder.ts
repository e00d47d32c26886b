/** An evidence folder: what its files are called, and how it comes to be. Nothing else of a manifest names a path. */
import {
	closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';
import { PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import type { CopyRoom } from '../../mechanisms/shared/types.ts';
import { allocate, emptyPart, nameFile } from '../../native/index.ts';
import { CoreFile } from './core-file.ts';

/**
 * A folder without one of them is not whole; a timestamp is there if one was asked for, the program if no path led to
 * it any more.
 */
export const FILES = {
	core: 'core', leaves: 'leaves', manifest: 'manifest.json', publicKey: 'collector.pub', signature: 'manifest.sig',
	timestamp: 'manifest.tst', program: 'program',
} as const;

/** Everything but the core. */
export interface Seal {
	leaves: Uint8Array;
	manifest: Uint8Array;
	publicKey: Uint8Array;
	signature: Uint8Array;
	/** Of the signature, RFC 3161; there if a time-stamp authority was asked. */
	timestamp?: Uint8Array;
	/** The target's. */
	program?: Uint8Array;
}

/** The disk is full, or its user has no more room on it, or may have no larger file. What was written stays. */
export class NoRoom extends Failure {
	override name = 'NoRoom';
}

/** Where evidence goes: to a folder, or to a receiver. */
export interface Destination {
	/** What the manifest says of the transfer; null: there is none. */
	readonly transfer: { id: string; receiver: string } | null;
	/** Where a copy can be kept until all of it has been written there. */
	readonly room: CopyRoom;
	/**
	 * The file at this path, which may have no name, takes the place of the core's; what is written goes into it.
	 * false: its file system cannot do that, and nothing has changed. Left out where that can never be.
	 */
	adopt?: (path: string) => Promise<boolean>;
	/** After that, and after all writes: these parts of it are no part of the core, and have to be zeros. */
	empty?: (parts: readonly Run[]) => Promise<void>;
	/** So many bytes will come, and at most so many for the seal, for which room is kept. Throws Failure. */
	begin: (bytes: number, sealBytes: number) => void;
	/**
	 * In order, but for what an adopted file has already. Resolves when they are kept there, and may change here.
	 * Throws NoRoom.
	 */
	write: (bytes: Uint8Array, offset: number) => Promise<void>;
	/**
	 * After NoRoom: there will be so many bytes, of which those from `at` on are zeros. What is there can be read
	 * again. Left out where what is there cannot become evidence.
	 */
	cutOff?: (at: number, bytes: number) => Promise<(room: Uint8Array, at: number) => Promise<void>>;
	/** Resolves when all bytes are there for good, with this Merkle root. */
	verified: (root: string) => Promise<void>;
	/**
	 * Where the evidence is; under another name than was asked for where that is taken by now. Throws what `signal` was
	 * aborted with before it was evidence.
	 */
	seal: (seal: Seal, signal?: AbortSignal) => Promise<string>;
	/**
	 * Nothing is left of it; but that after `verified` something failed is no reason to lose all bytes: with
	 * `keepsWhole` they stay where they are, and where that is is said. null: nothing stays. After a seal it does
	 * nothing.
	 */
	discard: (keepsWhole: boolean) => Promise<string | null>;
}

/** Only its owner may read what is in it. Until it is whole it is called `DIR.partial`. Throws Failure. */
export async function createFolder(dir: string): Promise<Destination> {
	const partial = `${dir}.partial`;
	makeFolder(dir, partial);
	const core = join(partial, FILES.core), reserve = join(partial, RESERVE);
	let file = await CoreFile.open(core, true);
	let whole = false, sealed = false;	// sealed: it is nobody's to remove
	return {
		transfer: null,
		room: { folder: resolve(partial), stays: true },
		adopt: (path) => told(dir, async () => {
			if (!canBecomeCore(path, `${core}.copy`)) return false;
			await file.close();
			renameSync(`${core}.copy`, core);
			file = await CoreFile.open(core, false);
			return true;
		}),
		empty: (parts) => told(dir, () => file.empty(parts)),
		begin: (_, sealBytes) => {
			try {
				keepRoom(reserve, sealBytes);
			} catch (error) {
				throw inWords(dir, error);
			}
		},
		write: (bytes, offset) => told(dir, () => file.write(bytes, offset)),
		cutOff: (at, bytes) => told(dir, async () => {
			await file.setSize(at);
			await file.setSize(bytes);
			return (room, at) => file.read(room, at);
		}),
		verified: () => told(dir, async () => {
			whole = true;	// it is there, even if nobody can promise that it stays
			await file.sync();
			await file.close();
		}),
		seal: async (seal, signal) => {
			await told(dir, async () => {
				rmSync(reserve, { force: true });
				for (const { name, content } of partsOf(seal)) {
					await writeFile(join(partial, name), content, { mode: 0o600, flush: true });
					if (signal?.aborted === true) return;
				}
				syncFolder(partial);
			});
			signal?.throwIfAborted();
			sealed = true;
			return named(partial, dir);
		},
		discard: async (keepsWhole) => {
			if (sealed) return null;
			await file.close().catch(() => undefined);
			rmSync(reserve, { force: true });
			if (keepsWhole && whole) {
				sealed = true;
				return partial;
			}
			rmSync(partial, { recursive: true, force: true });
			return null;
		},
	};
}

/** Takes the room that the seal will need, so that a disk that fills meanwhile does not cost the evidence. */
const RESERVE = 'reserve';

function keepRoom(path: string, bytes: number): void {
	const fd = openSync(path, 'wx', 0o600);
	try {
		allocate(fd, bytes);
	} catch (error) {
		if (codeOf(error) !== 'EOPNOTSUPP') throw error;
		writeSync(fd, Buffer.alloc(bytes));	// its file system knows no other way
	} finally {
		closeSync(fd);
	}
}

function makeFolder(dir: string, partial: string): void {
	try {
		// A link that leads nowhere is in the way as well.
		if (lstatSync(dir, { throwIfNoEntry: false }) !== undefined)
			throw new Failure(`${dir} is there already: evidence is not written over; name another folder with --out`);
		mkdirSync(partial, { mode: 0o700 });
	} catch (error) {
		if (error instanceof Failure) throw error;
		throw new Failure(
			codeOf(error) === 'EEXIST'
				? `${partial} is there already, of a take that was killed, is under way, or could not be sealed: ` +
					`look what is in it, remove it, or name another folder with --out`
				: `the folder cannot be made: ${messageOf(error)}`
		);
	}
}

/** So many names are tried. */
const MOST_NAMES = 100;

/** The name that the folder has got, now that it is whole; where none can be had, the one that it has. */
function named(partial: string, dir: string): string {
	for (let i = 1; i <= MOST_NAMES; i++) {
		const name = i === 1 ? dir : `${dir}-${i}`;
		try {
			if (lstatSync(name, { throwIfNoEntry: false }) !== undefined) continue;
			renameSync(partial, name);
		} catch (error) {
			if (['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(codeOf(error) ?? '')) continue;
			return partial;
		}
		try {
			syncFolder(dirname(name));
		} catch {
			// It is there; that its name outlives a power failure nobody can promise then.
		}
		return name;
	}
	return partial;
}

/** As file systems say it that cannot do that: linkat(2), fallocate(2). */
const CANNOT = ['ENOENT', 'EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP'];

/** With this name, parts of the file can be emptied. false: its file system cannot do that, and it has no name. */
function canBecomeCore(path: string, name: string): boolean {
	try {
		nameFile(path, name);
		const fd = openSync(name, 'r+');
		try {
			emptyPart(fd, 0, PAGE_BYTES);	// of the room for the head: nothing is there yet
		} finally {
			closeSync(fd);
		}
		return true;
	} catch (error) {
		rmSync(name, { force: true });
		if (CANNOT.includes(codeOf(error) ?? '')) return false;
		throw error;
	}
}

async function told<T>(dir: string, action: () => Promise<T>): Promise<T> {
	try {
		return await action();
	} catch (error) {
		throw inWords(dir, error);
	}
}

function inWords(dir: string, error: unknown): Failure {
	const text = `the evidence cannot be written to ${dir}: ${messageOf(error)}`;
	return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(error) ?? '')
		? new NoRoom(`${text}; make room, or name a folder on another disk with --out`)
		: new Failure(text);
}

/** On the disk, all of it. Over what an interrupted attempt left. */
export function writeSeal(dir: string, seal: Seal): void {
	for (const { name, content } of partsOf(seal))
		writeFileSync(join(dir, name), content, { mode: 0o600, flush: true });
	syncFolder(dir);
}

const partsOf = (seal: Seal): Array<{ name: string; content: Uint8Array }> =>
	(Object.entries(FILES) as Array<[keyof typeof FILES, string]>).flatMap(([part, name]) => {
		const content = part === 'core' ? undefined : seal[part];
		return content === undefined ? [] : [{ name, content }];
	});

/** That the names in it outlive a power failure. */
export function syncFolder(dir: string): void {
	const fd = openSync(dir, 'r');
	try {
		fsyncSync(fd);
	} finally {
		closeSync(fd);
	}
}

/** More than that no manifest has, nor the others that are read whole: somebody wants memory to be filled. */
const MOST_BYTES = 256 << 20;

/**
 * Of a folder that may be anybody's. Throws Failure: missing, no ordinary file (a link would lead out of the folder),
 * too large.
 */
export function readWhole(dir: string, name: string): Buffer {
	const path = join(dir, name);
	try {
		const found = lstatSync(path);
		if (!found.isFile()) throw new Failure('no ordinary file');
		if (found.size > MOST_BYTES)
			throw new Failure(`it has ${found.size} bytes, and no such file has more than ${MOST_BYTES}`);
		return readFileSync(path);
	} catch (error) {
		throw error instanceof Failure
			? error
			: new Failure(codeOf(error) === 'ENOENT' ? 'missing: the evidence is not whole' : messageOf(error));
	}
}
