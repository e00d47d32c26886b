/**
 * Is an evidence folder what the collector sealed? Everything that is not is named: which file, which chunk, which
 * region. Nothing outside of the folder is opened, whatever the manifest says.
 */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../common/errors.ts';
import { FILES, readWhole } from './evidence/folder.ts';
import type { Manifest } from './evidence/manifest.ts';
import { evidenceId, fingerprint, isSigned, modeText, publicKeyFrom, publicKeyPem } from './evidence/seal.ts';
import type { Timestamp } from './evidence/timestamp.ts';
import { folderTimestamp } from './folder-timestamp.ts';
import { checkReceipt, RECEIPT_FILES, type CheckedReceipt } from './receipt.ts';
import { checkCore, type Sums } from './verify-core.ts';
import { checkElf } from './verify-elf.ts';
import { checkProgram } from './verify-program.ts';

export interface Verification {
	/** null where the manifest itself cannot be believed. */
	manifest: Manifest | null;
	/** SHA-256 of the key that the folder says signed it. */
	signedBy: string | null;
	/** Was the key given, and is it that one? null: none was given, so that anybody may have sealed it. */
	trusted: boolean | null;
	/** By when it was sealed; null: nothing tells, or not what it should. */
	timestamp: Timestamp | null;
	/** What the receiver says of it; null: nothing, or not what it should. */
	receipt: CheckedReceipt | null;
	/** evidenceId() of the manifest that is there, be it believed or not; null: there is none. */
	id: string | null;
	/** Empty: it is of one piece, and whole where `trusted`. In somebody else's words, in part. */
	faults: string[];
	/** What is no fault, and better known: who may change it later. */
	notes: string[];
	bytes: number;
}

/** Of one piece is what anybody can make: only with the collector's key it is known to be whole. */
export type Verdict = 'whole' | 'sealer unknown' | 'not whole';

export function verdictOf({ faults, trusted }: Pick<Verification, 'faults' | 'trusted'>): Verdict {
	if (faults.length > 0) return 'not whole';
	return trusted === true ? 'whole' : 'sealer unknown';
}

export interface VerifyOptions {
	/** The id that it is to have, or more digits of that SHA-256. */
	expectedId?: string | undefined;
	/** Gets the SHA-256 of all files. */
	sums?: Sums | undefined;
	/** The receiver's public key, got by another way: there is to be a receipt, and it is to be signed by it. */
	receiverKey?: Uint8Array | undefined;
}

/**
 * `trustedKey`: the collector's public key; `tsaCa`: certificates (PEM) of the time-stamp authority's CA. Both got by
 * another way than the evidence. Throws Failure if there is no such folder.
 */
export async function verifyFolder(
	dir: string, trustedKey?: Uint8Array, tsaCa?: Uint8Array, { expectedId, sums, receiverKey }: VerifyOptions = {}
): Promise<Verification> {
	const given = trustedKey === undefined ? null : publicKeyFrom(trustedKey, 'the key given');
	const faults = strangers(dir), notes = changeable(dir);
	const files = readSmallFiles(dir, faults);
	if (files === null)
		return {
			manifest: null, signedBy: null, trusted: given === null ? null : false, timestamp: null, receipt: null,
			id: null, faults, notes, bytes: 0,
		};
	const id = evidenceId(files.manifest);
	if (expectedId !== undefined && !sha256(files.manifest).startsWith(expectedId.toLowerCase())) {
		faults.push(
			`${FILES.manifest}: its id is ${id}, and not ${expectedId}: this is other evidence than was expected, or altered`
		);
	}
	for (const name of ['manifest', 'signature', 'publicKey'] as const) sums?.set(FILES[name], sha256(files[name]));
	const receipt = checkReceipt(dir, faults, receiverKey);
	const key = tried(() => publicKeyFrom(files.publicKey, FILES.publicKey), faults);
	// Many a text is read as one key: bits that do not count, blanks, words before it.
	if (key !== null && publicKeyPem(key) !== files.publicKey.toString('latin1'))
		faults.push(`${FILES.publicKey}: altered: not as it was written`);
	const trusted = given === null ? null : key !== null && fingerprint(given) === fingerprint(key);
	if (trusted === false) faults.push(`${FILES.publicKey}: not the key given: somebody else sealed this`);
	const signedBy = key === null ? null : fingerprint(key);
	// With the key given, the folder's own does not matter.
	const by = given ?? key;
	if (by === null || !isSigned(files.manifest, files.signature, by)) {
		faults.push(
			`${FILES.manifest}: its signature (${FILES.signature}) is not of this text by ` +
				`${given === null ? FILES.publicKey : 'the key given'}: one of them was altered`
		);
		return { manifest: null, signedBy, trusted, timestamp: null, receipt, id, faults, notes, bytes: 0 };
	}
	// Signed, but without a key given by anybody.
	const { parseManifest } = await import('./evidence/manifest-schema.ts');
	const manifest = tried(() => parseManifest(files.manifest), faults, `${FILES.manifest}: `);
	if (manifest === null)
		return { manifest, signedBy, trusted, timestamp: null, receipt, id, faults, notes, bytes: 0 };
	if (signedBy !== null && signedBy !== manifest.collector.publicKeySha256) {
		faults.push(`${FILES.publicKey}: the manifest names another key`);
	}
	// The signature is what is stamped: it was there by then, and with it all that it is of.
	const timestamp = await folderTimestamp(
		dir, files.signature, tsaCa, faults, (token) => sums?.set(FILES.timestamp, sha256(token))
	);
	checkProgram(dir, manifest, faults, (content) => sums?.set(FILES.program, sha256(content)));
	const before = faults.length, bytes = checkCore(dir, manifest, faults, sums);
	if (faults.length === before) checkElf(dir, manifest, faults);
	return { manifest, signedBy, trusted, timestamp, receipt, id, faults, notes, bytes };
}

const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Whole is what it is now: who may change it when nobody looks? */
function changeable(dir: string): string[] {
	const notes: string[] = [];
	const others = (what: string, { mode }: Stats): void => {
		if ((mode & 0o022) !== 0)
			notes.push(`${what}: others than its owner may write to it (mode ${modeText(mode)})`);
	};
	others('the folder', statSync(dir));
	for (const name of Object.values(FILES)) {
		const found = lstatSync(join(dir, name), { throwIfNoEntry: false });
		if (found?.isFile() !== true) continue;
		others(name, found);
		if (found.nlink > 1) {
			notes.push(
				`${name}: it is a hard link: the file has ${found.nlink} names, and whoever has another one may change ` +
					`it; copy the folder (cp -r), and verify the copy`
			);
		}
	}
	return notes;
}

/** What is in the folder and is none of its files. */
function strangers(dir: string): string[] {
	let names: string[];
	try {
		names = readdirSync(dir);
	} catch (error) {
		throw new Failure(`${dir} is no evidence folder: ${messageOf(error)}`);
	}
	const known: string[] = [...Object.values(FILES), ...Object.values(RECEIPT_FILES)];
	return [
		...names.filter((name) => !known.includes(name))
			.map((name) => `${name}: added: no file of the evidence`),
		// A link would lead out of the folder.
		...names.filter((name) => known.includes(name) && !lstatSync(join(dir, name)).isFile())
			.map((name) => `${name}: no ordinary file`),
	];
}

interface SmallFiles { manifest: Buffer; signature: Buffer; publicKey: Buffer }

function readSmallFiles(dir: string, faults: string[]): SmallFiles | null {
	if (faults.some((fault) => fault.endsWith('no ordinary file'))) return null;
	const read = (name: string): Buffer | null => tried(() => readWhole(dir, name), faults, `${name}: `);
	const [manifest, signature, publicKey] = [FILES.manifest, FILES.signature, FILES.publicKey].map(read);
	return manifest && signature && publicKey ? { manifest, signature, publicKey } : null;
}

function tried<T>(action: () => T, faults: string[], where = ''): T | null {
	try {
		return action();
	} catch (error) {
		if (!(error instanceof Failure)) throw error;
		faults.push(`${where}${error.message}`);
		return null;
	}
}
