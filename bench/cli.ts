/**
 * The command line. A verb is a file in commands/. This is the only file that
 * ends the process.
 */
import { discoverCommands } from './discover.ts';
import { Failure, UsageError, messageOf } from '../common/errors.ts';
import { err, letReadersGo } from '../common/terminal.ts';
import { exitNow } from '../native/machine.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

async function main([verb, ...args]: string[]): Promise<number> {
	const commands = await discoverCommands();
	if (verb === undefined || verb === '--help') {
		const lines = [...commands].map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}\n`);
		process.stdout.write(`procsnap's evaluation harness. Verbs (each has --help):\n${lines.join('')}`);
		return verb === undefined ? EXIT_USAGE : 0;
	}
	const command = commands.get(verb);
	if (command === undefined) {
		throw new UsageError(`unknown verb "${verb}": the verbs are ${[...commands.keys()].join(', ')}`);
	}
	return command.run(args);
}

/** A Failure is for the user: its message says it all. Anything else is a mistake of ours. */
function explain(error: unknown): number {
	if (error instanceof Failure) {
		err.lines(`procsnap: ${error.message}`.split('\n'));
		return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
	}
	const trace = error instanceof Error ? error.stack ?? messageOf(error) : messageOf(error);
	err.lines(['procsnap: unexpected error, please report it:', ...trace.split('\n')]);
	return EXIT_FAILED;
}

// `procsnap ... | head`: the measurement goes on, nobody reads the rest.
letReadersGo();

const code = await main(process.argv.slice(2)).catch(explain);
// A report needs no addon, and what does has said by now why it cannot be loaded.
await exitNow(code).catch(() => process.exit(code));
