/** procsnap take PID: evidence of one process, into a folder or to a receiver. */
import { dirname, resolve } from 'node:path';
import { untoldTexts } from '../ending.ts';
import { UsageError } from '../../common/errors.ts';
import { createFolder, type Destination } from '../evidence/folder.ts';
import type { Attempt, Manifest } from '../evidence/manifest.ts';
import { CAPTURES, type Capture } from '../evidence/provenance.ts';
import { checkKeyPlace, collectorKey, defaultKeyPath } from '../evidence/seal.ts';
import { atMostText, bytesText, durationText, printable } from '../../common/format.ts';
import { bytesOption, countOption, parseOptions, type Option } from '../../common/options.ts';
import { addressOf, MAX_STOP, pidOf, stopLimitOf } from '../arguments.ts';
import { MECHANISMS } from '../mechanism-option.ts';
import { mechanismsFor } from '../../mechanisms/shared/all.ts';
import { halfOfMemory } from '../../mechanisms/shared/room.ts';
import { answerSignals } from '../../native/index.ts';
import type { CopyProgress, CopyRoom } from '../../mechanisms/shared/types.ts';
import { yieldToOthers } from '../priority.ts';
import { createProgress } from '../../common/progress.ts';
import { take } from '../take.ts';
import { cutTexts, lengthenedTexts, partialText } from '../texts.ts';

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
	'key': { kind: 'one', value: 'FILE', help: 'the collector\'s private key, made if there is none' },
	'timestamp': { kind: 'one', value: 'URL', help: 'have the seal stamped by this authority (RFC 3161)' },
	'mechanism': MECHANISMS,
	'max-stop': MAX_STOP,
	'dry-run': { kind: 'flag', help: 'say what would be taken and whether there is room for it; nothing is done' },
	'json': { kind: 'flag', help: 'print one line of JSON for machines' },
	'help': { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap take PID [OPTIONS]',
	text: `Duplicates the process, reads the duplicate while the process goes on, seals what
was read, and ends the duplicate. The evidence has an ELF core, which gdb opens, and a
manifest that tells how each region was captured and what the target suffered.`,
	options: OPTIONS,
	examples: [
		'procsnap take 1234', 'procsnap take 1234 --out /media/usb/plc-1 --json',
		'procsnap take 1234 --out /media/usb/plc-1 --dry-run',
		'procsnap take 1234 --to lab.example:7447 --max-rate 5M', 'procsnap take 1234 --mechanism precopy,inject',
	],
	exits: '0 taken (--dry-run: it would be); 1 not taken, and nothing is left; 2 wrong usage; 3 taken, but without ' +
		'the timestamp; 5 taken in part (the duplicate was ended early); 130, 143 interrupted.',
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
	const destination = destinationOf(pid, values, signal);
	if (flags.has('dry-run')) {
		const { dryRun, dryRunText } = await import('../dry-run.ts');
		const out = values.to === undefined ? outOf(pid, values) : undefined;
		const room = out === undefined ? roomOf(values) : { folder: dirname(out) };
		const told = await dryRun({ pid, out, room, mechanisms, stopLimitMs, signal });
		process.stdout.write(flags.has('json') ? `${JSON.stringify(told)}\n` : dryRunText(told));
		return told.reason === null ? 0 : 1;
	}
	const progress = createProgress('taking'), copyProgress = createProgress('copying');
	const say = (text: string): void => {
		copyProgress.end();
		progress.end();
		process.stderr.write(`procsnap: ${text}\n`);
	};
	// An answer at once: to put the target back may take as long as to copy it.
	const answering = answerSignals('procsnap: interrupted: putting the target back as it was\n');
	const { where, manifest, withoutTimestamp, programUnread, untold } = await take({
		pid, key, checkKey: () => checkKeyPlace(keyPath), mechanisms, stopLimitMs, timestampUrl, signal,
		copying: (now) => copyProgress.show(copyText(now)),
		gaveUp: ({ mechanism, reason, next }) =>
			say(`${mechanism.name} has given up, and ${next.name} is tried: ${printable(reason)}`),
		duplicated: (target) => {
			copyProgress.end();
			yieldToOthers(target, answering);
		},
		progress: progress.update, destination,
	}).finally(() => {
		answering.stop();
		copyProgress.end();
		progress.end();
	});
	if (found.made === true) {
		process.stderr.write(
			`procsnap: made the collector's key ${keyPath}; give ${keyPath}.pub to whoever verifies, by another way ` +
				`than the evidence\n`
		);
	}
	if (withoutTimestamp !== null)
		process.stderr.write(`procsnap: the evidence is there, but not stamped: ${withoutTimestamp}\n`);
	if (programUnread !== null)
		process.stderr.write(`procsnap: the evidence has no SHA-256 of the target's program: ${printable(programUnread)}\n`);
	for (const text of untoldTexts(untold))
		process.stderr.write(`procsnap: not in the evidence, which was sealed before: ${text}\n`);
	process.stdout.write(
		flags.has('json')
			? `${JSON.stringify({ where, bytes: manifest.core.bytes, merkleRoot: manifest.core.merkleRoot, mechanism: manifest.mechanism, partial: manifest.partial, ledger: manifest.ledger, untold })}\n`
			: describe(where, manifest)
	);
	if (manifest.partial !== null) return PARTIAL;
	return withoutTimestamp === null ? 0 : WITHOUT_TIMESTAMP;
}

/** More is read than there is, where the target writes meanwhile. */
function copyText({ doing, bytesRead, totalBytes, passes, writtenPages }: CopyProgress): string {
	const written = passes < 2 ? '' : `, ${counted(writtenPages, 'page')} written meanwhile`;
	return `${bytesText(bytesRead)} read of ${bytesText(totalBytes)}, pass ${passes}${written} (${doing})`;
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
		const [{ Sender }, { readCredentials }] = await Promise.all([
			import('../transfer/sender.ts'), import('../transfer/credentials.ts'),
		]);
		const credentials = readCredentials({
			ca: values.ca?.at(-1), cert: values.cert?.at(-1), key: values['link-key']?.at(-1),
		});
		return Sender.open({
			host, port, credentials, bytesPerSecond, patienceMs, room, signal,
			say: (text) => process.stderr.write(`procsnap: ${text}\n`),
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

/** What was taken, how, and what it cost the target, which chose its own name. */
export function describe(
	where: string, { target, mechanism, threads, regions, ledger, core, before, partial }: Manifest
): string {
	const ended = regions.filter(({ readFrom, unreadable }) =>
		readFrom === 'target' && unreadable.some(({ errno }) => errno === 'ESRCH')).length;
	const endPause = ledger.endPauseNs === null ? 'nobody knows for how long' : `for ${atMostText(ledger.endPauseNs)} at most`;
	const lines = [
		`${where}: process ${target.pid} (${printable(target.command)}) as of ${before.wallClock}, ` +
			`by ${mechanism.name}`,
		...(mechanism.why === null ? [] : [`  why ${mechanism.name}: ${printable(mechanism.why)}`]),
		...(ledger.attempts ?? []).flatMap((attempt) => (attempt.outcome === 'refused' ? [attemptText(attempt)] : [])),
		`  ${bytesText(core.bytes)}, registers of ${counted(threads.length, 'thread')}`,
		`  the target was paused for ${atMostText(ledger.pauseNs)} at most, and ${endPause} when the duplicate was ended`,
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
		...(ended === 0
			? []
			: [
				`  ${counted(ended, 'region')} of the target's own memory could not be read, or not all of it: the ` +
					`target had ended`,
			]),
		...(ledger.unburied === null
			? []
			: [`  the ended duplicate is still a zombie child of the target: ${printable(ledger.unburied)}`]),
		...(ledger.endFailed === null
			? []
			: [`  how the duplicate was ended is not known: ${printable(ledger.endFailed)}`]),
		...(partial === null ? [] : [`  ${partialText(partial)}`]),
	];
	return `${lines.join('\n')}\n`;
}

function attemptText({ mechanism, reason, pauseNs, startedNs, endedNs }: Attempt): string {
	const paused = pauseNs === null ? 'nobody knows for how long the target was paused' : pauseNs === 0
		? 'the target was not stopped'
		: `the target was paused for ${atMostText(pauseNs)} at most`;
	return `  ${mechanism} gave up after ${durationText(endedNs - startedNs)} (${paused}): ${printable(reason ?? '')}`;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
