/**
 * The evidence tool's command line. This is the only file of acquire/ that ends the process. A verb is one file in
 * commands/, of which only the one that is asked for is loaded: a collector is to be small.
 */
import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { codeOf, Failure, messageOf, UsageError } from '../common/errors.ts';
import { helpFor, type Option } from '../common/options.ts';
import { exitNow } from '../native/machine.ts';

/** What each file in commands/ exports. */
interface Command {
	summary: string;
	help: { usage: string; text: string; options: Record<string, Option>; examples: string[]; exits: string };
	/**
	 * Gives the exit code; throws UsageError or Failure with what to print. `signal`: it is to end, and leave
	 * nothing.
	 */
	run: (args: string[], signal: AbortSignal) => Promise<number>;
}

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

const verbs = (): string[] =>
	readdirSync(new URL('commands/', import.meta.url)).filter((file) => file.endsWith('.ts'))
		.map((file) => basename(file, '.ts')).sort();

const load = async (verb: string): Promise<Command> =>
	await import(new URL(`commands/${verb}.ts`, import.meta.url).href) as Command;

async function main([verb, ...args]: string[], signal: AbortSignal): Promise<number> {
	if (verb === undefined || verb === '--help') {
		const lines = await Promise.all(verbs()
			.map(async (name) => `  ${name.padEnd(8)} ${(await load(name)).summary}\n`));
		process.stdout.write(`Evidence of live processes. Verbs (each has --help):\n${lines.join('')}`);
		return verb === undefined ? EXIT_USAGE : 0;
	}
	if (!verbs().includes(verb)) {
		throw new UsageError(`unknown verb ${JSON.stringify(verb)}: the verbs are ${verbs().join(', ')}`);
	}
	const { help, run } = await load(verb);
	if (args.includes('--help')) {
		process.stdout.write(
			`${help.usage}\n\n${help.text}\n\n${helpFor(help.options)}\nExamples:\n${help.examples.map((example) => `  ${example}\n`).join('')}\nExit code: ${help.exits}\n`
		);
		return 0;
	}
	return run(args, signal);
}

/** A Failure is for the user: its message says it all. Anything else is a mistake of ours. */
function explain(error: unknown): number {
	if (error instanceof Failure) {
		process.stderr.write(`procsnap: ${error.message}\n`);
		return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
	}
	process.stderr.write(
		`procsnap: unexpected error, please report ` +
			`it:\n${error instanceof Error ? error.stack ?? messageOf(error) : messageOf(error)}\n`
	);
	return EXIT_FAILED;
}

for (const stream of [process.stdout, process.stderr]) {
	stream.on('error', (error) => {
		if (codeOf(error) !== 'EPIPE') throw error;
	});
}

const interrupted = new AbortController();
let by: NodeJS.Signals | undefined;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
	process.on(name, () => {
		by ??= name;
		interrupted.abort();
	});
}
const code = await main(process.argv.slice(2), interrupted.signal).catch(explain);
// Finished despite the signal: report success.
const status = by === undefined || code === 0 ? code : 128 + constants.signals[by];
// Not all verbs need the addon, and those that do have reported by now why it cannot be loaded.
await exitNow(status).catch(() => process.exit(status));
