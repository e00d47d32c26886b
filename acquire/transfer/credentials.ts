/** Who a side of a transfer is, and whom it believes: certificates (X.509, PEM) of an authority that both know. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';
import { configFolder } from '../evidence/seal.ts';

export interface Credentials {
	/** Certificates of the authority: whoever has one of it is known. */
	ca: Buffer;
	cert: Buffer;
	key: Buffer;
}

export interface CredentialPaths { ca?: string | undefined; cert?: string | undefined; key?: string | undefined }

/** Where they are looked for; `name` is what scripts/certificates called them. */
export const CREDENTIAL_FILES = { ca: 'ca.crt', cert: 'link.crt', key: 'link.key' } as const;

/** Where this side's private key is. */
export const linkKeyPath = (given?: string): string => given ?? join(configFolder(), CREDENTIAL_FILES.key);

/** Throws Failure: not there, not of one another, not valid today. */
export function readCredentials(paths: CredentialPaths, now = new Date()): Credentials {
	const [ca, cert, key] = (['ca', 'cert', 'key'] as const).map((which) =>
		read(paths[which] ?? join(configFolder(), CREDENTIAL_FILES[which]), which)) as [Buffer, Buffer, Buffer];
	const certificate = parsed(() => new X509Certificate(cert), paths.cert ?? CREDENTIAL_FILES.cert);
	const authority = parsed(() => new X509Certificate(ca), paths.ca ?? CREDENTIAL_FILES.ca);
	if (!certificate.checkPrivateKey(parsed(() => createPrivateKey(key), paths.key ?? CREDENTIAL_FILES.key))) {
		throw new Failure('the link\'s key is not that of its certificate: --link-key and --cert belong together');
	}
	for (const [each, what] of [
		[certificate, 'the link\'s certificate'], [authority, 'the authority\'s certificate'],
	] as const) {
		if (now < each.validFromDate || now > each.validToDate) {
			throw new Failure(
				`${what} is valid from ${each.validFromDate.toISOString()} to ${each.validToDate.toISOString()}, ` +
					`and it is ${now.toISOString()}: the other side will refuse it`
			);
		}
	}
	return { ca, cert, key };
}

function read(path: string, which: keyof Credentials): Buffer {
	try {
		return readFileSync(path);
	} catch (error) {
		const missing = codeOf(error) === 'ENOENT';
		throw new Failure(
			`the link's ${{ ca: 'authority', cert: 'certificate', key: 'key' }[which]} cannot be read: ` +
				`${messageOf(error)}${missing ? `; name it with --${which === 'key' ? 'link-key' : which}, ` +
					`scripts/certificates makes one` : ''}`
		);
	}
}

function parsed<T>(parse: () => T, what: string): T {
	try {
		return parse();
	} catch (error) {
		throw new Failure(`${what} is not what it should be (PEM): ${messageOf(error)}`);
	}
}
