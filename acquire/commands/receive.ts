/** procsnap receive: evidence that is sent here, each into a folder of its own. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { addressOf } from '../arguments.ts';
import { Failure, messageOf, UsageError } from '../../common/errors.ts';
import { collectorKey, configFolder, exposureOf, publicKeyFrom } from '../evidence/seal.ts';
import { bytesText } from '../../common/format.ts';
import { bytesOption, parseOptions, type Option } from '../../common/options.ts';
import { note, out } from '../../common/terminal.ts';
import { linkKeyPath, readCredentials } from '../transfer/credentials.ts';
import { receive, type ReceiverEvent } from '../transfer/receiver.ts';

export const summary = 'receive evidence from collectors, until interrupted';

const OPTIONS = {
	'listen': {
		kind: 'one', value: '[HOST:]PORT', help: 'where collectors reach it (all addresses where HOST is missing)',
	},
	'out': { kind: 'one', value: 'DIR', help: 'where evidence folders are made' },
	'max-size': { kind: 'one', value: 'BYTES', help: 'the largest core that is taken (default: 256G)' },
	'trust': { kind: 'many', value: 'FILE', help: 'keep only what this collector\'s key sealed, or one of more' },
	'key': { kind: 'one', value: 'FILE', help: 'the receiver\'s private key, for receipts, made if there is none' },
	'once': { kind: 'flag', help: 'end when one piece of evidence is kept' },
	'cert': { kind: 'one', value: 'FILE', help: 'the link\'s certificate, its key, and the authority that' },
	'link-key': { kind: 'one', value: 'FILE', help: 'both sides know (default: link.crt, link.key, ca.crt in' },
	'ca': { kind: 'one', value: 'FILE', help: '~/.config/procsnap; scripts/certificates makes them)' },
	'crl': { kind: 'many', value: 'FILE', help: 'certificates that the authority has revoked (PEM)' },
	'json': { kind: 'flag', help: 'print a line of JSON for each event' },
	'help': { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap receive --listen [HOST:]PORT --out DIR [OPTIONS]',
	text: `Listens for collectors (procsnap take --to), which need a certificate of the same
authority. What comes is verified before it is acknowledged; a transfer whose link was
lost goes on where it was, after a restart too.`,
	options: OPTIONS,
	examples: ['procsnap receive --listen 7447 --out /srv/evidence'],
	exits: '0 interrupted, or one was kept (--once); 1 it cannot listen, or not keep; 2 wrong usage.',
};

const DEFAULT_MOST = '256G';
/** Of a peer's text. */
const MOST_SHOWN = 500;

export async function run(args: string[], signal: AbortSignal): Promise<number> {
	const { flags, values } = parseOptions(args, OPTIONS);
	const [listen, folder] = [values.listen?.at(-1), values.out?.at(-1)];
	if (listen === undefined || folder === undefined)
		throw new UsageError('receive wants --listen [HOST:]PORT and --out DIR');
	const { host, port } = addressOf(listen, 'listen', '::');
	const kept = Promise.withResolvers<undefined>();
	const credentials = readCredentials({
		ca: values.ca?.at(-1), cert: values.cert?.at(-1), key: values['link-key']?.at(-1), crl: values.crl,
	});
	const trustedKeys = (values.trust ?? []).map(trustedKey);
	const keyPath = values.key?.at(-1) ?? join(configFolder(), 'receiver.key');
	const { key, made } = collectorKey(keyPath, 'receiver');
	if (made) {
		note(
			`made the receiver's key ${keyPath}; give ${keyPath}.pub to whoever verifies, by another way than the evidence`
		);
	}
	const receiver = await receive({
		host, port, out: resolve(folder), credentials, trustedKeys, key,
		mostBytes: bytesOption('max-size', values['max-size']?.at(-1) ?? DEFAULT_MOST, 1),
		said: (event) => {
			if (flags.has('json')) out.json(event);
			else out.line(eventText(event));
			if ('kept' in event && flags.has('once')) kept.resolve(undefined);
		},
	});
	const exposed = exposureOf(linkKeyPath(values['link-key']?.at(-1)), 'the link\'s key');
	if (exposed !== null) note(exposed);
	if (flags.has('json')) out.json({ listening: receiver.port });
	else out.line(`listening on port ${receiver.port}`);
	await Promise.race([kept.promise, ...(signal.aborted ? [] : [once(signal, 'abort')])]);
	await receiver.close();
	return 0;
}

/** Most of it is somebody else's words. */
function eventText(event: ReceiverEvent): string {
	if ('warning' in event) return event.warning.slice(0, MOST_SHOWN).trimEnd();
	const from = event.from.slice(0, MOST_SHOWN);
	if ('kept' in event)
		return `kept ${event.kept}: ${bytesText(event.bytes)} from ${from}, sealed by ${event.sealedBy}`;
	if ('refused' in event) return `refused from ${from}: ${event.refused.slice(0, MOST_SHOWN).trimEnd()}`;
	if ('busy' in event) return `busy, ${from} is to try again: ${event.busy.slice(0, MOST_SHOWN).trimEnd()}`;
	return `waiting for the rest of ${event.waiting}: ${bytesText(event.bytes)} are there; ` +
		`from ${from}: ${event.because.slice(0, MOST_SHOWN).trimEnd()}`;
}

function trustedKey(path: string): Buffer {
	try {
		const pem = readFileSync(path);
		publicKeyFrom(pem, path);
		return pem;
	} catch (error) {
		throw new Failure(`the collector's public key cannot be read: ${messageOf(error)}`);
	}
}
