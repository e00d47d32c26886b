/** The collector's key, and its signature of a manifest: Ed25519 (RFC 8032). */
import {
	createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject,
} from 'node:crypto';
import {
	accessSync, constants, existsSync, lstatSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';

/** `XDG_CONFIG_HOME`/procsnap, by default in ~/.config: this user's keys. */
export const configFolder = (): string => join(
	process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'procsnap'
);

export const defaultKeyPath = (): string => join(configFolder(), 'collector.key');

/**
 * The private key of a file (PEM, PKCS #8), which is made if there is none: `made` then says so. `whose`: a receiver
 * has such a key too. Throws Failure.
 */
export function collectorKey(path: string, whose = 'collector'): { key: KeyObject; made: boolean } {
	const existing = readKey(path, whose);
	if (existing !== null) return { key: existing, made: false };
	const { privateKey, publicKey } = generateKeyPairSync('ed25519');
	try {
		makeFolders(dirname(resolve(path)));
		writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
		try {
			writeFileSync(`${path}.pub`, publicKeyPem(publicKey), { mode: 0o644, flag: 'wx' });
		} catch (error) {
			rmSync(path);	// no half a key
			throw error;
		}
	} catch (error) {
		throw new Failure(`the ${whose}'s key cannot be made: ${messageOf(error)}; name another file with --key`);
	}
	return { key: privateKey, made: true };
}

/**
 * Makes the folders that are missing; which these were. Node's recursive mkdir never ends in /proc, which lets none
 * be made.
 */
function makeFolders(folder: string): string[] {
	if (existsSync(folder)) return [];
	const above = makeFolders(dirname(folder));
	mkdirSync(folder, { mode: 0o700 });
	return [...above, folder];
}

/** Will there be a key: one to be read, or a place for one? Leaves nothing. Throws Failure. */
export function checkKeyPlace(path: string): void {
	if (readKey(path) !== null) return;
	try {
		for (const file of [path, `${path}.pub`]) {
			if (lstatSync(file, { throwIfNoEntry: false }) !== undefined)
				throw new Error(`EEXIST: file already exists, '${file}'`);
		}
		const folder = dirname(resolve(path));
		for (const made of makeFolders(folder).reverse()) rmdirSync(made);
		if (existsSync(folder)) accessSync(folder, constants.W_OK | constants.X_OK);
	} catch (error) {
		throw new Failure(`the collector's key cannot be made: ${messageOf(error)}; name another file with --key`);
	}
}

function readKey(path: string, whose = 'collector'): KeyObject | null {
	let text: string;
	try {
		text = readFileSync(path, 'utf8');
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return null;
		throw new Failure(`the ${whose}'s key cannot be read: ${messageOf(error)}`);
	}
	try {
		const key = createPrivateKey(text);
		if (key.asymmetricKeyType !== 'ed25519')
			throw new Error(`it is of the type ${key.asymmetricKeyType ?? 'secret'}`);
		return key;
	} catch (error) {
		throw new Failure(`${path}: no private Ed25519 key in PEM: ${messageOf(error)}`);
	}
}

export const publicKeyOf = (key: KeyObject): KeyObject => createPublicKey(key);

export const publicKeyPem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

/** May others than its owner read or change a private key's file? In sentences; null: no, or there is no such file. */
export function exposureOf(path: string, what: string): string | null {
	const found = statSync(path, { throwIfNoEntry: false });
	if (found === undefined || (found.mode & 0o077) === 0) return null;
	return `${what} ${path} is not its owner's alone (mode ${modeText(found.mode)}): whoever has read it can use it. ` +
		`Run chmod 600 on it, and make another one if somebody else may have`;
}

/** `0644` */
export const modeText = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0');

/**
 * What evidence is called for short, so that another folder in its place is noticed: the first 16 hexadecimal digits of
 * the SHA-256 of its manifest.
 */
export const evidenceId = (manifest: Uint8Array): string =>
	createHash('sha256').update(manifest).digest('hex').slice(0, 16);

/** SHA-256 of the public key's DER: short enough to be read out over a telephone. */
export const fingerprint = (key: KeyObject): string =>
	createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('hex');

export const signed = (text: Uint8Array, key: KeyObject): Buffer => sign(null, text, key);

/** The same on another thread: a text may be of many megabytes. */
export const signedAside = (text: Uint8Array, key: KeyObject): Promise<Buffer> => new Promise((resolve, reject) => {
	sign(null, text, key, (error, signature) => {
		if (error === null) resolve(signature);
		else reject(error);
	});
});

export const isSigned = (text: Uint8Array, signature: Uint8Array, key: KeyObject): boolean =>
	verify(null, text, key, signature);

/** In PEM, whatever else is in the file: OpenSSL makes a public key of it without a word. */
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/;

/** Throws Failure, with `what` it was to be. A private key is none, though it has its public half in it. */
export function publicKeyFrom(pem: Uint8Array, what: string): KeyObject {
	if (PRIVATE_KEY.test(Buffer.from(pem).toString('latin1')))
		throw new Failure(
			`${what}: it is a private key, and should not be here: whoever has it can seal evidence in its owner's ` +
				`name. Take its public half (collector.key.pub), and delete this file here`
		);
	try {
		const key = createPublicKey(Buffer.from(pem));
		if (key.asymmetricKeyType !== 'ed25519')
			throw new Error(`it is of the type ${key.asymmetricKeyType ?? 'secret'}`);
		return key;
	} catch (error) {
		throw new Failure(`${what}: no Ed25519 key in PEM: ${messageOf(error)}`);
	}
}
