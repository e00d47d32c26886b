/** The files of a machine, below a root: settings are read and written; the state is kept so that no crash loses it. */
import {
	closeSync, constants, existsSync, fsyncSync, openSync, readdirSync, readFileSync, rmSync, writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure, codeOf, messageOf } from '../../common/errors.ts';
import { writeAtomically } from '../store/files.ts';
import type { Tree } from './types.ts';

const REASONS: Record<string, string> = {
	EACCES: 'permission denied: run it as root', EPERM: 'not permitted: run it as root, outside of a container',
	EROFS: 'it is read-only, as in a container: run it outside',
};

/** Paths for a pattern with `*` for a part of a name; `cpu10` comes after `cpu2`. What cannot be listed has none. */
export function pathsIn(root: string, pattern: string): string[] {
	const [last = '', ...folders] = pattern.split('/').filter((part) => part !== '').reverse();
	let found = [''];
	for (const part of [...folders.reverse(), last])
		found = found.flatMap((folder) => named(join(root, folder), part).map((name) => `${folder}/${name}`));
	return found;
}

function named(folder: string, part: string): string[] {
	if (!part.includes('*')) return existsSync(join(folder, part)) ? [part] : [];
	const pattern = new RegExp(`^${part.replace(/[$()+.?\\^{|}]/g, '\\$&').replaceAll('*', '.*')}$`);
	try {
		return readdirSync(folder).filter((name) => pattern.test(name))
			.sort(new Intl.Collator('en', { numeric: true }).compare);
	} catch {
		return [];
	}
}

export function treeAt(root: string): Tree {
	const at = (path: string): string => join(root, path);
	const text = (path: string): string => {
		try {
			return readFileSync(at(path), 'utf8').trim();
		} catch (error) {
			throw new Failure(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
		}
	};
	return {
		root,
		read: (path) => /\[([\w-]+)\]/.exec(text(path))?.[1] ?? text(path),
		choices: (path) => text(path).split(/\s+/).map((word) => word.replace(/^\[(.*)\]$/, '$1')),
		paths: (pattern) => pathsIn(root, pattern),
		write: (path, value) => write(at(path), path, value),
		keep: (path, content) => keep(at(path), content),
	};
}

/** Not made where there is none; a value in one write, as the kernel's files take it. */
function write(file: string, path: string, value: string): void {
	try {
		const fd = openSync(file, constants.O_WRONLY | constants.O_TRUNC);
		try {
			writeSync(fd, `${value}\n`);
		} finally {
			closeSync(fd);
		}
	} catch (error) {
		const reason = REASONS[codeOf(error) ?? ''] ?? messageOf(error);
		throw new Failure(`${path} cannot be set to ${value}: ${reason}`, { cause: error });
	}
}

function keep(file: string, content: string | null): void {
	try {
		if (content === null) rmSync(file, { force: true });
		else writeAtomically(file, content);
		const folder = openSync(dirname(file), 'r');
		try {
			fsyncSync(folder);
		} finally {
			closeSync(folder);
		}
	} catch (error) {
		const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
		const reason = REASONS[codeOf(cause) ?? ''] ?? messageOf(cause);
		throw new Failure(`what is changed cannot be written down in ${file}: ${reason}`, { cause });
	}
}
