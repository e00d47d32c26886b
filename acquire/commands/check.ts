/** procsnap check PID: would a duplicate be taken, what would it cost, and what speaks against it. Nothing is done. */
import { forEvidence, mechanismFor } from '../../mechanisms/shared/all.ts';
import type { Estimate, Mechanism } from '../../mechanisms/shared/types.ts';
import { ProcsnapError, Tracer, type Reason } from '../../native/index.ts';
import { pidOf } from '../arguments.ts';
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
it. Says whether procsnap take would duplicate it on a stock kernel, how long it would be paused, how
much memory that could take, and what speaks against it. take looks at the same things first.`,
	options: OPTIONS,
	examples: ['procsnap check 1234', 'procsnap check 1234 --json'],
	exits: '0 it would be taken; 1 it would be refused; 2 wrong usage.',
};

const REFUSED = 1;

export function run(args: string[]): Promise<number> {
	const { flags, positionals } = parseOptions(args, OPTIONS, 1);
	const pid = pidOf(positionals[0], 'check');
	const mechanism = mechanismFor(), estimating = estimatingMechanism();
	const estimate = estimated(estimating, pid);
	const refusals = estimate.reasons.filter(({ code }) => code !== null);
	if (flags.has('json')) {
		process.stdout.write(
			`${JSON.stringify({ pid, taken: refusals.length === 0, mechanism: mechanism.name, ...estimate })}\n`
		);
	} else {
		const told = lines(pid, { mechanism, estimating, estimate, refusals })
			.flatMap((line) => wrapped(printable(line)));
		process.stdout.write(told.map((line) => `${line}\n`).join(''));
	}
	return Promise.resolve(refusals.length === 0 ? 0 : REFUSED);
}

type Estimating = Mechanism & Required<Pick<Mechanism, 'estimate'>>;

/** The default mechanism, or the first that can tell before it is used. */
function estimatingMechanism(): Estimating {
	const found = [mechanismFor(), ...forEvidence()].find((each): each is Estimating => each.estimate !== undefined);
	if (found === undefined) throw new Failure('no mechanism of this machine can tell before it is used');
	return found;
}

function estimated({ estimate }: Estimating, pid: number): Estimate {
	const tracer = Tracer.start({ dataBytes: 1 << 16 });
	try {
		return estimate(tracer, pid);
	} catch (error) {
		throw error instanceof ProcsnapError ? new Failure(error.message) : error;
	} finally {
		tracer.close();
	}
}

interface Checked { mechanism: Mechanism; estimating: Mechanism; estimate: Estimate; refusals: Reason[] }

function lines(pid: number, { mechanism, estimating, estimate, refusals }: Checked): string[] {
	const { reasons, threads, residentKib, growthKib, headroomKib, pauseNs, unseen } = estimate;
	const verdict = `process ${pid} would be ${refusals.length === 0 ? 'taken' : 'refused'}`;
	const kib = (size: number): string => bytesText(size * 1024);
	return [
		refusals[0] === undefined ? verdict : `${verdict} (${refusals[0].name})`,
		...(refusals.length > 0 ? [] : [`  how: ${estimating.description}`]),
		...(refusals.length > 0 || mechanism === estimating
			? []
			: [`  take uses ${mechanism.name} instead here: ${mechanism.description}`]),
		...(pauseNs === null
			? []
			: [
				`  pause: about ${durationText(pauseNs)}, of ${threads} ` +
					`thread${threads === 1 ? '' : 's'} and ${kib(residentKib)}`,
			]),
		...(threads === 0 ? [] : [`  memory: at most ${kib(growthKib)} more while the duplicate is there, of ${
			headroomKib === null ? 'a room that is not limited' : `${kib(headroomKib)} that are free`}`]),
		...reasons.map(({ name, code, text }) => `  ${code === null ? 'note' : 'refused'}: ${name}: ${text}`),
		...(refusals.length > 0 || unseen.length === 0 ? [] : [`  seen only when it is stopped: ${unseen.join(', ')}`]),
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
