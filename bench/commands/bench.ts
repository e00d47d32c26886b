/** `bench`: measures, and ends with the tables and the path of the report. */
import { randomBytes } from 'node:crypto';
import { discoverBackends, discoverExperiments, type Command } from '../discover.ts';
import type { Environment, MeasuredRun } from '../environments/environment.ts';
import { host } from '../environments/host.ts';
import { Failure, UsageError } from '../errors.ts';
import { describeChoices } from '../list.ts';
import { makeReport, showReport } from '../make-report.ts';
import { expectOneOf, helpFor, parseOptions, userPath, type Option } from '../options.ts';
import { listenForInterrupts } from '../runner/interrupt.ts';
import type { Backend, Experiment } from '../types.ts';

const PROFILES = ['smoke', 'paper'] as const;
const ENVIRONMENTS: Environment[] = [host];

const OPTIONS = {
	profile: { kind: 'one', value: 'NAME', help: 'paper (default): the paper\'s rounds; smoke: within a minute' },
	experiment: { kind: 'many', value: 'NAME', help: 'measure only this one; may be repeated' },
	backend: { kind: 'many', value: 'NAME', help: 'measure only this mechanism; may be repeated' },
	environment: { kind: 'one', value: 'NAME', help: 'where to measure: host (default)' },
	out: { kind: 'one', value: 'DIR', help: 'folder for the run, new or empty (default: results/runs/<id>)' },
	seed: { kind: 'one', value: 'N', help: 'of the order of measuring (default: drawn; the manifest has it)' },
	list: { kind: 'flag', help: 'show experiments, mechanisms, environments and profiles' },
	help: { kind: 'flag', help: 'this text' },
} as const satisfies Record<string, Option>;

const HELP = `npm run bench -- [options]

Measures what taking evidence from a running process costs it, and reports it
beside the paper's figures.

${helpFor(OPTIONS)}
Ctrl-C ends the round, keeps and reports what was measured; a second Ctrl-C ends
at once.

Exit code: 0 all measured; 1 a measurement failed, or a run-time error; 2 wrong
usage, nothing was measured; 130 interrupted.
`;

export const command: Command = {
	summary: 'measure, and report it',
	run: async (args) => {
		const { flags, values } = parseOptions(args, OPTIONS);
		if (flags.has('help')) {
			process.stdout.write(HELP);
			return 0;
		}
		const experiments = await discoverExperiments();
		const backends = await discoverBackends();
		const profile = expectOneOf('profile', values.profile?.at(-1) ?? 'paper', PROFILES);
		const environment = pick('environment', values.environment?.slice(-1) ?? [host.name], ENVIRONMENTS)[0] ?? host;
		const seed = parseSeed(values.seed?.at(-1));
		const options = { experiments: values.experiment ?? [], backends: values.backend ?? [] };
		const request = {
			profile,
			seed,
			out: values.out === undefined ? undefined : userPath(values.out.at(-1) ?? '.'),
			experiments: options.experiments.length === 0 ? experiments : pick('experiment', options.experiments, experiments),
			backends: options.backends.length === 0 ? backends : pick('backend', options.backends, backends),
			options,
		};
		if (flags.has('list')) {
			process.stdout.write(describeChoices(experiments, backends, ENVIRONMENTS, PROFILES));
			return 0;
		}
		return measure(environment, request);
	},
};

async function measure(environment: Environment, request: Parameters<Environment['measure']>[0]): Promise<number> {
	const reason = environment.unavailable();
	if (reason !== null) {
		throw new Failure(`the environment ${environment.name} cannot be used here: ${reason}`);
	}
	const screen = process.stderr;
	const interrupt = listenForInterrupts((signal) => {
		screen.write(`\n${signal}: ending after this round, keeping what was measured (again: at once)\n`);
	});
	try {
		const { label } = environment.label();
		screen.write(`Measuring on ${environment.name} (${label}), profile ${request.profile}\n`);
		const run = await environment.measure(request, screen, interrupt);
		showReport(await makeReport(run.dir), process.stdout);
		return verdict(run);
	} finally {
		interrupt.dispose();
	}
}

function verdict({ status, failedRounds, failedBlocks, dropped }: MeasuredRun): number {
	if (failedRounds + failedBlocks > 0) {
		process.stderr.write(`procsnap: ${failedRounds} rounds failed, ${failedBlocks} blocks ended early, ${dropped.length} variants were given up; the report says which and why\n`);
	}
	if (status === 'interrupted') {
		return 130;
	}
	return failedRounds + failedBlocks > 0 ? 1 : 0;
}

/** Those that are named, in the order in which they are known. */
function pick<T extends Experiment | Backend | Environment>(what: string, names: string[], known: T[]): T[] {
	const valid = known.map(({ name }) => name);
	for (const name of names) {
		expectOneOf(what, name, valid);
	}
	return known.filter(({ name }) => names.includes(name));
}

function parseSeed(text: string | undefined): number {
	if (text === undefined) {
		return randomBytes(4).readUInt32LE();
	}
	const seed = Number(text);
	if (!/^\d+$/.test(text) || seed > 0xffff_ffff) {
		throw new UsageError(`--seed ${text}: it is a whole number from 0 to 4294967295`);
	}
	return seed;
}
