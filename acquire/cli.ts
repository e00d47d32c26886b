/**
 * The evidence tool's command line. This is the only file of acquire/ that ends the process. A verb is one file in
 * commands/, of which only the one that is asked for is loaded: a collector is to be small.
 */
import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { Failure, messageOf, UsageError } from '../common/errors.ts';
import { helpFor, type Option } from '../common/options.ts';
import { err, letReadersGo, out } from '../common/terminal.ts';
import { exitNow } from '../native/machine.ts';
import { toolVersion } from './version.ts';

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

const load = async (verb: string): Promise<Command> => {
	if (!verbs().includes(verb)) throw new UsageError(`unknown verb "${verb}": the verbs are ${verbs().join(', ')}`);
	return await import(new URL(`commands/${verb}.ts`, import.meta.url).href) as Command;
};

/** Before `--`, behind which there are no options. */
const has = (args: readonly string[], ...options: string[]): boolean =>
	args.slice(0, args.includes('--') ? args.indexOf('--') : undefined).some((arg) => options.includes(arg));

async function main([verb, ...args]: string[], signal: AbortSignal): Promise<number> {
	if (verb === undefined || ['--help', '-h'].includes(verb) || (verb === 'help' && args[0] === undefined)) {
		const lines = await Promise.all(verbs().map(async (name) => `  ${name.padEnd(8)} ${(await load(name)).summary}`));
		out.lines(['Evidence of live processes. Verbs (each has --help):', ...lines]);
		return verb === undefined ? EXIT_USAGE : 0;
	}
	if (verb === '--version') {
		out.line(`procsnap ${toolVersion()}`);
		return 0;
	}
	if (verb === 'help') return tellHelp(await load(args[0] ?? ''));
	const command = await load(verb);
	return has(args, '--help', '-h') ? tellHelp(command) : command.run(args, signal);
}

function tellHelp({ help }: Command): number {
	out.lines([
		help.usage, '', ...help.text.split('\n'), '', ...helpFor(help.options).split('\n'), 'Examples:',
		...help.examples.map((example) => `  ${example}`), '', ...`Exit code: ${help.exits}`.split('\n'),
	]);
	return 0;
}

/**
 * A Failure is for the user: its message says it all. Anything else is a mistake of ours. With --json it is a line of
 * JSON where the result would have been. Gives the exit code.
 */
function explain(error: unknown): number {
	const code = withSignal(error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED);
	const message = error instanceof Failure
		? error.message
		: `unexpected error, please report it: ${messageOf(error)}`;
	const trace = error instanceof Failure ? [] : callsOf(error);
	if (has(process.argv.slice(2), '--json')) out.json({ error: [message, ...trace].join('\n'), code });
	else err.lines([`procsnap: ${message}`, ...trace]);
	return code;
}

/** Where it was thrown. A message is somebody else's in part, and has no lines of its own. */
function callsOf(error: unknown): string[] {
	if (!(error instanceof Error) || error.stack === undefined) return [];
	const at = error.stack.indexOf(error.message);
	return error.stack.slice(at < 0 ? 0 : at + error.message.length).split('\n').filter((line) => line !== '');
}

letReadersGo();
const interrupted = new AbortController();
let by: NodeJS.Signals | undefined;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
	process.on(name, () => {
		by ??= name;
		interrupted.abort();
	});
}
/** Finished despite the signal: that is success. */
const withSignal = (code: number): number => (by === undefined || code === 0 ? code : 128 + constants.signals[by]);

// Not all verbs need the addon, and those that do have reported by now why it cannot be loaded.
const end = (status: number): Promise<never> => exitNow(status).catch(() => process.exit(status));
// What nobody waited for. Node would print it as it is.
let isLost = false;
process.on('uncaughtException', (error) => {
	if (isLost) process.exit(EXIT_FAILED);	// this is what telling the first one threw
	isLost = true;
	void end(explain(error));
});
await end(withSignal(await main(process.argv.slice(2), interrupted.signal).catch(explain)));
