/** An evidence folder: what its files are called, and how it comes to be. Nothing else of a manifest names a path. */
import {
	closeSync, existsSync, fsyncSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';
import { PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import type { CopyRoom } from '../../mechanisms/shared/types.ts';
import { emptyPart, nameFile } from '../../native/index.ts';
import { CoreFile } from './core-file.ts';

/** A folder without one of them is not whole; a timestamp is there if one was asked for. */
export const FILES = {
	core: 'core', leaves: 'leaves', manifest: 'manifest.json', publicKey: 'collector.pub', signature: 'manifest.sig',
	timestamp: 'manifest.tst',
} as const;

/** Everything but the core. */
export interface Seal {
	leaves: Uint8Array;
	manifest: Uint8Array;
	publicKey: Uint8Array;
	signature: Uint8Array;
	/** Of the signature, RFC 3161; there if a time-stamp authority was asked. */
	timestamp?: Uint8Array;
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
	/** So many bytes will come. */
	begin: (bytes: number) => void;
	/** In order, but for what an adopted file has already. Resolves when they are kept there, and may change here. */
	write: (bytes: Uint8Array, offset: number) => Promise<void>;
	/** Resolves when all bytes are there for good, with this Merkle root. */
	verified: (root: string) => Promise<void>;
	/** Where the evidence is. */
	seal: (seal: Seal) => Promise<string>;
	/** After an error: nothing is left of it. After a seal it does nothing. */
	discard: () => Promise<void>;
}

/** Only its owner may read what is in it. Until it is whole it is called `DIR.partial`. Throws Failure. */
export async function createFolder(dir: string): Promise<Destination> {
	const partial = `${dir}.partial`;
	if (existsSync(dir))
		throw new Failure(`${dir} is there already: evidence is not written over; name another folder with --out`);
	try {
		mkdirSync(partial, { mode: 0o700 });
	} catch (error) {
		throw new Failure(
			codeOf(error) === 'EEXIST'
				? `${partial} is there already, of a take that was killed or is under way: remove it, or name ` +
					`another folder with --out`
				: `the folder cannot be made: ${messageOf(error)}`
		);
	}
	const core = join(partial, FILES.core);
	let file = await CoreFile.open(core, true);
	let sealed = false;
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
		begin: () => {},
		write: (bytes, offset) => told(dir, () => file.write(bytes, offset)),
		verified: () => told(dir, async () => {
			await file.sync();
			await file.close();
		}),
		seal: (seal) => told(dir, () => {
			writeSeal(partial, seal);
			renameSync(partial, dir);
			sealed = true;
			syncFolder(dirname(dir));
			return Promise.resolve(dir);
		}),
		discard: async () => {
			if (sealed) return;
			await file.close();
			rmSync(partial, { recursive: true, force: true });
		},
	};
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
		const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(error) ?? '');
		throw new Failure(
			`the evidence cannot be written to ${dir}: ` +
				`${messageOf(error)}${full ? '; make room, or name a folder on another disk with --out' : ''}`
		);
	}
}

/** On the disk, all of it. Over what an interrupted attempt left. */
export function writeSeal(dir: string, seal: Seal): void {
	for (const [part, name] of Object.entries(FILES) as Array<[keyof typeof FILES, string]>) {
		const content = part === 'core' ? undefined : seal[part];
		if (content !== undefined) writeFileSync(join(dir, name), content, { mode: 0o600, flush: true });
	}
	syncFolder(dir);
}

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
