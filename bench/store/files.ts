/** Writing so that a crash leaves the old file or the new one, and errors that say what to do. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Failure, codeOf, messageOf } from '../../common/errors.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Replaces the file as a whole. */
export function writeAtomically(file: string, data: string | Uint8Array): void {
	const temporary = `${file}.${process.pid}.tmp`;
	try {
		const fd = openSync(temporary, 'w', 0o644);
		try {
			writeFully(fd, typeof data === 'string' ? Buffer.from(data) : data);
			fsyncSync(fd);
		} finally {
			closeSync(fd);
		}
		renameSync(temporary, file);
	} catch (error) {
		removeQuietly(temporary);
		throw cannotWrite(file, error);
	}
}

/** write(2) may take less than it is given. */
export function writeFully(fd: number, data: Uint8Array): void {
	for (let done = 0; done < data.length;) {
		done += writeSync(fd, data, done, data.length - done);
	}
}

const ADVICE: Record<string, string> = {
	ENOSPC: 'the disk is full: free some space, or name a folder on another disk with --out DIR',
	EDQUOT: 'the disk quota is used up: free some space, or name a folder elsewhere with --out DIR',
	EROFS: 'the file system is read-only: name a folder elsewhere with --out DIR',
	EACCES: 'permission denied: name a folder that you may write to with --out DIR',
	EPERM: 'not permitted: name a folder that you may write to with --out DIR',
	ENOTDIR: 'a part of the path is a file: name a folder with --out DIR',
	EEXIST: 'there is a file of that name: name a folder with --out DIR',
};

export function cannotWrite(path: string, error: unknown): Failure {
	const code = codeOf(error);
	const advice = code === undefined ? undefined : ADVICE[code];
	return new Failure(`cannot write ${path}: ${advice ?? messageOf(error)}`, { cause: error });
}

export function cannotRead(path: string, error: unknown): Failure {
	const missing = codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
	return new Failure(
		missing
			? `${path}: no such file: name the folder of a run, results/latest for the newest`
			: `cannot read ${path}: ${messageOf(error)}`,
		{ cause: error }
	);
}

/** JSON without the two paths in which a user name usually stands: messages of errors like to quote them. */
export function publishableJson(value: unknown, indent?: string): string {
	let text = JSON.stringify(value, null, indent);
	for (const [path, name] of [[PROJECT, '.'], [homedir(), '~']] as const) {
		if (path.length > 1) {
			const escaped = JSON.stringify(path).slice(1, -1).replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');
			text = text.replace(new RegExp(`${escaped}(?=[/" ,:;)'\`]|\\\\)`, 'g'), name);
		}
	}
	return text;
}

function removeQuietly(file: string): void {
	rmSync(file, { force: true });
}
