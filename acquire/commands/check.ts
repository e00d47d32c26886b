/**
 * procsnap check PID: would it be taken, by which mechanism, at what cost, and what speaks against it. Nothing is done.
 */
import type { Disturbance, Estimate, Mechanism } from '../../mechanisms/shared/types.ts';
import { mechanismsFor } from '../../mechanisms/shared/all.ts';
import { ProcsnapError, Tracer, type Reason } from '../../native/index.ts';
import { pidOf } from '../arguments.ts';
import { candidatesFor } from '../candidates.ts';
import { chooseMechanism, disturbanceText, type Candidate, type Choice } from '../choice.ts';
import { Failure } from '../../common/errors.ts';
import { bytesText, durationText } from '../../common/format.ts';
import { parseOptions, type Option } from '../../common/options.ts';
import { out } from '../../common/terminal.ts';
import { MECHANISMS } from '../mechanism-option.ts';
import { offerFor } from '../running.ts';

export const summary = 'say whether a process would be taken, how, at what cost, and why not';

const OPTIONS = {
	mechanism: { ...MECHANISMS, help: 'look at these only, and not at all that there are' },
	json: { kind: 'flag', help: 'print one line of JSON for machines' },
	help: { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap check PID [OPTIONS]',
	text: `Looks at the process from outside, through /proc and cgroup file systems, and does nothing to
it. Says whether procsnap take would take it, by which mechanism and why, how long it would be paused,
how much memory that could take, and what speaks against it. take looks at the same things first.`,
	options: OPTIONS,
	examples: ['procsnap check 1234', 'procsnap check 1234 --mechanism inject --json'],
	exits: '0 it would be taken; 1 it would be refused; 2 wrong usage.',
};

const REFUSED = 1;

export function run(args: string[]): Promise<number> {
	const { flags, values, positionals } = parseOptions(args, OPTIONS, 1);
	const pid = pidOf(positionals[0], 'check');
	const mechanisms = values.mechanism === undefined ? undefined : mechanismsFor(values.mechanism);
	const { candidates, checked } = lookedAt(pid, mechanisms);
	const { choice: { mechanism, why, passedOver }, estimate, refusals, offer } = checked;
	const taken = refusals.length === 0;
	if (flags.has('json')) {
		out.json({
			pid, taken, mechanism: mechanism.name, ofOneMoment: mechanism.ofOneMoment, why, passedOver, ...estimate,
			offer, candidates: candidates.map(brief),
		});
	} else {
		out.lines(lines(pid, checked).flatMap((line) => wrapped(line)));
	}
	return Promise.resolve(taken ? 0 : REFUSED);
}

function lookedAt(pid: number, mechanisms: Mechanism[] | undefined): { candidates: Candidate[]; checked: Checked } {
	// Of the rank that the tracer of a take has: what it times is what that would take.
	const tracer = Tracer.start({ priority: 1, dataBytes: 1 << 16 });
	try {
		const candidates = candidatesFor(tracer, pid, { mechanisms, all: true });
		const found = judged(candidates, chooseMechanism(candidates));
		const wasAsked = mechanisms?.some(({ ofOneMoment }) => !ofOneMoment) === true;
		const offer = found.refusals.length === 0 || wasAsked ? null : offerFor(tracer, pid);
		return { candidates, checked: { ...found, offer } };
	} catch (error) {
		throw error instanceof ProcsnapError ? new Failure(error.message) : error;
	} finally {
		tracer.close();
	}
}

interface Checked {
	choice: Choice;
	/** Whose estimate follows: the chosen one, or the first that predicts. */
	estimating: Mechanism;
	estimate: Estimate;
	refusals: Reason[];
	/** What else there is for a process that is refused. */
	offer: string | null;
}

function judged(candidates: readonly Candidate[], choice: Choice): Omit<Checked, 'offer'> {
	const predicting = candidates.filter(({ estimate }) => estimate !== null);
	const found = predicting.find(({ mechanism }) => mechanism === choice.mechanism) ?? predicting[0];
	if (found?.estimate == null) throw new Failure('no mechanism of this machine can tell before it is used');
	const { mechanism: estimating, estimate } = found;
	return { choice, estimating, estimate, refusals: estimate.reasons.filter(({ code }) => code !== null) };
}

/** Of each in a few fields: what the others are compared by. */
const brief = ({ mechanism: { name }, unavailable, estimate }: Candidate): {
	mechanism: string; unavailable: string | null; pauseNs: number | null; disturbance: Disturbance | null;
	reasons: Array<Pick<Reason, 'name' | 'code'>>;
} => ({
	mechanism: name, unavailable, pauseNs: estimate?.pauseNs ?? null, disturbance: estimate?.disturbance ?? null,
	reasons: (estimate?.reasons ?? []).map(({ name: reason, code }) => ({ name: reason, code })),
});

function lines(pid: number, { choice, estimating, estimate, refusals, offer }: Checked): string[] {
	const { reasons, threads, residentKib, growthKib, headroomKib, pauseNs, unseen, disturbance } = estimate;
	const { mechanism, why, passedOver } = choice;
	const verdict = `process ${pid} would be ${refusals.length === 0 ? 'taken' : 'refused'}`;
	const kib = (size: number): string => bytesText(size * 1024);
	const room = headroomKib === null ? 'a room that is not limited' : `${kib(headroomKib)} that are free`;
	return [
		refusals[0] === undefined ? verdict : `${verdict} (${refusals[0].name})`,
		...(refusals.length > 0 ? [] : [`  by ${mechanism.name}: ${why}`, `  how: ${mechanism.description}`]),
		...(refusals.length > 0 || mechanism === estimating ? [] : [`  what follows is of ${estimating.name}`]),
		...(refusals.length > 0 || mechanism.ofOneMoment
			? []
			: ['  NOT of one moment: each region would be read at a time of its own, and no registers']),
		...(pauseNs === null
			? []
			: pauseNs === 0 ? [`  pause: none, of ${threads} thread${threads === 1 ? '' : 's'} and ${kib(residentKib)}`] : [
				`  pause: about ${durationText(pauseNs)}, of ${threads} ` +
					`thread${threads === 1 ? '' : 's'} and ${kib(residentKib)}`,
			]),
		...(disturbance === null ? [] : [`  while it runs: ${disturbanceText(disturbance)}`]),
		...(threads === 0
			? []
			: [
				growthKib === 0
					? '  memory: no more than it has'
					: `  memory: at most ${kib(growthKib)} more while the duplicate is there, of ${room}`,
			]),
		...reasons.map(({ name, code, text }) => `  ${code === null ? 'note' : 'refused'}: ${name}: ${text}`),
		...(offer === null ? [] : [`  ${offer}`]),
		...(refusals.length > 0 || unseen.length === 0 ? [] : [`  seen only when it is taken: ${unseen.join(', ')}`]),
		// Of one that is refused, they would say the same once more.
		...(refusals.length > 0 ? [] : passedOver.map((other) => `  not by ${other.name}: ${other.why}`)),
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
