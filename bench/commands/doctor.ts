/** `doctor`: what is this machine fit to measure? */
import { helpFor, parseOptions, type Option } from '../../common/options.ts';
import { out } from '../../common/terminal.ts';
import type { Command } from '../discover.ts';
import { CHECKS } from '../doctor/checks.ts';
import { thisMachine } from '../doctor/machine.ts';
import { findingLines, verdictLines } from '../doctor/show.ts';
import { tunedText } from '../tune/state.ts';
import { treeAt } from '../tune/tree.ts';
import { EXIT_CODES, examine, verdictOf } from '../doctor/verdict.ts';

const OPTIONS = {
	json: { kind: 'flag', help: 'one line of JSON, with all that was measured' },
	help: { kind: 'flag', help: 'this text' },
} as const satisfies Record<string, Option>;

const HELP = `npm run doctor -- [options]

What is this machine fit to measure: counts, ratios within a run, times, worst
cases? Each check says what is wanted, what was found, why it matters and how to
change it. Nothing is changed; it takes up to 20 s, in which all CPUs are taken
for 0.2 s at a time, with real-time priority where that is allowed.

${helpFor(OPTIONS)}
Exit code: 0 fit for all; otherwise the first of these that it is not known to be
fit for: ${Object.entries(EXIT_CODES).toSorted(([, a], [, b]) => b - a).map(([use, code]) => `${code} ${use}`).join(', ')}. 1 a run-time error; 2 wrong usage.
`;

export const command: Command = {
	summary: 'say what this machine is fit to measure',
	run: async (args) => {
		const { flags } = parseOptions(args, OPTIONS);
		if (flags.has('help')) {
			process.stdout.write(HELP);
			return 0;
		}
		const tuned = tunedText(treeAt('/'));
		const machine = await thisMachine();
		const findings = examine(machine, CHECKS), verdict = verdictOf(findings);
		if (flags.has('json')) {
			const { label, evidence, floors } = machine;
			out.json({ schemaVersion: 1, ...verdict, tuned, label, evidence, findings, floors });
		} else {
			out.lines([...verdictLines(verdict, tuned), ...findingLines(findings)]);
		}
		return verdict.exitCode;
	},
};
