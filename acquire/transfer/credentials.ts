/** Who a side of a transfer is, and whom it believes: certificates (X.509, PEM) of an authority that both know. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { codeOf, Failure, messageOf } from '../../common/errors.ts';
import { configFolder } from '../evidence/seal.ts';

export interface Credentials {
	/** Certificates of the authority: whoever has one of it is known. */
	ca: Buffer;
	cert: Buffer;
	key: Buffer;
	/** Lists of revoked certificates, each of an authority; none: nothing is known of that. */
	crl: Buffer[];
	/** Where they come from: they may change while a transfer goes on. */
	crlPaths: readonly string[];
}

export interface CredentialPaths {
	ca?: string | undefined;
	cert?: string | undefined;
	key?: string | undefined;
	crl?: readonly string[] | undefined;
}

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
	const crlPaths = paths.crl ?? [];
	return { ca, cert, key, crl: readCrl(crlPaths), crlPaths };
}

/**
 * What must hold of every link, whatever the environment and the defaults of Node say. A list that is not valid any
 * more lets nobody in (CRL_HAS_EXPIRED), nor does one of another authority (UNABLE_TO_GET_CRL).
 */
export const linkOptions = ({ ca, cert, key, crl }: Pick<Credentials, 'ca' | 'cert' | 'key' | 'crl'>) => ({
	ca, cert, key, ...(crl.length === 0 ? {} : { crl }), minVersion: 'TLSv1.3' as const, maxVersion: 'TLSv1.3' as const,
});

/** Throws Failure: it cannot be read, or is none. */
export function readCrl(paths: readonly string[]): Buffer[] {
	return paths.map((path) => {
		try {
			const crl = readFileSync(path);
			createSecureContext({ crl });
			return crl;
		} catch (error) {
			throw new Failure(`the list of revoked certificates ${path} cannot be used (PEM): ${messageOf(error)}`);
		}
	});
}

function read(path: string, which: keyof typeof CREDENTIAL_FILES): Buffer {
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
