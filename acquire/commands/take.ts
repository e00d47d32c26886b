/** procsnap take PID: evidence of one process, into a folder or to a receiver. */
import { dirname, resolve } from 'node:path';
import { untoldTexts } from '../ending.ts';
import { UsageError } from '../../common/errors.ts';
import { createFolder, type Destination } from '../evidence/folder.ts';
import { WHOLE_DIGESTS, type Attempt, type Manifest, type WholeDigest } from '../evidence/manifest.ts';
import { CAPTURES, type Capture } from '../evidence/provenance.ts';
import { checkKeyPlace, collectorKey, defaultKeyPath, exposureOf } from '../evidence/seal.ts';
import { atMostText, bytesText, durationText } from '../../common/format.ts';
import { bytesOption, countOption, expectOneOf, parseOptions, type Option } from '../../common/options.ts';
import { addressOf, MAX_STOP, pidOf, stopLimitOf } from '../arguments.ts';
import { MECHANISMS, NOT_CHOSEN } from '../mechanism-option.ts';
import { mechanismsFor } from '../../mechanisms/shared/all.ts';
import { halfOfMemory } from '../../mechanisms/shared/room.ts';
import { answerSignals } from '../../native/index.ts';
import type { CopyProgress, CopyRoom } from '../../mechanisms/shared/types.ts';
import { yieldNoMore, yieldToOthers } from '../priority.ts';
import { createProgress } from '../../common/progress.ts';
import { note, out } from '../../common/terminal.ts';
import { take } from '../take.ts';
import {
	cutTexts, idText, lackingText, lengthenedTexts, noMomentTexts, partialText, takenBackTexts, whenText,
} from '../texts.ts';

export const summary = 'take the memory and registers of a live process';

const OPTIONS = {
	'out': { kind: 'one', value: 'DIR', help: 'the evidence folder, which is made (default: procsnap-PID-TIME)' },
	'to': { kind: 'one', value: 'HOST:PORT', help: 'instead: send it there as it is taken (procsnap receive)' },
	'max-rate': { kind: 'one', value: 'BYTES', help: 'send no more than that a second: 800K, 20M' },
	'patience': { kind: 'one', value: 'SECONDS', help: 'for how long a lost link is tried again (default: 600)' },
	'memory': { kind: 'one', value: 'BYTES', help: 'let a copy that is no process take no more memory (default: half' },
	'spool': { kind: 'one', value: 'DIR', help: 'of what is left), and keep a larger one in this folder on a disk' },
	'cert': { kind: 'one', value: 'FILE', help: 'the link\'s certificate, its key, and the authority that' },
	'link-key': { kind: 'one', value: 'FILE', help: 'both sides know (default: link.crt, link.key, ca.crt in' },
	'ca': { kind: 'one', value: 'FILE', help: '~/.config/procsnap; scripts/certificates makes them)' },
	'crl': { kind: 'many', value: 'FILE', help: 'certificates that the authority has revoked (PEM)' },
	'key': { kind: 'one', value: 'FILE', help: 'the collector\'s private key, made if there is none' },
	'timestamp': { kind: 'one', value: 'URL', help: 'have the seal stamped by this authority (RFC 3161)' },
	'mechanism': MECHANISMS,
	'digests': { kind: 'one', value: 'LIST', help: 'of the whole core: sha256, sha1, md5 (default: sha256)' },
	'until-target-ends': { kind: 'flag', help: 'end the copy with the target, whatever was read of it by then' },
	'max-stop': MAX_STOP,
	'only-private': { kind: 'flag', help: 'leave out unchanged pages of files that the target\'s own core would have' },
	'dry-run': { kind: 'flag', help: 'say what would be taken and whether there is room for it; nothing is done' },
	'json': { kind: 'flag', help: 'print one line of JSON for machines' },
	'help': { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap take PID [OPTIONS]',
	text: `Duplicates the process, reads the duplicate while the process goes on, seals what
was read, and ends the duplicate. The evidence has an ELF core, which gdb opens, and a
manifest that tells how each region was captured and what the target suffered.
${NOT_CHOSEN} is never chosen by itself: it reads the process as it runs, without stopping it.
That is NOT of one moment and has no registers, and the evidence says so; it is for processes that
nothing else can copy, such as those that trace themselves.`,
	options: OPTIONS,
	examples: [
		'procsnap take 1234', 'procsnap take 1234 --out /media/usb/plc-1 --json',
		'procsnap take 1234 --out /media/usb/plc-1 --dry-run',
		'procsnap take 1234 --to lab.example:7447 --max-rate 5M', 'procsnap take 1234 --mechanism precopy,inject',
	],
	exits: '0 taken (--dry-run: it would be); 1 not taken, and nothing is left, or as the error says a core without ' +
		'a seal; 2 wrong usage; 3 taken, but without the timestamp; 5 taken in part (the duplicate was ended early, ' +
		'the disk was full, or memory that was to be read could not be); 130, 143 interrupted.',
};

const WITHOUT_TIMESTAMP = 3;
const PARTIAL = 5;
/** So slow a sender is taken for none. */
const LEAST_RATE = 16 << 10;

export async function run(args: string[], signal: AbortSignal): Promise<number> {
	const { flags, values, positionals } = parseOptions(args, OPTIONS, 1);
	const pid = pidOf(positionals[0], 'take');
	const mechanisms = values.mechanism === undefined ? undefined : mechanismsFor(values.mechanism);
	const stopLimitMs = stopLimitOf(values['max-stop']?.at(-1));
	const keyPath = values.key?.at(-1) ?? defaultKeyPath();
	const found: { made?: boolean } = {};
	const key = () => {
		const { key: existing, made } = collectorKey(keyPath);
		found.made = made;
		return existing;
	};
	const timestampUrl = values.timestamp?.at(-1);
	if (timestampUrl !== undefined) (await import('../timestamp-client.ts')).authorityUrl(timestampUrl);
	const digests = digestsOf(values.digests?.at(-1)), destination = destinationOf(pid, values, signal);
	if (flags.has('dry-run')) {
		const { dryRun, dryRunLines } = await import('../dry-run.ts');
		const folder = values.to === undefined ? outOf(pid, values) : undefined;
		const room = folder === undefined ? roomOf(values) : { folder: dirname(folder) };
		const told = await dryRun({
			pid, out: folder, room, mechanisms, stopLimitMs, signal, onlyPrivate: flags.has('only-private'),
		});
		if (flags.has('json')) out.json(told);
		else out.lines(dryRunLines(told));
		return told.reason === null ? 0 : 1;
	}
	const progress = createProgress('taking'), copyProgress = createProgress('copying');
	const say = (text: string): void => {
		copyProgress.end();
		progress.end();
		note(text);
	};
	// An answer at once: to put the target back may take as long as to copy it.
	const answering = answerSignals('procsnap: interrupted: putting the target back as it was\n');
	const { where, manifest, id, withoutTimestamp, programUnread, untold } = await take({
		pid, key, onlyPrivate: flags.has('only-private'), checkKey: () => checkKeyPlace(keyPath), mechanisms,
		stopLimitMs, timestampUrl, signal,
		copying: (now) => copyProgress.show(copyText(now)),
		gaveUp: ({ mechanism, reason, next }) =>
			say(`${mechanism.name} has given up, and ${next.name} is tried: ${reason}`),
		duplicated: (target) => {
			copyProgress.end();
			yieldToOthers(target, answering);
			signal.addEventListener('abort', yieldNoMore, { once: true });
		},
		digests, given: args.map(withoutPassword), untilTargetEnds: flags.has('until-target-ends'),
		targetEnded: (hasCopy, stays) => {
			say(
				!hasCopy
					? `process ${pid} has ended: what was not read yet is not there any more`
					: flags.has('until-target-ends')
					? `process ${pid} has ended, and so does its copy: what was not read yet is not taken`
					: `process ${pid} has ended; its copy is read on (--until-target-ends would end that, too)`
			);
			for (const text of stays) say(`the copy could not be moved out of the target's control group: ${text}`);
		},
		progress: progress.update, destination,
	}).finally(() => {
		answering.stop();
		copyProgress.end();
		progress.end();
	});
	if (found.made === true) {
		note(
			`made the collector's key ${keyPath}; give ${keyPath}.pub to whoever verifies, by another way than the ` +
				`evidence`
		);
	}
	if (withoutTimestamp !== null)
		note(`the evidence is there, but not stamped: ${withoutTimestamp}`);
	if (programUnread !== null)
		note(`not all of the target's program is in the evidence: ${programUnread}`);
	for (const text of untoldTexts(untold))
		note(`not in the evidence, which was sealed before: ${text}`);
	const exposed = exposureOf(keyPath, 'the collector\'s key');
	if (exposed !== null) note(exposed);
	if (flags.has('json')) {
		const { core: { bytes, merkleRoot }, mechanism, partial, lackingBytes, ledger } = manifest;
		const ofOneMoment = manifest.notOfOneMoment === undefined;
		out.json({ where, id, bytes, merkleRoot, mechanism, ofOneMoment, partial, lackingBytes, ledger, untold });
	} else {
		out.lines(describe(where, manifest, id));
	}
	if (manifest.partial !== null || (manifest.lackingBytes ?? 0) > 0) return PARTIAL;
	return withoutTimestamp === null ? 0 : WITHOUT_TIMESTAMP;
}

/** More is read than there is, where the target writes meanwhile. */
function copyText({ doing, bytesRead, totalBytes, passes, writtenPages }: CopyProgress): string {
	const written = passes < 2 ? '' : `, ${counted(writtenPages, 'page')} written meanwhile`;
	return `${bytesText(bytesRead)} read of ${bytesText(totalBytes)}, pass ${passes}${written} (${doing})`;
}

/** undefined: as is usual. */
function digestsOf(text: string | undefined): WholeDigest[] | undefined {
	return text?.split(',').map((name) => expectOneOf('digest', name, WHOLE_DIGESTS));
}

/** A URL may have a password, or a customer's key, which is no evidence. */
function withoutPassword(text: string): string {
	const url = URL.parse(text.replace(/^--timestamp=/, ''));
	if (url === null || !['http:', 'https:'].includes(url.protocol)) return text;
	return `${text.startsWith('--timestamp=') ? '--timestamp=' : ''}${url.origin}${url.pathname}`;
}

/** The folder of the evidence. */
const outOf = (pid: number, { out }: Partial<Record<keyof typeof OPTIONS, string[]>>): string =>
	resolve(out?.at(-1) ?? `procsnap-${pid}-${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}`);

/** What is wrong with the options is said now; a receiver is looked for when the target is known. */
function destinationOf(
	pid: number, values: Partial<Record<keyof typeof OPTIONS, string[]>>, signal: AbortSignal
): () => Promise<Destination> {
	const [to, rate, patience] = [values.to?.at(-1), values['max-rate']?.at(-1), values.patience?.at(-1)];
	const room = roomOf(values);
	if (to === undefined) {
		if (rate !== undefined || patience !== undefined || room !== undefined)
			throw new UsageError(
				'--max-rate, --patience, --memory and --spool are for a transfer: give --to HOST:PORT'
			);
		const out = outOf(pid, values);
		return () => createFolder(out);
	}
	if (values.out !== undefined) throw new UsageError('--out and --to: evidence goes to one place');
	const { host, port } = addressOf(to, 'to');
	const bytesPerSecond = rate === undefined ? Infinity : bytesOption('max-rate', rate, LEAST_RATE);
	const patienceMs = 1000 * (patience === undefined ? 600 : countOption('patience', patience, 1, 86_400));
	return async () => {
		// TLS is loaded only where something is sent.
		const [{ Sender }, { linkKeyPath, readCredentials }] = await Promise.all([
			import('../transfer/sender.ts'), import('../transfer/credentials.ts'),
		]);
		const credentials = readCredentials({
			ca: values.ca?.at(-1), cert: values.cert?.at(-1), key: values['link-key']?.at(-1), crl: values.crl,
		});
		const exposed = exposureOf(linkKeyPath(values['link-key']?.at(-1)), 'the link\'s key');
		if (exposed !== null) note(exposed);
		return Sender.open({
			host, port, credentials, bytesPerSecond, patienceMs, room, signal,
			say: note,
		});
	};
}

/** undefined: neither option was given. */
function roomOf({ memory, spool }: Partial<Record<keyof typeof OPTIONS, string[]>>): CopyRoom | undefined {
	const [most, folder] = [memory?.at(-1), spool?.at(-1)];
	if (most === undefined && folder === undefined) return undefined;
	return {
		...(folder === undefined ? {} : { folder: resolve(folder) }),
		memoryBytes: most === undefined ? halfOfMemory() : bytesOption('memory', most, 1),
	};
}

/** What was taken, how, and what it cost the target. Of what is partial that is the last line. */
export function describe(
	where: string, {
		target, mechanism, threads, regions, ledger, core, before, momentNs, partial, filter, notOfOneMoment,
		unlocatedBytes = 0, lackingBytes = 0,
	}: Manifest, id?: string
): string[] {
	const ended = regions.filter(({ readFrom, unreadable }) =>
		readFrom === 'target' && unreadable.some(({ errno }) => errno === 'ESRCH')).length;
	const endPause = ledger.endPauseNs === null ? 'nobody knows for how long' : `for ${atMostText(ledger.endPauseNs)} at most`;
	const isOfOne = notOfOneMoment === undefined;
	const when = isOfOne ? `as of ${before.wallClock}` : whenText({ before, momentNs, notOfOneMoment });
	const waiting = threads.filter((thread) => thread.waiting != null).length;
	return [
		`${where}: process ${target.pid} (${target.command}) ${when}, by ${mechanism.name}`,
		...(mechanism.why === null ? [] : [`  why ${mechanism.name}: ${mechanism.why}`]),
		...(ledger.attempts ?? []).flatMap((attempt) => (attempt.outcome === 'refused' ? [attemptText(attempt)] : [])),
		isOfOne
			? `  ${bytesText(core.bytes)}, registers of ${counted(threads.length, 'thread')}`
			: `  ${bytesText(core.bytes)}, no registers; where ${waiting} of ${counted(threads.length, 'thread')} waited`,
		isOfOne
			? `  the target was paused for ${atMostText(ledger.pauseNs)} at most, and ${endPause} when the duplicate was ended`
			: `  the target was not stopped${ledger.pauseNs === 0 ? '' : ', but in vain before'}`,
		...cutTexts(ledger.calls ?? []).map((text) => `  ${text}`),
		...lengthenedTexts(ledger.lengthenedTimeouts).map((text) => `  ${text}`),
		...(Object.keys(CAPTURES) as Capture[]).flatMap((capture) => {
			const found = regions.filter((region) => region.capture === capture);
			const bytes = found.reduce((sum, region) => sum + region.bytes, 0);
			return found.length === 0
				? []
				: [
					`  ${capture.padEnd(20)} ${String(found.length).padStart(5)} ` +
						`region${found.length === 1 ? ' ' : 's'} ${bytesText(bytes).padStart(10)}`,
				];
		}),
		...takenBackTexts(regions).map((text) => `  ${text}`),
		...(filter?.onlyPrivate === true
			? ['  unchanged pages of files that the target\'s own core would have were left out (--only-private)']
			: []),
		...(ended === 0
			? []
			: [
				`  ${counted(ended, 'region')} of the target's own memory could not be read, or not all of it: the ` +
					`target had ended`,
			]),
		...(ledger.unburied === null
			? []
			: [`  the ended duplicate is still a zombie child of the target: ${ledger.unburied}`]),
		...(ledger.endFailed === null
			? []
			: [`  how the duplicate was ended is not known: ${ledger.endFailed}`]),
		...(unlocatedBytes === 0
			? []
			: [`  ${bytesText(unlocatedBytes)} of addresses are left out of a fork, and were not found in the time for that`]),
		...(id === undefined ? [] : [`  ${idText(id)}`]),
		...(isOfOne ? [] : noMomentTexts({ notOfOneMoment }).map((text) => `  ${text}`)),
		...(lackingBytes > 0 && partial === null ? [`  ${lackingText(lackingBytes)}`] : []),
		...(partial === null ? [] : [`  ${partialText(partial)}`]),
	];
}

function attemptText({ mechanism, reason, pauseNs, startedNs, endedNs }: Attempt): string {
	const paused = pauseNs === null ? 'nobody knows for how long the target was paused' : pauseNs === 0
		? 'the target was not stopped'
		: `the target was paused for ${atMostText(pauseNs)} at most`;
	return `  ${mechanism} gave up after ${durationText(endedNs - startedNs)} (${paused}): ${reason ?? ''}`;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
