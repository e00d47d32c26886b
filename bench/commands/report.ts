/** `report DIR`: makes a run's tables, charts and page again from its manifest and samples. */
import { UsageError } from '../../common/errors.ts';
import { makeReport, showReport } from '../make-report.ts';
import { helpFor, parseOptions, userPath } from '../../common/options.ts';
import type { Command } from '../discover.ts';

const OPTIONS = { help: { kind: 'flag', help: 'this text' } } as const;

const HELP = `npm run report -- DIR

Makes tables, charts and report.html of the run in DIR again, from manifest.json
and samples.jsonl, byte for byte. results/latest is the newest run.

${helpFor(OPTIONS)}
Exit code: 0 done; 1 the run cannot be read or written; 2 wrong usage.
`;

export const command: Command = {
	summary: 'make a run\'s tables, charts and page again',
	run: async (args) => {
		const { flags, positionals: [dir] } = parseOptions(args, OPTIONS, 1);
		if (flags.has('help')) {
			process.stdout.write(HELP);
			return 0;
		}
		if (dir === undefined) {
			throw new UsageError('report needs the folder of a run: npm run report -- results/latest');
		}
		showReport(await makeReport(userPath(dir)), process.stdout);
		return 0;
	},
};
