/**
 * What there is to run is what lies in a folder: a new experiment, mechanism or verb is one new file, and there is no
 * list to edit. Only the folder's own *.ts files count: code that they share goes into a subfolder.
 */
import { readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { codeOf, Failure, messageOf } from './errors.ts';

/** What `typeof` says of each field that an export must have. */
export type Fields = Record<string, 'string' | 'number' | 'boolean' | 'function' | 'object' | 'string or null'>;

/**
 * The export of that name of each file. `described`: the file that says what it must be. Throws Failure, which names
 * the file that is wrong.
 */
export async function discover(
	folder: string, exported: string, fields: Fields, described: string
): Promise<Array<{ file: string; value: unknown }>> {
	const found: Array<{ file: string; value: unknown }> = [];
	const fileOf = new Map<string, string>();
	for (const name of listTypeScript(folder)) {
		const file = `${folder.replace(/\/$/, '')}/${name}`;
		const value = await load(file, exported);
		const wrong = firstWrongField(value, fields);
		if (wrong !== undefined) {
			throw new Failure(`${file}: its export \`${exported}\` ${wrong} (see ${described})`);
		}
		const key = 'name' in fields ? String((value as { name: unknown }).name) : name;
		const other = fileOf.get(key);
		if (other !== undefined) {
			throw new Failure(`${file}: the name ${key} is taken by ${other}: give one of them another name`);
		}
		fileOf.set(key, file);
		found.push({ file, value });
	}
	return found;
}

export const inOrder = <T extends { order: number; name: string }>(all: T[]): T[] =>
	all.sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));

function listTypeScript(folder: string): string[] {
	try {
		return readdirSync(folder).filter((name) => /^[^.].*\.ts$/.test(name)).sort();
	} catch (error) {
		if (codeOf(error) === 'ENOENT') {
			return [];
		}
		throw error;
	}
}

async function load(file: string, exported: string): Promise<unknown> {
	let module: Record<string, unknown>;
	try {
		module = await import(pathToFileURL(file).href) as Record<string, unknown>;
	} catch (error) {
		throw new Failure(`${file}: cannot be loaded: ${messageOf(error)}`, { cause: error });
	}
	if (!(exported in module)) {
		throw new Failure(`${file}: has no export \`${exported}\`: add one, or move shared code into a subfolder`);
	}
	return module[exported];
}

function firstWrongField(value: unknown, fields: Fields): string | undefined {
	if (typeof value !== 'object' || value === null) {
		return 'is not an object';
	}
	const record = value as Record<string, unknown>;
	for (const [field, kind] of Object.entries(fields)) {
		const value = record[field];
		const fits = kind === 'string or null'
			? value === null || typeof value === 'string'
			: typeof value === kind && value !== null;
		if (!fits) {
			return field in record ? `has \`${field}\`, but it is no ${kind}` : `lacks \`${field}\``;
		}
	}
	return undefined;
}
