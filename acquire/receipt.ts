/**
 * What a receiver says of evidence that it has kept: when, from whom, and what; signed with a key of its own. It lies
 * beside the evidence, and is no part of what the collector sealed.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { Failure, messageOf } from '../common/errors.ts';
import { FILES, readWhole, type Seal } from './evidence/folder.ts';
import { fingerprint, isSigned, publicKeyFrom, publicKeyOf, publicKeyPem, signed } from './evidence/seal.ts';

/** Beside those of the evidence (FILES). Both are there, or neither. */
export const RECEIPT_FILES = { receipt: 'receipt.json', signature: 'receipt.sig' } as const;

const SHA256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

const SCHEMA = v.object({
	version: v.literal(1),
	/** The receiver's wall clock, in UTC, when all of it had come. */
	received: v.pipe(v.string(), v.isoTimestamp()),
	receiver: v.object({ host: v.string(), publicKeySha256: SHA256, publicKey: v.string() }),
	/** The transfer's id. */
	transfer: v.string(),
	/** Of the evidence's files. `timestamp` null: it had none. */
	sha256: v.object({ manifest: SHA256, signature: SHA256, timestamp: v.nullable(SHA256) }),
	/** Who sent it: its certificate of the link (SHA-256 of the DER, and its subject), and its address. */
	peer: v.object({ certificateSha256: SHA256, subject: v.string(), address: v.string() }),
});

export type Receipt = v.InferOutput<typeof SCHEMA>;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export interface SignedReceipt { text: Buffer; signature: Buffer }

export function makeReceipt(seal: Seal, transfer: string, peer: Receipt['peer'], key: KeyObject): SignedReceipt {
	const publicKey = publicKeyOf(key);
	const receipt: Receipt = {
		version: 1, received: new Date().toISOString(),
		receiver: { host: hostname(), publicKeySha256: fingerprint(publicKey), publicKey: publicKeyPem(publicKey) },
		transfer,
		sha256: {
			manifest: sha256(seal.manifest), signature: sha256(seal.signature),
			timestamp: seal.timestamp === undefined ? null : sha256(seal.timestamp),
		},
		peer,
	};
	const text = Buffer.from(`${JSON.stringify(receipt, null, '\t')}\n`);
	return { text, signature: signed(text, key) };
}

/** Of a receipt that is of the evidence beside it. */
export interface CheckedReceipt {
	received: string;
	host: string;
	peer: Receipt['peer'];
	/** SHA-256 of the receiver's key that it says it is signed by. */
	signedBy: string;
	/** By the key given; null: none was, so that anybody may have made it. */
	trusted: true | null;
}

/**
 * The receipt of a folder, which may be anybody's; null: it has none, or one with a fault. `trustedKey`: the
 * receiver's public key, got by another way; without it anybody may have made the receipt anew. Throws Failure if that
 * is no key.
 */
export function checkReceipt(dir: string, faults: string[], trustedKey?: Uint8Array): CheckedReceipt | null {
	const given = trustedKey === undefined ? null : publicKeyFrom(trustedKey, 'the receiver\'s key given');
	const { receipt: name, signature: signatureName } = RECEIPT_FILES;
	const there = (file: string) => lstatSync(join(dir, file), { throwIfNoEntry: false }) !== undefined;
	if (!there(name) && !there(signatureName)) {
		if (given !== null) faults.push(`${name}: missing, and the receiver's key was given`);
		return null;
	}
	try {
		const text = readWhole(dir, name), signature = readWhole(dir, signatureName);
		const receipt = parsed(text);
		const key = publicKeyFrom(Buffer.from(receipt.receiver.publicKey), 'the key in it');
		if (given !== null && fingerprint(given) !== fingerprint(key))
			throw new Failure('not of the receiver\'s key given: another receiver made it');
		if (receipt.receiver.publicKeySha256 !== fingerprint(key)) throw new Failure('it names another key');
		if (!isSigned(text, signature, given ?? key))
			throw new Failure(`its signature (${signatureName}) is not of this text: one of them was altered`);
		for (const part of ['manifest', 'signature', 'timestamp'] as const) {
			const file = FILES[part];
			const found = part === 'timestamp' && !there(file) ? null : sha256(readWhole(dir, file));
			if (found !== receipt.sha256[part]) throw new Failure(`${file} is not the one that was received`);
		}
		const { received, receiver, peer } = receipt;
		return {
			received, host: receiver.host, peer, signedBy: fingerprint(key), trusted: given === null ? null : true,
		};
	} catch (error) {
		if (!(error instanceof Failure)) throw error;
		faults.push(`${name}: ${error.message}`);
		return null;
	}
}

/** Throws Failure. */
function parsed(text: Uint8Array): Receipt {
	let value: unknown;
	try {
		value = JSON.parse(Buffer.from(text).toString('utf8'));
	} catch (error) {
		throw new Failure(`no JSON: ${messageOf(error).slice(0, 200)}`);
	}
	const result = v.safeParse(SCHEMA, value);
	if (result.success) return result.output;
	const [{ message }] = result.issues, where = v.getDotPath(result.issues[0]) ?? 'all of it';
	throw new Failure(`no receipt: ${where}: ${message.slice(0, 200)}`);
}
