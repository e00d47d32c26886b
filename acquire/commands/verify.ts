/** procsnap verify DIR: is it what was sealed? */
import { lstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf, UsageError } from '../../common/errors.ts';
import { FILES } from '../evidence/folder.ts';
import type { Timestamp } from '../evidence/timestamp.ts';
import type { CheckedReceipt } from '../receipt.ts';
import { bytesText } from '../../common/format.ts';
import { identityText, noMomentTexts, partialText, takenBackTexts } from '../texts.ts';
import { parseOptions, type Option } from '../../common/options.ts';
import { err, out } from '../../common/terminal.ts';
import { verdictOf, verifyFolder, type Verdict, type Verification } from '../verify.ts';
import type { Sums } from '../verify-core.ts';

export const summary = 'say whether evidence is what was sealed, and what of it is not';

const OPTIONS = {
	key: { kind: 'one', value: 'FILE', help: 'the collector\'s public key, got by another way than the evidence' },
	expect: { kind: 'one', value: 'ID', help: 'the id that take said: other evidence in its place is a fault' },
	'tsa-ca': {
		kind: 'one', value: 'FILE',
		help: 'certificates (PEM) of the time-stamp authority\'s CA, which its time stamp must come from',
	},
	'receiver-key': {
		kind: 'one', value: 'FILE',
		help: 'the receiver\'s public key, got by another way, which its receipt must be signed by',
	},
	sums: { kind: 'flag', help: 'print the SHA-256 of all its files as sha256sum -c wants them, the rest on stderr' },
	json: { kind: 'flag', help: 'print one line of JSON for machines' },
	help: { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap verify DIR --key FILE [OPTIONS]',
	text: `Checks the signature, every chunk of the core and every region, and names what was
altered, cut off, swapped or added. Without --key it shows that the folder is of one
piece, not who sealed it: anybody can seal a folder anew, and the exit code is 6.
Without --tsa-ca a time stamp shows that it is of this evidence, not who gave it; without
--receiver-key a receipt does no more.`,
	options: OPTIONS,
	examples: [
		'procsnap verify plc-1 --key collector.key.pub',
		'procsnap verify plc-1 --key collector.key.pub --expect 5f0c2a9be1d47c38 --tsa-ca authority.pem',
		'procsnap verify plc-1 --key collector.key.pub --sums > plc-1.sums',
	],
	exits: '0 whole, as the key given sealed it, be it partial; 1 not, or not to be read; 2 wrong usage; 6 of one ' +
		'piece,\nbut nobody knows who sealed it (no --key).',
};

const EXITS: Record<Verdict, number> = { 'whole': 0, 'not whole': 1, 'sealer unknown': 6 };

export async function run(args: string[]): Promise<number> {
	const { flags, values, positionals } = parseOptions(args, OPTIONS, 1);
	const [dir] = positionals;
	if (dir === undefined) throw new UsageError('verify wants an evidence folder: procsnap verify DIR');
	const keyPath = values.key?.at(-1);
	const caPath = values['tsa-ca']?.at(-1);
	const receiverKeyPath = values['receiver-key']?.at(-1);
	const sums: Sums | undefined = flags.has('sums') ? new Map() : undefined;
	const found = await verifyFolder(
		dir, keyPath === undefined ? undefined : keyGiven(keyPath, dir),
		caPath === undefined ? undefined : readGiven(caPath, 'the time-stamp authority\'s CA'),
		{
			expectedId: expected(values.expect?.at(-1)), sums,
			receiverKey: receiverKeyPath === undefined
				? undefined
				: readGiven(receiverKeyPath, 'the receiver\'s public key'),
		},
	);
	const verdict = verdictOf(found);
	// Of what is not whole, they would be the sums of something else.
	const good = sums === undefined || verdict === 'not whole'
		? []
		: Object.values(FILES).flatMap((name): Array<[string, string]> => {
			const sum = sums.get(name);
			return sum === undefined ? [] : [[name, sum]];
		});
	if (flags.has('json')) {
		out.json({ ...forMachines(found), ...(sums === undefined ? {} : { sums: Object.fromEntries(good) }) });
	} else {
		(sums === undefined ? out : err).lines(textOf(dir, found));
		out.lines(good.map(([name, sum]) => `${sum}  ${name}`));
	}
	return EXITS[verdict];
}

/** `whole` alone would be believed by whoever looks at nothing else: it takes the key. */
function forMachines(found: Verification): object {
	const { faults, notes, trusted, signedBy, bytes, manifest, timestamp, receipt, id } = found;
	const verdict = verdictOf(found);
	return {
		verdict, whole: verdict === 'whole', partial: manifest?.partial ?? null,
		ofOneMoment: manifest === null ? null : manifest.notOfOneMoment === undefined, trusted, signedBy, id, timestamp,
		receipt, bytes, faults, notes,
	};
}

function textOf(dir: string, found: Verification): string[] {
	const { faults, notes, trusted, signedBy, bytes, manifest, timestamp, receipt, id } = found;
	const verdict = verdictOf(found), what = `${bytesText(bytes)} in ${manifest?.regions.length ?? 0} regions`;
	const identity = manifest === null || id === null ? [] : [identityText(manifest, id)];
	const noted = notes.map((note) => `  note: ${note}`);
	// What it says of itself is worth a line only where the collector has signed it.
	if (verdict === 'not whole') {
		const of = trusted === true ? identity.map((text) => `  it was ${text}`) : [];
		return [`${dir}: NOT whole`, ...faults.map((fault) => `  ${fault}`), ...of, ...noted];
	}
	const head = verdict === 'whole'
		? [`${dir}: whole: ${what}, sealed by the key given: ${signedBy ?? ''}`, ...identity.map((text) => `  ${text}`)]
		: [
			`${dir}: of one piece, but nobody knows who sealed it: give the collector's public key with --key, got by ` +
				`another way than this folder`,
			`  ${what}, sealed by a key that was not checked: ${signedBy ?? ''}`,
			...identity.map((text) => `  it says that it is ${text}`),
		];
	return [
		...head,
		...(timestamp === null ? [] : [`  ${timestampText(timestamp)}`]),
		...(manifest === null ? [] : noMomentTexts(manifest).map((text) => `  ${text}`)),
		...(receipt === null ? [] : [`  ${receiptText(receipt)}`]),
		// Whole is what was sealed; that may not be all that there was.
		...(manifest === null || manifest.partial === null ? [] : [`  ${partialText(manifest.partial)}`]),
		...takenBackTexts(manifest?.regions ?? []).map((text) => `  ${text}`),
		...noted,
	];
}

const timestampText = ({ time, signer, trusted }: Timestamp): string =>
	`timestamped ${time} by ${signer}${trusted === true ? '' : ', whose certificate was not checked (--tsa-ca)'}`;

const receiptText = ({ received, host, peer, signedBy, trusted }: CheckedReceipt): string =>
	(trusted === true
		? `received ${received} by ${host} from ${peer.subject} at ${peer.address}, as the receiver's key given signed ` +
			`it: ${signedBy}`
		: `receipt not checked: it says that it was received ${received} by ${host}; give the receiver's public key ` +
			`with --receiver-key, got by another way than this folder`);

/** With the folder's own key all that is shown is that it is the folder's own. */
function keyGiven(path: string, dir: string): Buffer {
	const key = readGiven(path, 'the collector\'s public key'), given = statSync(path);
	const own = lstatSync(join(dir, FILES.publicKey), { throwIfNoEntry: false });
	if (own?.ino === given.ino && own.dev === given.dev) {
		throw new UsageError(
			`--key ${path}: this is the folder's own key, which whoever sealed it put there: give the one that you got ` +
				`from the collector by another way`
		);
	}
	return key;
}

function expected(id: string | undefined): string | undefined {
	if (id !== undefined && !/^[0-9a-f]{16,64}$/i.test(id))
		throw new UsageError(`--expect ${id}: it is an id, of 16 hexadecimal digits, as take prints it at its end`);
	return id;
}

function readGiven(path: string, what: string): Buffer {
	try {
		return readFileSync(path);
	} catch (error) {
		throw new Failure(`${what} cannot be read: ${messageOf(error)}`);
	}
}
