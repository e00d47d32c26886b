/**
 * The paper's five steps: request, duplicate, take, end, transfer. The target is touched by the second alone, and
 * where it has to reap the duplicate, by the fourth.
 */
import type { KeyObject } from 'node:crypto';
import { Failure } from '../common/errors.ts';
import type { Image, Mechanism, Still } from '../mechanisms/shared/types.ts';
import { nowNs, xsaveComponents, type CallCount, type ThreadRegisters, type Tracer } from '../native/index.ts';
import { allCounts, Attempts } from './attempts.ts';
import { sumOf, withEnd } from './calls.ts';
import { candidatesFor } from './candidates.ts';
import { asAsked, chooseMechanism, type Choice } from './choice.ts';
import { describeCollection } from './collection.ts';
import { endInVain, endStill, untoldOf, type Untold } from './ending.ts';
import { EarlyLeaves } from './evidence/early-leaves.ts';
import type { Destination } from './evidence/folder.ts';
import type { Incomplete, Instant, Ledger, Manifest } from './evidence/manifest.ts';
import { CHUNK_BYTES, rootHash } from './evidence/merkle.ts';
import { allNotes } from './evidence/notes.ts';
import { planContents, type Planned } from './evidence/plan.ts';
import {
	countersOf, identify, processNote, startTicksOf, type Counters, type Identity, type ProcessNote,
} from '../common/proc/process.ts';
import { digestedRanges, manifestText, recordRegions } from './evidence/records.ts';
import { hasFile } from '../common/proc/regions.ts';
import { publicKeyOf, publicKeyPem, signed } from './evidence/seal.ts';
import { CoreSource } from './evidence/source.ts';
import { CoreStream, type Digests } from './evidence/stream.ts';
import { refuseWithoutRoom } from './forecast.ts';
import { ENDED_BY_OTHERS, forUser, NotPlanned, whyLost } from './failing.ts';
import { knownInPlace, layOutAt, toWrite, unused } from './laying-out.ts';
import { ProgramHashing } from './program-hash.ts';
import { instantNow, startTracer, Survey, type HowToCopy } from './survey.ts';

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
	/** The URL of a time-stamp authority (RFC 3161). */
	timestampUrl?: string | undefined;
	/** Called when the duplicate is there: from now on nobody waits for us. */
	duplicated?: (target: number) => void;
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
	/** Why there is no timestamp although one was asked for. */
	withoutTimestamp: string | null;
	/** Why the program's SHA-256 is not in the manifest; null: it is. */
	programUnread: string | null;
	/** What stops of the target have done that the manifest was sealed too early for. null: not known. */
	untold: Untold | null;
}

/** What was seen of the target before anything was done to it. */
type Seen = Omit<Identity, 'programSha256'>;

/** What is known once the copy is there, and needs the target no more. */
interface Moment {
	still: Still;
	image: Image;
	mechanism: Mechanism;
	before: Instant;
	threads: ThreadRegisters[];
	planned: Planned[];
	/** The core's. */
	notes: Buffer;
}

/**
 * Takes, seals and delivers the evidence of a process. Throws Failure; then the target goes on and no evidence is
 * left.
 */
export async function take(options: TakeOptions): Promise<TakenEvidence> {
	const { signal, progress, copying, gaveUp } = options;
	const attempts = new Attempts(), early = new EarlyLeaves();
	const { target: seen, program } = await identified(options.pid);
	let destination: Destination | undefined;
	let stream: CoreStream | undefined;
	let hashing: ProgramHashing | undefined;
	let tracer: Tracer | undefined;
	let survey: Survey | undefined;
	let done: CallCount[] | undefined;	// to the target's calls; undefined: what the tracer's last request did
	try {
		options.checkKey?.();
		destination = await options.destination();
		const to = destination;
		stream = new CoreStream();
		signal?.throwIfAborted();
		tracer = startTracer(options.stopLimitMs);
		survey = new Survey(seen);
		const choice = options.mechanisms === undefined
			? chooseMechanism(candidatesFor(tracer, seen.pid, { room: to.room }))
			: asAsked(options.mechanisms);
		await refuseWithoutRoom(to, survey, seen.pid, choice.mechanism, signal);
		const moment = await copyAndPlan(
			tracer, survey, seen, choice, attempts, {
				room: to.room, signal,
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
		const { planned, notes, still, image, mechanism } = moment;
		const layout = await layOutAt(to, image, placed(planned), notes);
		stream.start({ regions: true });
		done = allCounts(still.figures.calls, attempts.inVain)?.calls ?? [];
		options.duplicated?.(seen.pid);
		hashing = new ProgramHashing(program);
		const key = options.key();
		destination.begin(layout.bytes);
		const source = await CoreSource.open(
			layout, placed(planned).map(({ from }) => from ?? 'duplicate'), image, survey.live
		);
		let digests: Digests;
		try {
			const file = layout.inPlace === null ? undefined : image.inFile?.();
			const known = file === undefined ? undefined : knownInPlace(layout, early.known(file));
			await early.end();
			digests = await stream.run(layout.bytes, digestedRanges(layout), (room) => {
				signal?.throwIfAborted();
				return source.fill(room);
			}, async (bytes, offset) => {
				for (const { start, end } of toWrite(layout, { start: offset, end: offset + bytes.length }))
					await to.write(bytes.subarray(start - offset, end - offset), start);
				progress?.(offset + bytes.length, layout.bytes);
			}, (offset, bytes) => {
				const leaves = known?.(offset, bytes) ?? null;
				if (leaves === null) return null;
				source.skip(bytes);
				progress?.(offset + bytes, layout.bytes);
				return leaves;
			});
			await to.empty?.(unused(layout));
		} finally {
			await source.close();
		}
		// It may have come when the last blocks were read already.
		signal?.throwIfAborted();
		const merkleRoot = rootHash(digests.leaves).toString('hex');
		// The duplicate is there until nobody can need it any more.
		await destination.verified(merkleRoot);
		const copied = await image.copiedBytes();
		const ledger = endAndCount(tracer, moment, copied, survey.counters, seen, attempts);
		done = ledger.calls ?? [];
		const { sha256: programSha256, failed: programUnread } = await hashing.result(signal);
		const manifest: Manifest = {
			...describeCollection(publicKeyOf(key)),
			target: { ...seen, programSha256 },
			transfer: destination.transfer,
			mechanism: {
				name: mechanism.name, description: mechanism.description,
				why: mechanism === choice.mechanism ? choice.why : `${attempts.made.at(-2)?.mechanism} has given up`,
			},
			before: moment.before, momentNs: image.momentNs, after: instantNow(), skewNs: image.skewNs,
			threads: moment.threads.map(({ tid, skewNs, running, partial }) => ({ tid, skewNs, running, partial })),
			regions: await recordRegions(planned, layout, source, digests.ranges),
			partial: partialOf(source, ledger),
			ledger,
			core: { file: 'core', bytes: layout.bytes, chunkBytes: CHUNK_BYTES, merkleRoot, leaves: 'leaves' },
		};
		const text = await manifestText(manifest);
		const signature = signed(text, key);
		const { timestamp, failed } = await timestampOf(signature, options.timestampUrl);
		const where = await destination.seal({
			leaves: digests.leaves, manifest: text, publicKey: Buffer.from(publicKeyPem(publicKeyOf(key))), signature,
			...(timestamp === null ? {} : { timestamp }),
		});
		return { where, manifest, withoutTimestamp: failed, programUnread, untold: untoldOf(tracer) };
	} catch (error) {
		const cause = error instanceof NotPlanned ? error.reason : error;
		const toll = tracer === undefined
			? null
			: endInVain(tracer, survey?.still ?? tracer, done ?? callsOf(attempts, tracer));
		if (signal?.aborted === true) throw forUser(new Failure('interrupted: nothing was kept'), toll);
		throw forUser(error instanceof NotPlanned ? whyLost(cause, toll) : cause, toll);
	} finally {
		// Ends the duplicate too, if that is still there.
		tracer?.close();
		survey?.close();
		await Promise.all([stream?.end(), early.end()]);
		await destination?.discard();
		if (hashing === undefined) await program.close();
	}
}

/** Of those that gave up, and of the one under way. */
const callsOf = ({ inVain }: Attempts, { lastCalls }: Tracer): CallCount[] =>
	inVain.reduce((sum, { calls }) => sumOf(sum, calls), lastCalls.calls);

function partialOf({ lost }: CoreSource, { endedEarly, endFailed }: Ledger): Incomplete | null {
	if (lost === null) return null;
	return { reason: endedEarly ?? endFailed ?? ENDED_BY_OTHERS, missingBytes: lost.bytes, sinceNs: lost.sinceNs };
}

/** Of the signature: that it was there by then. Evidence without it is better than none. */
async function timestampOf(signature: Uint8Array, url: string | undefined): Promise<{
	timestamp: Uint8Array | null; failed: string | null;
}> {
	if (url === undefined) return { timestamp: null, failed: null };
	try {
		const { requestTimestamp } = await import('./timestamp-client.ts');
		return { timestamp: await requestTimestamp(url, signature), failed: null };
	} catch (error) {
		if (!(error instanceof Failure)) throw error;
		return { timestamp: null, failed: error.message };
	}
}

async function identified(pid: number): ReturnType<typeof identify> {
	try {
		return await identify(pid);
	} catch (error) {
		if (error instanceof Failure) throw error;
		throw new Failure(
			`process ${pid} cannot be looked at (${error instanceof Error ? error.message : String(error)}): is it ` +
				`there, no kernel thread, and yours or are you root?`
		);
	}
}

async function copyAndPlan(
	tracer: Tracer, survey: Survey, target: Seen, choice: Choice, attempts: Attempts, how: HowToCopy
): Promise<Moment> {
	const copied = await attempts.copy(tracer, survey, choice, how);
	try {
		return { ...copied, image: survey.image, ...await plan(survey, target, copied.still.pid, how.signal) };
	} catch (error) {
		throw new NotPlanned(error);
	}
}

async function plan(
	survey: Survey, target: Seen, copyPid: number, signal: AbortSignal | undefined
): Promise<Pick<Moment, 'threads' | 'planned' | 'notes'>> {
	const { image, live } = survey;
	const classified = await survey.classified(signal);
	const threads = image.threads()
		.sort((a, b) => Number(b.tid === target.pid) - Number(a.tid === target.pid) || a.tid - b.tid);
	const planned = await planContents(
		classified, image, live, copyPid === 0 ? [target.pid] : [copyPid, target.pid], signal
	);
	const files = classified.map(({ region }) => region).filter((region) => hasFile(region))
		.map(({ start, end, fileOffset, name }) => ({ start, end, fileOffset, name }));
	const process = { ...image.note(), ...ofTarget(target) };
	return { threads, planned, notes: allNotes(threads, process, image.auxv(), files, xsaveComponents()) };
}

/** As it is now; where it has ended since, as it was. */
function ofTarget(target: Seen): Omit<ProcessNote, 'uid' | 'gid' | 'pgrp' | 'sid' | 'nice'> & {
	pgrp?: number; sid?: number; nice?: number;
} {
	try {
		const { pid, ppid, pgrp, sid, state, nice, command, commandLine } = processNote(target.pid);
		return { pid, ppid, pgrp, sid, state, nice, command, commandLine };
	} catch (error) {
		if (!(error instanceof Failure)) throw error;
		return {
			pid: target.pid, ppid: target.ppid, state: 'Z', command: target.command,
			commandLine: target.commandLine.join(' '),
		};
	}
}

const placed = (planned: readonly Planned[]): Planned[] => planned.filter(({ runs }) => runs.length > 0);

function endAndCount(
	tracer: Tracer, { still, image }: Moment, copied: number | null, beforeCounters: Counters, target: Seen,
	attempts: Attempts
): Ledger {
	const { figures } = still;
	const livedNs = Number(nowNs()) - image.momentNs;
	const { endPauseNs, unburied, endedEarly, endFailed, counts } = endStill(still, tracer);
	const { restartedCalls, lengthenedTimeouts, cutCalls, calls } = withEnd(
		allCounts(figures.calls, attempts.inVain), counts
	);
	const after = tryCounters(target);
	return {
		pauseNs: attempts.longestPauseNs, takeNs: figures.takeNs, endPauseNs,
		minorFaults: after === null ? null : after.minorFaults - beforeCounters.minorFaults,
		majorFaults: after === null ? null : after.majorFaults - beforeCounters.majorFaults,
		residentKiBBefore: beforeCounters.residentKiB, residentKiBAfter: after?.residentKiB ?? null,
		copiedBytes: copied, restartedCalls, lengthenedTimeouts, duplicateLivedNs: livedNs, cutCalls, calls, unburied,
		endedEarly, endFailed, attempts: [...attempts.made],
	};
}

/** null: the target has ended by itself meanwhile. Its evidence is there all the same. */
function tryCounters({ pid, startTicks }: Seen): Counters | null {
	try {
		const counters = countersOf(pid);
		return startTicksOf(pid) === startTicks ? counters : null;
	} catch {
		return null;
	}
}
