/** `bench`: measures, and ends with the tables and the path of the report. */
import { randomBytes } from 'node:crypto';
import { ofOneMoment } from '../../mechanisms/shared/all.ts';
import { discoverExperiments, type Command } from '../discover.ts';
import type { Environment, MeasuredRun, Request } from '../environments/environment.ts';
import { createGuest } from '../environments/guest.ts';
import { describeHere } from '../environments/here.ts';
import { host } from '../environments/host.ts';
import { measureSeveral } from '../environments/several.ts';
import { Failure, UsageError } from '../../common/errors.ts';
import { describeChoices } from '../list.ts';
import { makeReport, showReport } from '../make-report.ts';
import { countOption, expectOneOf, helpFor, parseOptions, userPath, type Option } from '../../common/options.ts';
import { listenForInterrupts, type Interrupt } from '../runner/interrupt.ts';
import type { Mechanism, Experiment, ProfileName } from '../types.ts';

const MOST_ROUNDS = 100_000;
const PROFILES = ['smoke', 'paper'] as const;

/** The paper measured on one CPU; a machine of today has more. */
const GUESTS = [1, 2].map((cpus) => createGuest({ cpus, countInstructions: false }));
const COUNTING = createGuest({ cpus: 1, countInstructions: true });
const ENVIRONMENTS: Environment[] = [host, ...GUESTS];

const OPTIONS = {
	profile: {
		kind: 'one', value: 'NAME',
		help: 'paper (default): the paper\'s rounds; smoke: few rounds, only the host, a minute or two',
	},
	experiment: { kind: 'many', value: 'NAME', help: 'measure only this one; may be repeated' },
	backend: { kind: 'many', value: 'NAME', help: 'measure only this mechanism; may be repeated' },
	variant: { kind: 'many', value: 'TEXT', help: 'measure only variants with this in their name; may be repeated' },
	rounds: { kind: 'one', value: 'N', help: 'of each variant, instead of the profile\'s' },
	environment: {
		kind: 'many', value: 'NAME', help: 'host, or guest (of 1 and of 2 CPUs); may be repeated (default: all)',
	},
	'count-instructions': { kind: 'flag', help: 'only a guest of 1 CPU, and instructions instead of time: repeatable' },
	out: { kind: 'one', value: 'DIR', help: 'folder for the run, new or empty (default: results/runs/<id>)' },
	seed: { kind: 'one', value: 'N', help: 'of the order of measuring (default: drawn; the manifest has it)' },
	'no-report': { kind: 'flag', help: 'leave tables, charts and page to npm run report' },
	list: { kind: 'flag', help: 'show experiments, mechanisms, environments and profiles' },
	help: { kind: 'flag', help: 'this text' },
} as const satisfies Record<string, Option>;

const HELP = `npm run bench -- [options]

Measures what taking evidence from a running process costs it, on this machine and
in guests that boot the patched kernel, and reports it beside the paper's figures.

${helpFor(OPTIONS)}
The machine is looked at between blocks, and a block at which it was disturbed is
repeated (docs/machine.md). The kernel is built once, which takes some minutes; QEMU uses KVM where that works.

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
		const profile = expectOneOf('profile', values.profile?.at(-1) ?? 'paper', PROFILES);
		const environments = chooseEnvironments(values.environment, profile, flags.has('count-instructions'));
		const seed = parseSeed(values.seed?.at(-1));
		const rounds = values.rounds?.at(-1);
		const options = {
			experiments: values.experiment ?? [], backends: values.backend ?? [],
			...(values.variant === undefined ? {} : { variants: values.variant }),
			...(rounds === undefined ? {} : { rounds: countOption('rounds', rounds, 1, MOST_ROUNDS) }),
		};
		const request = {
			profile,
			seed,
			out: values.out === undefined ? undefined : userPath(values.out.at(-1) ?? '.'),
			experiments: options.experiments.length === 0
				? experiments
				: pick('experiment', options.experiments, experiments),
			mechanisms: options.backends.length === 0
				? ofOneMoment()
				: pick('backend', options.backends, ofOneMoment()),
			options,
		};
		if (flags.has('list')) {
			process.stdout.write(describeChoices(experiments, ofOneMoment(), ENVIRONMENTS, PROFILES));
			return 0;
		}
		return measure(environments, request, !flags.has('no-report'));
	},
};

/** A quick look does not wait for a kernel to be built. */
function chooseEnvironments(
	names: string[] | undefined, profile: ProfileName, countInstructions: boolean
): Environment[] {
	const usual = profile === 'smoke' ? [host] : ENVIRONMENTS;
	const chosen = names === undefined ? usual : pick('environment', names, ENVIRONMENTS);
	if (!countInstructions) {
		return chosen;
	}
	if (names !== undefined && chosen.includes(host)) {
		throw new UsageError('--count-instructions works only in a guest: leave --environment host out');
	}
	return [COUNTING];
}

async function measure(environments: Environment[], request: Request, report: boolean): Promise<number> {
	const screen = process.stderr;
	const interrupt = listenForInterrupts((signal) => {
		screen.write(`\n${signal}: ending after this round, keeping what was measured (again: at once)\n`);
	});
	const announce = (environment: Environment) => {
		const label = environment.label();
		screen.write(
			`Measuring on ${environment.heading}${label === null ? '' : ` (${label.label})`}, profile ` +
				`${request.profile}\n`
		);
	};
	try {
		const { dir, codes } = await measureAll(environments, request, screen, interrupt, announce);
		if (report) {
			showReport(await makeReport(dir), process.stdout);
		}
		return interrupt.requested ? 130 : Math.max(...codes);
	} finally {
		interrupt.dispose();
	}
}

/** The run's folder, and the exit code that each environment asks for. */
async function measureAll(
	environments: Environment[], request: Request, screen: NodeJS.WriteStream, interrupt: Interrupt,
	announce: (environment: Environment) => void
): Promise<{ dir: string; codes: number[] }> {
	const [only, ...others] = environments;
	if (only !== undefined && others.length === 0) {
		const reason = only.unavailable();
		if (reason !== null) {
			throw new Failure(`the environment ${only.name} cannot be used here: ${reason}`);
		}
		// In a guest its host has said it already.
		if (describeHere().environment.guest === null) {
			announce(only);
		}
		const run = await only.measure(request, screen, interrupt);
		if (run.failure !== null) {
			screen.write(`procsnap: ${only.heading}: ${run.failure}\n`);
		}
		return { dir: run.dir, codes: [verdict(only, run)] };
	}
	const { dir, parts } = await measureSeveral(environments, request, screen, interrupt, announce);
	return { dir, codes: parts.map(({ environment, run }) => (run === null ? 1 : verdict(environment, run))) };
}

function verdict(environment: Environment, { status, failedRounds, failedBlocks, dropped }: MeasuredRun): number {
	if (failedRounds + failedBlocks > 0) {
		process.stderr.write(
			`procsnap: ${environment.heading}: ${failedRounds} rounds failed, ${failedBlocks} blocks ended early, ` +
				`${dropped.length} variants were given up; the report says which and why\n`
		);
	}
	if (status === 'interrupted') {
		return 130;
	}
	return failedRounds + failedBlocks > 0 || status === 'failed' ? 1 : 0;
}

/** Those that are named, in the order in which they are known. */
function pick<T extends Experiment | Mechanism | Environment>(what: string, names: string[], known: readonly T[]): T[] {
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
