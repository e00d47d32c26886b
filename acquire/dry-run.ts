/**
 * procsnap take --dry-run: what would be taken, by which mechanism, at what cost, and whether there is room for it.
 * Nothing is done to the process, nothing is copied, and nothing is made.
 */
import { existsSync } from 'node:fs';
import { Failure, messageOf } from '../common/errors.ts';
import { bytesText, durationText } from '../common/format.ts';
import { startTicksOf } from '../common/proc/process.ts';
import type { CopyRoom, Mechanism } from '../mechanisms/shared/types.ts';
import { ProcsnapError, type Tracer } from '../native/index.ts';
import { candidatesFor } from './candidates.ts';
import { asAsked, chooseMechanism, type Candidate, type Choice } from './choice.ts';
import { forecast, roomIn, whyNoRoom, type Forecast, type Room } from './forecast.ts';
import { offerFor } from './running.ts';
import { startTracer, Survey } from './survey.ts';

export interface DryRun {
	pid: number;
	/** Why it would not be taken; null: it would. */
	reason: string | null;
	mechanism: string;
	/** Else it would be read as it runs. */
	ofOneMoment: boolean;
	why: string;
	/** Of the mechanism; null: it cannot tell. */
	pauseNs: number | null;
	growthBytes: number | null;
	/** null: the target has ended meanwhile. */
	evidence: Forecast | null;
	/** In the folder; null: it is sent elsewhere, or has no limit. */
	freeBytes: number | null;
}

export interface DryRunOptions {
	pid: number;
	/** The evidence's folder; undefined: it would be sent. */
	out: string | undefined;
	/** Where a copy would be kept that is no process. */
	room: CopyRoom | undefined;
	mechanisms?: readonly [Mechanism, ...Mechanism[]] | undefined;
	stopLimitMs?: number | undefined;
	onlyPrivate: boolean;
	signal?: AbortSignal | undefined;
}

/** Throws Failure where the process is gone, or is not ours to look at. */
export async function dryRun(
	{ pid, out, room, mechanisms, stopLimitMs, onlyPrivate, signal }: DryRunOptions
): Promise<DryRun> {
	const tracer = startTracer(stopLimitMs);
	let survey: Survey | undefined;
	try {
		survey = new Survey({ pid, startTicks: startTicksOf(pid) });
		const { choice, candidate } = chosen(tracer, pid, mechanisms, room), { mechanism } = choice;
		const refusal = candidate?.unavailable ?? candidate?.estimate?.reasons.find(({ code }) => code !== null)?.text;
		const evidence = refusal === undefined
			? await forecast(pid, survey.mapped, survey.live, mechanism, {
				coredumpFilter: survey.coredumpFilter, onlyPrivate,
			}, signal)
			: null;
		const offer = refusal === undefined || !mechanism.ofOneMoment ? null : offerFor(tracer, pid);
		const withOffer = (text: string | undefined): string | undefined => (offer === null ? text : `${text}; ${offer}`);
		const there = out === undefined ? null : await roomIn(out);
		const free = there?.freeBytes ?? Infinity;
		return {
			pid, mechanism: mechanism.name, ofOneMoment: mechanism.ofOneMoment, why: choice.why, evidence,
			reason: withOffer(refusal) ?? (evidence === null ? `process ${pid} has ended` : whyNot(out, evidence, there)),
			pauseNs: candidate?.estimate?.pauseNs ?? null,
			growthBytes: candidate?.estimate === undefined || candidate.estimate === null
				? null
				: candidate.estimate.growthKib * 1024,
			freeBytes: Number.isFinite(free) ? free : null,
		};
	} catch (error) {
		signal?.throwIfAborted();
		throw error instanceof Failure
			? error
			: new Failure(`process ${pid} cannot be looked at (${messageOf(error)}): is it yours, or are you root?`);
	} finally {
		tracer.close();
		survey?.close();
	}
}

function chosen(
	tracer: Tracer, pid: number, mechanisms: DryRunOptions['mechanisms'], room: CopyRoom | undefined
): { choice: Choice; candidate: Candidate | undefined } {
	try {
		const candidates = candidatesFor(tracer, pid, { room, mechanisms, all: true });
		const choice = mechanisms === undefined ? chooseMechanism(candidates) : asAsked(mechanisms);
		return { choice, candidate: candidates.find(({ mechanism }) => mechanism === choice.mechanism) };
	} catch (error) {
		throw error instanceof ProcsnapError ? new Failure(error.message) : error;
	}
}

function whyNot(out: string | undefined, evidence: Forecast, there: Room | null): string | null {
	if (out === undefined || there === null) return null;
	return existsSync(out)
		? `${out} is there already: evidence is not written over; name another folder with --out`
		: whyNoRoom(out, evidence, there);
}

const freeText = (bytes: number | null): string => (bytes === null ? '' : `, and ${bytesText(bytes)} are free`);

/** For people. */
export function dryRunLines(
	{ pid, reason, mechanism, ofOneMoment, why, pauseNs, growthBytes, evidence, freeBytes }: DryRun
): string[] {
	return [
		reason === null
			? `process ${pid} would be taken by ${mechanism}: ${why}`
			: `process ${pid} would not be taken: ${reason}`,
		...(evidence === null
			? []
			: [
				`  regions: ${evidence.regions}, ${evidence.withContent} of them with content`,
				`  evidence: about ${bytesText(evidence.bytes)}${freeText(freeBytes)}`,
			]),
		...(reason !== null || ofOneMoment
			? []
			: ['  NOT of one moment: it would be read as it runs, without registers']),
		...(pauseNs === null ? [] : [`  pause: about ${durationText(pauseNs)}`]),
		...(growthBytes === null ? [] : [`  memory: at most ${bytesText(growthBytes)} more meanwhile`]),
		'  nothing was done',
	];
}
