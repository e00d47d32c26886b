/** npm run test:readers: the command line. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Failure, messageOf } from '../../../../common/errors.ts';
import { expectOneOf, helpFor, parseOptions, type Option } from '../../../../common/options.ts';
import { exitNow } from '../../../../native/index.ts';
import { PROGRAMS } from './programs.ts';
import { READERS } from './readers.ts';
import { readProgram, type Row } from './reading.ts';
import { packagesFor } from './running.ts';

const OPTIONS = {
	'only': { kind: 'many', value: 'NAME', help: 'only this program; may be repeated' },
	'install': { kind: 'flag', help: 'as root, on Debian: install what is missing, the large packages too' },
	'help': { kind: 'flag', help: 'this text' },
} as const satisfies Record<string, Option>;

const HELP = `npm run test:readers -- [options]

Starts real programs, takes evidence of each by every mechanism, and has it read by gdb, lldb,
elfutils and YARA (jhsdb and delve are known, and asked of no program yet). What they say is compared with what is true of the
program; and what they say of it when it is stopped, with what they say of a core by gcore.

${helpFor(OPTIONS)}
Programs: ${PROGRAMS.map(({ name }) => name).join(', ')}

Exit code: 0 all readers said what is true; 1 one did not, or something could not be run;
2 wrong usage; 3 nothing differed, and a program or a reader was not here.
`;

/** What was started last is ended first. */
class Ending {
	readonly #actions: Array<() => unknown> = [];
	readonly teardown = (action: () => unknown): void => void this.#actions.push(action);

	async end(): Promise<void> {
		for (const action of this.#actions.splice(0).reverse()) await action();
	}
}

const write = (text: string): void => void process.stdout.write(`${text}\n`);
const line = ({ program, core, reader, outcome, text }: Row): string =>
	[
		program.padEnd(12), core.padEnd(10), reader.padEnd(14), outcome.toUpperCase().padEnd(9), text.slice(0, 400),
	].join(' ');

async function main(args: string[]): Promise<number> {
	const { flags, values } = parseOptions(args, OPTIONS);
	if (flags.has('help')) {
		process.stdout.write(HELP);
		return 0;
	}
	const names = PROGRAMS.map(({ name }) => name);
	const only = (values.only ?? []).map((name) => expectOneOf('program', name, names));
	const programs = PROGRAMS.filter(({ name }) => only.length === 0 || only.includes(name));
	const needs = [...programs, ...READERS].map((each) => each.needs);
	const missing = packagesFor(...needs, { gcore: 'gdb' });
	if (flags.has('install') && missing.length > 0) install(missing);
	const rows: Row[] = READERS.filter(({ needs }) => packagesFor(needs).length > 0).map(({ name, needs }) => ({
		program: '', core: '', reader: name, outcome: 'not here', text: `package ${packagesFor(needs).join(', ')}`,
	}));
	for (const row of rows) write(line(row));
	const ending = new Ending();
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
		process.once(name, () => void ending.end().finally(() => exitNow(130)));
	for (const program of programs) {
		try {
			for await (const row of readProgram(ending, program)) {
				rows.push(row);
				write(line(row));
			}
		} catch (error) {
			rows.push({ program: program.name, core: '', reader: '', outcome: 'differs', text: messageOf(error) });
			write(line(rows.at(-1) as Row));
		} finally {
			await ending.end();
		}
	}
	write(`\n${summary(rows).join('\n')}`);
	if (rows.some(({ outcome }) => outcome === 'differs')) return 1;
	return rows.some(({ outcome }) => outcome === 'not here') ? 3 : 0;
}

/** Programs by readers: over all cores of ours that each was given. */
function summary(rows: readonly Row[]): string[] {
	const readers = ['procsnap', ...READERS.map(({ name }) => name)];
	const ours = rows.filter(({ core }) => core !== 'gcore\'s');
	const cell = (program: string, reader: string): string => {
		const outcomes = new Set<string>(ours.filter((row) => row.program === program && row.reader === reader)
			.map(({ outcome }) => outcome).filter((outcome) => outcome !== 'refused'));
		return ['differs', 'unfit', 'ok'].find((outcome) => outcomes.has(outcome)) ?? '-';
	};
	return [
		`| | ${readers.join(' | ')} |`, `|---|${readers.map(() => '---|').join('')}`,
		...[...new Set(rows.map(({ program }) => program))].filter(Boolean)
			.map((program) => `| ${program} | ${readers.map((reader) => cell(program, reader)).join(' | ')} |`),
	];
}

function install(packages: readonly string[]): void {
	const script = fileURLToPath(new URL('../../../../scripts/apt-install.sh', import.meta.url));
	const { status } = spawnSync('sh', [script, 'readers', ...packages], { stdio: ['ignore', 2, 2] });
	if (status !== 0) throw new Failure(`apt-get could not install ${packages.join(' ')}: see above`);
}

main(process.argv.slice(2)).then(
	(code) => exitNow(code),
	(error: unknown) => {
		process.stderr.write(`readers: error: ${messageOf(error)}\n`);
		return exitNow(error instanceof Failure ? 2 : 1);
	}
);
