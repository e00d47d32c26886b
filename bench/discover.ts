/**
 * The experiments and the verbs: what lies in their folders. Experiments come in the order of their `order` and then
 * of their names.
 */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { discover, inOrder, type Fields } from '../common/discover.ts';
import type { Experiment } from './types.ts';

/** A verb of the command line: one file in bench/commands/. */
export interface Command {
	/** One line for the list of verbs. */
	summary: string;
	/** Gives the exit code; throws UsageError or Failure with what to print. */
	run: (args: string[]) => Promise<number>;
}

const EXPERIMENT: Fields = {
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

const COMMAND: Fields = { summary: 'string', run: 'function' };

export async function discoverExperiments(folder = here('experiments')): Promise<Experiment[]> {
	const found = await discover(folder, 'experiment', EXPERIMENT, 'bench/types.ts');
	return inOrder(found.map(({ value }) => value as Experiment));
}

/** The verbs, by the name of their file. */
export async function discoverCommands(folder = here('commands')): Promise<Map<string, Command>> {
	const found = await discover(folder, 'command', COMMAND, 'bench/discover.ts');
	return new Map(found.map(({ file, value }) => [basename(file, '.ts'), value as Command]));
}

function here(name: string): string {
	return fileURLToPath(new URL(`./${name}/`, import.meta.url));
}
