/** procsnap check PID: would a duplicate be taken, what would it cost, and what speaks against it. Nothing is done. */
import { ProcsnapError, snapUnavailable, Tracer, type Preflight, type Reason } from '../../native/index.ts';
import { pidOf } from '../arguments.ts';
import { DESCRIPTIONS } from '../duplicate.ts';
import { Failure } from '../../common/errors.ts';
import { bytesText, durationText, printable } from '../../common/format.ts';
import { parseOptions, type Option } from '../../common/options.ts';

export const summary = 'say whether a duplicate would be taken, its cost, and why not';

const OPTIONS = {
	json: { kind: 'flag', help: 'print one line of JSON for machines' },
	help: { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap check PID [OPTIONS]',
	text: `Looks at the process from outside, through /proc and cgroup file systems, and does nothing to
it. Says whether procsnap take would duplicate it by inject, how long it would be paused, how
much memory that could take, and what speaks against it. take looks at the same things first.`,
	options: OPTIONS,
	examples: ['procsnap check 1234', 'procsnap check 1234 --json'],
	exits: '0 it would be taken; 1 it would be refused; 2 wrong usage.',
};

const REFUSED = 1;

export function run(args: string[]): Promise<number> {
	const { flags, positionals } = parseOptions(args, OPTIONS, 1);
	const pid = pidOf(positionals[0], 'check');
	const preflight = checked(pid);
	const refusals = preflight.reasons.filter(({ code }) => code !== null);
	const mechanism = snapUnavailable() === null ? 'syscall' : 'inject';
	if (flags.has('json')) {
		process.stdout.write(`${JSON.stringify({ pid, taken: refusals.length === 0, mechanism, ...preflight })}\n`);
	} else {
		const told = lines(pid, mechanism, preflight, refusals).flatMap((line) => wrapped(printable(line)));
		process.stdout.write(told.map((line) => `${line}\n`).join(''));
	}
	return Promise.resolve(refusals.length === 0 ? 0 : REFUSED);
}

function checked(pid: number): Preflight {
	const tracer = Tracer.start({ dataBytes: 1 << 16 });
	try {
		return tracer.check(pid);
	} catch (error) {
		throw error instanceof ProcsnapError ? new Failure(error.message) : error;
	} finally {
		tracer.close();
	}
}

function lines(pid: number, mechanism: 'syscall' | 'inject', preflight: Preflight, refusals: Reason[]): string[] {
	const { reasons, threads, residentKib, growthKib, headroomKib, pauseNs } = preflight;
	const verdict = `process ${pid} would be ${refusals.length === 0 ? 'taken' : 'refused'}`;
	const kib = (size: number): string => bytesText(size * 1024);
	return [
		refusals[0] === undefined ? verdict : `${verdict} (${refusals[0].name})`,
		...(refusals.length > 0 ? [] : [`  how: ${DESCRIPTIONS.inject}`]),
		...(refusals.length > 0 || mechanism === 'inject' ? [] : ['  this kernel has create_proc_snap(), which take uses instead: no thread is stopped']),
		...(pauseNs === null ? [] : [`  pause: about ${durationText(pauseNs)}, of ${threads} thread${threads === 1 ? '' : 's'} and ${kib(residentKib)}`]),
		...(threads === 0 ? [] : [`  memory: at most ${kib(growthKib)} more while the duplicate is there, of ${
			headroomKib === null ? 'a room that is not limited' : `${kib(headroomKib)} that are free`}`]),
		...reasons.map(({ name, code, text }) => `  ${code === null ? 'note' : 'refused'}: ${name}: ${text}`),
		...(refusals.length > 0 ? [] : ['  seen only when it is stopped: syscall user dispatch (Wine)']),
	];
}

const COLUMNS = 100;

/** Broken at blanks where it is longer than a terminal is wide; what is broken off is indented. */
function wrapped(line: string): string[] {
	const out = [''];
	for (const word of line.split(/(?<=\S) /)) {
		const last = out.at(-1) ?? '';
		if (last !== '' && last.length + 1 + word.length > COLUMNS) out.push(`    ${word}`);
		else out[out.length - 1] = last === '' ? word : `${last} ${word}`;
	}
	return out;
}
