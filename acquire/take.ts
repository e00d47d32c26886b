/**
 * The paper's five steps: request, duplicate, take, end, transfer. The target is touched by the second alone, and
 * where it has to reap the duplicate, by the fourth.
 */
import type { KeyObject } from 'node:crypto';
import { Failure, messageOf } from '../common/errors.ts';
import { executedBy, identify, type Identity } from '../common/proc/process.ts';
import { isUnlinkedPath } from '../common/proc/regions.ts';
import { aTurn } from '../common/turns.ts';
import type { Mechanism } from '../mechanisms/shared/types.ts';
import { nowNs, ProcsnapError, type CallCount, type Tracer } from '../native/index.ts';
import { copyEnd, executedSince, incompleteOf, ledgerOf, type CopyEnd } from './account.ts';
import { allCounts, Attempts } from './attempts.ts';
import { sumOf } from './calls.ts';
import { candidatesFor } from './candidates.ts';
import { asAsked, chooseMechanism } from './choice.ts';
import { describeCollection } from './collection.ts';
import { endInVain, endStill, untoldOf, type Untold } from './ending.ts';
import { EarlyLeaves } from './evidence/early-leaves.ts';
import type { Destination } from './evidence/folder.ts';
import type { Manifest, WholeDigest } from './evidence/manifest.ts';
import { rootHash } from './evidence/merkle.ts';
import { manifestText } from './evidence/records.ts';
import { evidenceId, publicKeyOf, publicKeyPem, signedAside } from './evidence/seal.ts';
import { CoreSource } from './evidence/source.ts';
import { CoreStream } from './evidence/stream.ts';
import { forUser, NotPlanned, whyLost } from './failing.ts';
import { refuseWithoutRoom } from './forecast.ts';
import { layOutAt } from './laying-out.ts';
import { copyAndPlan, placed } from './moment.ts';
import { moveToOwnGroups } from './own-groups.ts';
import { ProgramReading } from './program.ts';
import { readOut, wholeDigests } from './reading-out.ts';
import { offerFor, readAsItRan } from './running.ts';
import { manifestOf, programRead, sealBytes, timestampOf } from './sealing.ts';
import { startTracer, Survey, type HowToCopy } from './survey.ts';
import { TargetWatch } from './target-watch.ts';

export interface TakeOptions {
	pid: number;
	/** Opened before anything is done to the target; discarded if there is no evidence in the end. */
	destination: () => Promise<Destination>;
	/** The collector's; asked for when the duplicate is there, so that none is made for a process that is refused. */
	key: () => KeyObject;
	/** Called before anything is done to the target: throws Failure where there will be no key. */
	checkKey?: () => void;
	/** To be tried in this order, and no other. Default: see choice.ts. */
	mechanisms?: readonly [Mechanism, ...Mechanism[]] | undefined;
	/** How long threads of the target that are stopped may wait for others to stop. */
	stopLimitMs?: number | undefined;
	/** Leave out unchanged pages of files that the target's own core would have (core(5)). */
	onlyPrivate?: boolean | undefined;
	/** The URL of a time-stamp authority (RFC 3161). */
	timestampUrl?: string | undefined;
	/** Of the whole core. Default: SHA-256, but of a large core that is made of the copy's own file none. */
	digests?: readonly WholeDigest[] | undefined;
	/** The options as they were given, for the manifest. */
	given?: readonly string[];
	/** Called when the duplicate is there: from now on nobody waits for us. */
	duplicated?: (target: number) => void;
	/**
	 * Told when the target has ended while it is read. `hasCopy`: its copy is there all the same; `stays`: why that
	 * stays in which of the target's control groups.
	 */
	targetEnded?: (hasCopy: boolean, stays: readonly string[]) => void;
	/** The copy is to end with the target: then evidence is partial. */
	untilTargetEnds?: boolean;
	/** Told of a copy that takes its time, and of one that is given up for another. */
	copying?: HowToCopy['copying'];
	gaveUp?: HowToCopy['gaveUp'];
	/** Told of every block: bytes done, of so many. */
	progress?: (done: number, total: number) => void;
	signal?: AbortSignal | undefined;
}

export interface TakenEvidence {
	/** The folder, or what the receiver calls it. */
	where: string;
	manifest: Manifest;
	/** evidenceId() */
	id: string;
	/** Why there is no timestamp although one was asked for. */
	withoutTimestamp: string | null;
	/** Why something of the program's file is not in the evidence; null: nothing is missing. */
	programUnread: string | null;
	/** What stops of the target have done that the manifest was sealed too early for. null: not known. */
	untold: Untold | null;
}

const ENDED_WITH_TARGET = 'the target had ended, and the copy was to end with it (--until-target-ends)';

/**
 * Takes, seals and delivers the evidence of a process. Throws Failure; then the target goes on and no evidence is
 * left, but what was whole by then and could not be sealed: the message says where that is.
 */
export async function take(options: TakeOptions): Promise<TakenEvidence> {
	const { signal, progress, copying, gaveUp } = options;
	const attempts = new Attempts(), early = new EarlyLeaves();
	const seen = identified(options.pid);
	let destination: Destination | undefined;
	let stream: CoreStream | undefined;
	let reading: ProgramReading | undefined;
	let tracer: Tracer | undefined;
	let survey: Survey | undefined;
	let watch: TargetWatch | undefined;
	let done: CallCount[] | undefined;	// to the target's calls; undefined: what the tracer's last request did
	try {
		options.checkKey?.();
		destination = await options.destination();
		const { room } = destination;
		stream = new CoreStream();
		signal?.throwIfAborted();
		const theTracer = tracer = startTracer(options.stopLimitMs);
		survey = new Survey(seen);
		const choice = options.mechanisms === undefined
			? chooseMechanism(candidatesFor(tracer, seen.pid, { room }))
			: asAsked(options.mechanisms);
		await refuseWithoutRoom(destination, survey, seen.pid, choice.mechanism, options.onlyPrivate ?? false, signal);
		const moment = await copyAndPlan(
			tracer, survey, seen, choice, attempts, options.onlyPrivate ?? false, {
				room, signal,
				copying: (now) => {
					if (now.file !== undefined) early.reach(now.file);
					copying?.(now);
				},
				gaveUp: (told) => {
					void early.forget();
					gaveUp?.(told);
				},
			}
		);
		const { planned, notes, still, image, mechanism, executed } = moment;
		await aTurn(signal);
		const contents = placed(planned), layout = await layOutAt(destination, image, contents, notes);
		await aTurn(signal);
		const whole = wholeDigests(layout, options.digests);
		stream.start({ regions: true, whole });
		done = allCounts(still.figures.calls, attempts.inVain)?.calls ?? [];
		options.duplicated?.(seen.pid);
		await aTurn(signal);
		reading = new ProgramReading(executed.path, isUnlinkedPath(executed.program));
		let ended: Promise<CopyEnd> | undefined, leaving: Promise<NonNullable<Manifest['leftGroups']>> | undefined;
		const end = (why: string | null): Promise<CopyEnd> =>
			ended ??= copyEnd(moment, () => endStill(still, theTracer), why, signal);
		watch = new TargetWatch(seen, () => {
			// A copy that is no process holds nothing of the target's.
			if (still.pid === 0) options.targetEnded?.(mechanism.ofOneMoment, []);
			else if (options.untilTargetEnds === true) {
				options.targetEnded?.(true, []);
				end(ENDED_WITH_TARGET).catch(() => undefined);
			} else {
				const sinceNs = Number(nowNs());
				leaving = moveToOwnGroups(still.pid, theTracer.pid).then((stays) => {
					options.targetEnded?.(true, stays);
					return { sinceNs, stays };
				});
			}
		});
		const key = options.key();
		// As it is now: it may be upgraded while a transfer lasts.
		const collection = describeCollection(publicKeyOf(key), options.given ?? []);
		await aTurn(signal);
		destination.begin(layout.bytes, sealBytes(layout, planned.length, isUnlinkedPath(executed.program)));
		const source = await CoreSource.open(
			layout, contents.map(({ from }) => from ?? 'duplicate'), contents.map(({ own = [] }) => own), image,
			survey.live, { signal }
		);
		await aTurn(signal);
		const read = await readOut({ layout, image, source, stream, early, destination, whole, progress, signal })
			.finally(() => source.close());
		// It may have come when the last blocks were read already.
		signal?.throwIfAborted();
		const notOfOneMoment = mechanism.ofOneMoment ? null : readAsItRan(planned, seen.pid, survey.live);
		const merkleRoot = rootHash(read.digests.leaves).toString('hex');
		// The duplicate is there until nobody can need it any more.
		await destination.verified(merkleRoot);
		watch.close();
		signal?.throwIfAborted();
		const copysEnd = await end(null), ledger = ledgerOf(moment, copysEnd, survey.counters, seen, attempts);
		done = ledger.calls ?? [];
		const file = await reading.result(signal);
		signal?.throwIfAborted();
		const since = executedSince(seen, survey.live, executed);
		const program = programRead(moment, survey.live.isThere(), file);
		const manifest = await manifestOf({
			seen, moment, layout, read, source, ledger, since, notOfOneMoment, program, merkleRoot,
			transfer: destination.transfer, collection, leftGroups: await leaving,
			partial: incompleteOf(source, copysEnd, read.cutOff, layout.bytes),
			why: mechanism === choice.mechanism ? choice.why : `${attempts.made.at(-2)?.mechanism} has given up`,
		});
		const text = await manifestText(manifest, signal), signature = await signedAside(text, key);
		const { timestamp, failed } = await timestampOf(signature, options.timestampUrl, signal);
		signal?.throwIfAborted();
		const where = await destination.seal({
			leaves: read.digests.leaves, manifest: text, publicKey: Buffer.from(publicKeyPem(publicKeyOf(key))),
			signature, ...(timestamp === null ? {} : { timestamp }),
			...(program.content === null ? {} : { program: program.content }),
		}, signal);
		return {
			where, manifest, id: evidenceId(text), withoutTimestamp: failed, programUnread: program.failed,
			untold: untoldOf(tracer),
		};
	} catch (error) {
		watch?.close();
		const cause = error instanceof NotPlanned ? error.reason : withOffer(error, tracer, survey, options);
		const toll = tracer === undefined
			? null
			: endInVain(tracer, survey?.still ?? tracer, done ?? callsOf(attempts, tracer));
		if (signal?.aborted === true) throw forUser(new Failure('interrupted: nothing was kept'), toll);
		const stays = await destination?.discard(true) ?? null;
		throw withRest(forUser(error instanceof NotPlanned ? whyLost(cause, toll) : cause, toll), stays);
	} finally {
		// Ends the duplicate too, if that is still there.
		tracer?.close();
		survey?.close();
		reading?.close();
		await Promise.all([stream?.end(), early.end()]);
		await destination?.discard(false);
	}
}

/** Of those that gave up, and of the one under way. */
const callsOf = ({ inVain }: Attempts, { lastCalls }: Tracer): CallCount[] =>
	inVain.reduce((sum, { calls }) => sumOf(sum, calls), lastCalls.calls);

/** Nothing is done to it. Throws Failure. */
function identified(pid: number): Identity {
	try {
		const found = identify(pid);
		executedBy(pid);	// no kernel thread
		return found;
	} catch (error) {
		if (error instanceof Failure) throw error;
		throw new Failure(
			`process ${pid} cannot be looked at (${messageOf(error)}): is it there, no kernel thread, and yours or are ` +
				`you root?`
		);
	}
}

/** With these another try, or another option, may do: nothing speaks against the process as such. */
const MAY_DO_LATER = new Set(['ETIMEDOUT', 'EAGAIN', 'E2BIG', 'EMFILE', 'ENOMEM']);

/** With what may be done with a process that no mechanism can copy. Of one that was named others may be able to. */
function withOffer(
	error: unknown, tracer: Tracer | undefined, survey: Survey | undefined, { pid, mechanisms, signal }: TakeOptions
): unknown {
	const isRefusal = error instanceof ProcsnapError && survey?.still === undefined && signal?.aborted !== true;
	if (!isRefusal || tracer === undefined || mechanisms !== undefined || MAY_DO_LATER.has(error.code)) return error;
	const offer = offerFor(tracer, pid);
	return offer === null ? error : new ProcsnapError(error.code, `${error.message}; ${offer}`, error.inVain);
}

/** What was read is not lost with the rest. */
function withRest(error: unknown, where: string | null): unknown {
	if (where === null || !(error instanceof Error)) return error;
	const text = `all of the core was read, and stays in ${where}, without a seal`;
	if (error instanceof Failure) return new Failure(`${error.message}; ${text}`);
	error.message = `${error.message}; ${text}`;
	return error;
}
