/** npm run oracle: the command line. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, UsageError } from '../../common/errors.ts';
import { countOption, expectOneOf, helpFor, parseOptions, userPath, type Option } from '../../common/options.ts';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import { exitNow } from '../../native/index.ts';
import { sum } from '../soak/tally.ts';
import { runOracle } from './oracle.ts';
import { isGood, summaryLine, traceOf, type OracleTally } from './tally.ts';

const OPTIONS = {
	'images': { kind: 'one', value: 'N', help: 'end when so many were taken and checked (default: 100000)' },
	'minutes': { kind: 'one', value: 'N', help: 'end after so many minutes (default: no limit)' },
	'mechanism': {
		kind: 'many', value: 'NAME',
		help: 'only by this one; may be repeated (default: all that evidence can be taken by here, in turn)',
	},
	'takers': { kind: 'one', value: 'N', help: 'targets, each with a tracer, at the same time (default: 1)' },
	'seed': { kind: 'one', value: 'N', help: 'of all that is drawn (default: drawn; the summary has it)' },
	'out': {
		kind: 'one', value: 'DIR', help: 'folder for verdict.json, with what is wrong (default: results/runs/oracle)',
	},
	'control': { kind: 'flag', help: 'each image is compared with what it is not: nearly all have to be found wrong' },
	'help': { kind: 'flag', help: 'this text' },
} as const satisfies Record<string, Option>;

const HELP = `npm run oracle -- [options]

Takes images of programs that write to their memory, give it up, map it anew, move it and
fork, in 1 to 8 threads, and that count what they do: so every byte of an image as of one
moment is known. All pages of each image are compared with that, by every mechanism.

${helpFor(OPTIONS)}
Ctrl-C ends it, and gives the summary of what was done by then.

Exit code: 0 every image was right (--control: most were found wrong); 1 one was not, or a
run-time error; 2 wrong usage; 130 interrupted.
`;

const TERMINAL_MS = 500, LOG_MS = 60_000;

/** One line, which is written over on a terminal. */
function createLine(): { show: (tally: OracleTally, seconds: number) => void; end: () => void } {
	const { isTTY } = process.stdout;
	let last = performance.now();
	return {
		show: ({ images, pages, refused }, seconds) => {
			if (performance.now() - last < (isTTY ? TERMINAL_MS : LOG_MS)) return;
			last = performance.now();
			const counts = `${sum(images)} images, ${pages} pages, ${sum(refused)} refused`;
			const text = `oracle: ${counts}, ${Math.round(seconds)} s`;
			process.stdout.write(isTTY ? `\r\x1b[K${text}` : `${text}\n`);
		},
		end: () => {
			if (isTTY) process.stdout.write('\r\x1b[K');
		},
	};
}

function mechanismsFor(names: readonly string[]): string[] {
	const known = forEvidence(), here = known.filter(({ unavailable }) => unavailable() === null);
	for (const name of names) {
		expectOneOf('mechanism', name, known.map((mechanism) => mechanism.name));
		const reason = known.find((mechanism) => mechanism.name === name)?.unavailable() ?? null;
		if (reason !== null) throw new Failure(`--mechanism ${name}: ${reason}`);
	}
	return names.length > 0 ? [...names] : here.map(({ name }) => name);
}

async function main(args: string[]): Promise<number> {
	const { flags, values } = parseOptions(args, OPTIONS);
	if (flags.has('help')) {
		process.stdout.write(HELP);
		return 0;
	}
	const count = (name: 'images' | 'takers' | 'seed', least: number, most: number, usual: number): number => {
		const text = values[name]?.at(-1);
		return text === undefined ? usual : countOption(name, text, least, most);
	};
	const minutes = Number(values.minutes?.at(-1) ?? Infinity);
	if (!(minutes > 0)) throw new UsageError(`--minutes ${values.minutes?.at(-1) ?? ''}: it is a number over 0`);
	const interrupt = new AbortController();
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupt.abort());
	const line = createLine();
	const verdict = await runOracle({
		seed: count('seed', 0, 0xffff_ffff, randomBytes(4).readUInt32LE()), images: count('images', 1, 1e9, 100_000),
		minutes, mechanisms: mechanismsFor(values.mechanism ?? []), takers: count('takers', 1, 64, 1),
		control: flags.has('control'), signal: interrupt.signal, progress: line.show,
	});
	line.end();
	const out = userPath(values.out?.at(-1) ?? 'results/runs/oracle'), file = join(out, 'verdict.json');
	mkdirSync(out, { recursive: true });
	writeFileSync(file, `${JSON.stringify(verdict, null, '\t')}\n`);
	const say = (text: string): void => void process.stdout.write(`oracle: ${text}\n`);
	for (const { what, mechanism, threads, coldPages, firstSeed, image } of verdict.wrong)
		say(`WRONG: ${mechanism}, image ${image} of shifting ${threads} ${coldPages} ${firstSeed}: ${what}`);
	for (const what of verdict.failed) say(`FAILED: ${what}`);
	say(`${isGood(verdict) ? 'good' : 'FAILED'}: ${summaryLine(verdict)}; ${file}`);
	return isGood(verdict) ? interrupt.signal.aborted ? 130 : 0 : 1;
}

await exitNow(await main(process.argv.slice(2)).catch((error: unknown) => {
	process.stderr.write(`oracle: ${error instanceof Failure ? error.message : traceOf(error)}\n`);
	return error instanceof UsageError ? 2 : 1;
}));
