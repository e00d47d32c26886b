/** npm run soak: the command line. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf, UsageError } from '../../common/errors.ts';
import { countOption, expectOneOf, helpFor, parseOptions, userPath, type Option } from '../../common/options.ts';
import { exitNow } from '../../native/index.ts';
import { KINDS } from './kinds.ts';
import { selfTest } from './self-test.ts';
import { soak } from './soak.ts';
import { isGood, summaryLine, toMarkdown } from './verdict.ts';

const OPTIONS = {
	'minutes': { kind: 'one', value: 'N', help: 'end after so many minutes (default: 30); fractions are allowed' },
	'takes': {
		kind: 'one', value: 'N', help: 'end when so many duplicates were taken (default: when the time is over)',
	},
	'rate': { kind: 'one', value: 'N', help: 'takes a second, of all takers together (default: 60)' },
	'takers': { kind: 'one', value: 'N', help: 'requesters at the same time (default: 3)' },
	'only': { kind: 'many', value: 'KIND', help: 'only this kind of target; may be repeated' },
	'control': {
		kind: 'flag', help: 'no takes, and targets start anew all the time: what is harmed then is not harmed by takes',
	},
	'no-faults': { kind: 'flag', help: 'takes only: nobody is killed, frozen or traced by others' },
	'seed': { kind: 'one', value: 'N', help: 'of all that is drawn (default: drawn; the verdict has it)' },
	'out': { kind: 'one', value: 'DIR', help: 'folder for verdict.json and verdict.md (default: results/runs/soak)' },
	'self-test': { kind: 'flag', help: 'harm each kind of target on purpose, and look whether that is seen' },
	'help': { kind: 'flag', help: 'this text' },
} as const satisfies Record<string, Option>;

const HELP = `npm run soak -- [options]

Takes duplicates of targets of all kinds at once, by every mechanism, while requesters,
tracers and collectors are killed, targets are frozen, stopped and traced by others, and
memory limits are tightened. Each target knows when it is harmed, and says so.

${helpFor(OPTIONS)}
Kinds: ${KINDS.map(({ name }) => name).join(', ')}

Ctrl-C ends it, removes what it made, and gives the verdict on what was done by then; a
second Ctrl-C ends it at once.

Exit code: 0 nothing was harmed and nothing is left; 1 something was, or a run-time
error; 2 wrong usage; 130 interrupted.
`;

async function main(args: string[]): Promise<number> {
	const { flags, values } = parseOptions(args, OPTIONS);
	if (flags.has('help')) {
		process.stdout.write(HELP);
		return 0;
	}
	const count = (name: 'takes' | 'rate' | 'takers' | 'seed', least: number, most: number, usual: number): number => {
		const text = values[name]?.at(-1);
		return text === undefined ? usual : countOption(name, text, least, most);
	};
	const minutes = Number(values.minutes?.at(-1) ?? 30);
	if (!(minutes > 0 && minutes <= 10_000))
		throw new UsageError(`--minutes ${values.minutes?.at(-1) ?? ''}: it is a number over 0, up to 10000`);
	const only = (values.only ?? []).map((name) => expectOneOf('kind', name, KINDS.map((kind) => kind.name)));
	const say = (text: string): void => void process.stdout.write(`soak: ${text}\n`);
	const interrupt = new AbortController();
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
		process.on(name, () => {
			// npm passes Ctrl-C on, so that it comes twice at once.
			if (interrupt.signal.aborted && performance.now() - interruptedAt > 500) void exitNow(130);
			interruptedAt = performance.now();
			interrupt.abort();
		});
	let interruptedAt = 0;
	if (flags.has('self-test')) return await selfTest({ only, say, signal: interrupt.signal }) ? 0 : 1;
	const seed = count('seed', 0, 0xffff_ffff, randomBytes(4).readUInt32LE());
	const verdict = await soak({
		seed, minutes, takes: count('takes', 1, 1e9, Infinity), rate: count('rate', 1, 10_000, 60),
		takers: count('takers', 1, 64, 3),
		only, control: flags.has('control'), faults: !flags.has('no-faults'), signal: interrupt.signal, say,
	});
	const out = userPath(values.out?.at(-1) ?? 'results/runs/soak');
	mkdirSync(out, { recursive: true });
	writeFileSync(join(out, 'verdict.json'), `${JSON.stringify(verdict, null, '\t')}\n`);
	writeFileSync(join(out, 'verdict.md'), toMarkdown(verdict));
	for (const left of verdict.leftovers) say(`LEFT OVER: ${left}`);
	for (const [what, times] of Object.entries(verdict.tally.wrong)) say(`WRONG: ${times} times ${what}`);
	say(`${isGood(verdict) ? 'good' : 'FAILED'}: ${summaryLine(verdict)}; ${join(out, 'verdict.md')}`);
	return isGood(verdict) ? interrupt.signal.aborted ? 130 : 0 : 1;
}

await exitNow(await main(process.argv.slice(2)).catch((error: unknown) => {
	process.stderr.write(
		`soak: ${error instanceof Failure ? error.message : error instanceof Error ? error.stack ?? messageOf(error) : messageOf(error)}\n`
	);
	return error instanceof UsageError ? 2 : 1;
}));
