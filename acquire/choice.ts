/** Which mechanism a take uses, which ones it turns to when that gives up, and why. Pure. */
import { Failure } from '../common/errors.ts';
import { durationText } from '../common/format.ts';
import type { Disturbance, Estimate, Mechanism } from '../mechanisms/shared/types.ts';
import type { Reason } from '../native/index.ts';

/** What is known of a mechanism before the target is touched. */
export interface Candidate {
	mechanism: Mechanism;
	/** Why it cannot be used on this machine. */
	unavailable: string | null;
	/** null: it does not predict. */
	estimate: Estimate | null;
}

export interface PassedOver { name: string; why: string }

export interface Choice {
	mechanism: Mechanism;
	/** A sentence without its beginning and its full stop. */
	why: string;
	/** To be tried in this order where the target is whole and those before have given up. */
	next: Mechanism[];
	/** Those that another one was preferred to, in order. */
	passedOver: PassedOver[];
}

/** So short a pause is no reason to look for a shorter one. */
const SHORT_NS = 1_000_000;
/** Another one is to be better than the first by more than what an estimate is wrong by. */
const TIMES_SHORTER = 2;
/** Where a page costs more, a copy that is made while the target runs disturbs it for long. */
const DEAR_PAGE_NS = 5000;

/**
 * Of candidates in their order: the first that can be used here and does not refuse the process; unless its pause is
 * predicted to be above a millisecond, and another one's is less than half of it, and the steps of that one are
 * cheap on this machine. Where all refuse, the first, which will say why. Throws Failure where none can be used.
 */
export function chooseMechanism(candidates: readonly Candidate[]): Choice {
	const usable = candidates.filter(({ unavailable }) => unavailable === null);
	const open = usable.filter((each) => refusalOf(each) === null), first = open[0] ?? usable[0];
	if (first === undefined) {
		const reasons = candidates.map(({ mechanism, unavailable }) => `${mechanism.name}: ${unavailable}`);
		throw new Failure(`no mechanism can be used here: ${reasons.join('; ')}`);
	}
	const chosen = open.filter((each) => whyNotBetter(each, first) === null).sort(byPause)[0] ?? first;
	return {
		mechanism: chosen.mechanism,
		why: chosen === first ? whyFirst(first, usable, open) : whyBetter(chosen, first),
		next: open.filter((each) => each !== chosen).map(({ mechanism }) => mechanism),
		passedOver: candidates.filter((each) => each !== chosen)
			.map((each) => ({ name: each.mechanism.name, why: whyNot(each, first, chosen) })),
	};
}

/** Asked for by name: no choice, and no other is tried. */
export const asAsked = ([first, ...next]: readonly [Mechanism, ...Mechanism[]]): Choice => ({
	mechanism: first, next, passedOver: [],
	why: next.length === 0
		? 'it was asked for'
		: `it was asked for, and after it ${next.map(({ name }) => name).join(', then ')}`,
});

/** The first one: what a take says. */
const refusalOf = ({ estimate }: Candidate): Reason | null =>
	estimate?.reasons.find(({ code }) => code !== null) ?? null;

const pauseOf = ({ estimate }: Candidate): number | null => estimate?.pauseNs ?? null;
const byPause = (a: Candidate, b: Candidate): number => Number(pauseOf(a)) - Number(pauseOf(b));

/** null: it is to be used instead of the first one. */
function whyNotBetter(other: Candidate, first: Candidate): string | null {
	const name = first.mechanism.name, pauseNs = pauseOf(other), firstNs = pauseOf(first);
	if (other === first) return 'it is the first';
	if (!other.mechanism.ofOneMoment) return 'what it reads is not of one moment';
	if (firstNs === null) return `${name} comes first`;
	if (firstNs <= SHORT_NS) return `${name} comes first, and its predicted pause is short, ${durationText(firstNs)}`;
	if (pauseNs === null) return `${name} comes first, and the pause of this one cannot be predicted here`;
	if (pauseNs * TIMES_SHORTER >= firstNs)
		return `its predicted pause of ${durationText(pauseNs)} is not less than half of that by ${name}, ${durationText(firstNs)}`;
	const disturbance = other.estimate?.disturbance ?? null;
	return disturbance !== null && disturbance.pageNs > DEAR_PAGE_NS
		? `its predicted pause is ${durationText(pauseNs)}, but on this machine it would disturb the process too much: ${disturbanceText(disturbance)}`
		: null;
}

const whyBetter = (chosen: Candidate, first: Candidate): string => [
	`a predicted pause of ${durationText(Number(pauseOf(chosen)))} instead of ${durationText(Number(pauseOf(first)))} by ` +
		first.mechanism.name,
	...(chosen.estimate?.disturbance == null ? [] : [`protecting a page costs ${pageText(chosen.estimate.disturbance)} here`]),
].join('; ');

function whyFirst(first: Candidate, usable: readonly Candidate[], open: readonly Candidate[]): string {
	if (open.length === 0) return 'the first that can be used here, and all of them would refuse the process';
	const refusing = usable.slice(0, usable.indexOf(first))
		.map((each) => `${each.mechanism.name}: ${refusalOf(each)?.name}`);
	if (refusing.length > 0) return `the first that would not refuse the process (${refusing.join('; ')})`;
	const pauseNs = pauseOf(first);
	return `the first that can be used here${pauseNs === null ? '' : `, with a predicted pause of ${durationText(pauseNs)}`}`;
}

function whyNot(other: Candidate, first: Candidate, chosen: Candidate): string {
	if (other.unavailable !== null) return other.unavailable;
	const refusal = refusalOf(other);
	if (refusal !== null) return `it would refuse the process (${refusal.name}: ${refusal.text})`;
	return (other === first ? null : whyNotBetter(other, first)) ?? `its predicted pause is ${durationText(Number(pauseOf(other)))}, and that by ` +
		`${chosen.mechanism.name} is ${durationText(Number(pauseOf(chosen)))}`;
}

export const disturbanceText = ({ pageNs, lastsNs }: Disturbance): string =>
	`pages are protected in short steps, ${durationText(lastsNs)} in all, at ${pageText({ pageNs })} a page`;

/** Of tenths of a microsecond, where others are of whole ones. */
const pageText = ({ pageNs }: Pick<Disturbance, 'pageNs'>): string => `${(pageNs / 1000).toFixed(1)} µs`;
