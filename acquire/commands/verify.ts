/** procsnap verify DIR: is it what was sealed? */
import { readFileSync } from 'node:fs';
import { Failure, messageOf, UsageError } from '../../common/errors.ts';
import type { Timestamp } from '../evidence/timestamp.ts';
import { bytesText } from '../../common/format.ts';
import { partialText } from '../texts.ts';
import { parseOptions, type Option } from '../../common/options.ts';
import { verifyFolder } from '../verify.ts';

export const summary = 'say whether evidence is what was sealed, and what of it is not';

const OPTIONS = {
	key: { kind: 'one', value: 'FILE', help: 'the collector\'s public key, got by another way than the evidence' },
	'tsa-ca': {
		kind: 'one', value: 'FILE',
		help: 'certificates (PEM) of the time-stamp authority\'s CA, which its time stamp must come from',
	},
	json: { kind: 'flag', help: 'print one line of JSON for machines' },
	help: { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap verify DIR [OPTIONS]',
	text: `Checks the signature, every chunk of the core and every region, and names what was
altered, cut off, swapped or added. Without --key it shows that the folder is of one
piece, not who sealed it. Without --tsa-ca a time stamp shows that it is of this
evidence, not who gave it.`,
	options: OPTIONS,
	examples: [
		'procsnap verify plc-1 --key collector.key.pub',
		'procsnap verify plc-1 --key collector.key.pub --tsa-ca authority.pem',
	],
	exits: '0 whole, as it was sealed, be it partial; 1 not, or not to be read; 2 wrong usage.',
};

export async function run(args: string[]): Promise<number> {
	const { flags, values, positionals } = parseOptions(args, OPTIONS, 1);
	const [dir] = positionals;
	if (dir === undefined) throw new UsageError('verify wants an evidence folder: procsnap verify DIR');
	const keyPath = values.key?.at(-1);
	const caPath = values['tsa-ca']?.at(-1);
	const { faults, trusted, signedBy, bytes, manifest, timestamp } = await verifyFolder(
		dir, keyPath === undefined ? undefined : readGiven(keyPath, 'the collector\'s public key'),
		caPath === undefined ? undefined : readGiven(caPath, 'the time-stamp authority\'s CA'),
	);
	if (flags.has('json')) {
		process.stdout.write(
			`${JSON.stringify({ whole: faults.length === 0, partial: manifest?.partial ?? null, trusted, signedBy, timestamp, bytes, faults })}\n`
		);
	} else if (faults.length > 0) {
		process.stdout.write(`${dir}: NOT whole\n${faults.map((fault) => `  ${fault}\n`).join('')}`);
	} else {
		process.stdout.write(
			`${dir}: whole: ${bytesText(bytes)} in ${manifest?.regions.length ?? 0} regions, sealed by ` +
				`${trusted === true ? 'the key given' : 'a key that was not checked (--key)'}: ${signedBy ?? ''}\n`
		);
		if (timestamp !== null) process.stdout.write(`  ${timestampText(timestamp)}\n`);
		// Whole is what was sealed; that may not be all that there was.
		if (manifest !== null && manifest.partial !== null)
			process.stdout.write(`  ${partialText(manifest.partial)}\n`);
	}
	return faults.length === 0 ? 0 : 1;
}

const timestampText = ({ time, signer, trusted }: Timestamp): string =>
	`timestamped ${time} by ${signer}${trusted === true ? '' : ', whose certificate was not checked (--tsa-ca)'}`;

function readGiven(path: string, what: string): Buffer {
	try {
		return readFileSync(path);
	} catch (error) {
		throw new Failure(`${what} cannot be read: ${messageOf(error)}`);
	}
}
