/**
 * What there is to run is what lies in the folder: a new experiment, mechanism
 * or verb is one new file, and there is no list to edit. Experiments and
 * mechanisms come in the order of their `order` and then of their names. Only the folder's own *.ts files count: shared code goes into a subfolder.
 */
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Failure, codeOf, messageOf } from '../common/errors.ts';
import type { Backend, Experiment } from './types.ts';

/** A verb of the command line: one file in bench/commands/. */
export interface Command {
	/** One line for the list of verbs. */
	summary: string;
	/** Gives the exit code; throws UsageError or Failure with what to print. */
	run: (args: string[]) => Promise<number>;
}

type Kind = 'string' | 'number' | 'boolean' | 'function' | 'object';

const EXPERIMENT: Record<string, Kind> = {
	name: 'string',
	order: 'number',
	title: 'string',
	question: 'string',
	metrics: 'object',
	variants: 'function',
	open: 'function',
	tables: 'function',
	charts: 'function',
	claims: 'function',
};

const BACKEND: Record<string, Kind> = {
	name: 'string',
	order: 'number',
	title: 'string',
	duplicates: 'boolean',
	cooperative: 'boolean',
	unavailable: 'function',
	take: 'function',
};

const COMMAND: Record<string, Kind> = { summary: 'string', run: 'function' };

export async function discoverExperiments(folder = here('experiments')): Promise<Experiment[]> {
	const found = await discover(folder, 'experiment', EXPERIMENT);
	return inOrder(found.map(({ value }) => value as Experiment));
}

export async function discoverBackends(folder = here('backends')): Promise<Backend[]> {
	const found = await discover(folder, 'backend', BACKEND);
	return inOrder(found.map(({ value }) => value as Backend));
}

const inOrder = <T extends { order: number; name: string }>(all: T[]): T[] => all.sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));

/** The verbs, by the name of their file. */
export async function discoverCommands(folder = here('commands')): Promise<Map<string, Command>> {
	const found = await discover(folder, 'command', COMMAND);
	return new Map(found.map(({ file, value }) => [basename(file, '.ts'), value as Command]));
}

function here(name: string): string {
	return fileURLToPath(new URL(`./${name}/`, import.meta.url));
}

async function discover(folder: string, exported: string, fields: Record<string, Kind>): Promise<Array<{ file: string; value: unknown }>> {
	const found: Array<{ file: string; value: unknown }> = [];
	const fileOf = new Map<string, string>();
	for (const name of listTypeScript(folder)) {
		const file = `${folder.replace(/\/$/, '')}/${name}`;
		const value = await load(file, exported);
		const wrong = firstWrongField(value, fields);
		if (wrong !== undefined) {
			throw new Failure(`${file}: its export \`${exported}\` ${wrong} (see bench/types.ts)`);
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

function firstWrongField(value: unknown, fields: Record<string, Kind>): string | undefined {
	if (typeof value !== 'object' || value === null) {
		return 'is not an object';
	}
	const record = value as Record<string, unknown>;
	for (const [field, kind] of Object.entries(fields)) {
		if (typeof record[field] !== kind || record[field] === null) {
			return field in record ? `has \`${field}\`, but it is no ${kind}` : `lacks \`${field}\``;
		}
	}
	return undefined;
}
