/**
 * By which digests a time stamp and its certificates may be signed. Two texts of one MD5 or SHA-1 can be made: who can
 * have one of them signed has the other one signed too. What is not known to be safe is refused. Pure.
 */
import type { X509Certificate } from 'node:crypto';
import { Certificate, RSASSAPSSParams, type AlgorithmIdentifier } from 'pkijs';

export const SHA256 = '2.16.840.1.101.3.4.2.1';
export const SHA1 = '1.3.14.3.2.26';

/** As OpenSSL calls them. */
export const HASHES: Record<string, string> = {
	[SHA256]: 'sha256', '2.16.840.1.101.3.4.2.2': 'sha384', '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** What is refused by name: digests, and signature algorithms that have one. */
const BROKEN: Record<string, string> = {
	'1.2.840.113549.2.2': 'MD2', '1.2.840.113549.2.4': 'MD4', '1.2.840.113549.2.5': 'MD5', [SHA1]: 'SHA-1',
	'1.2.840.113549.1.1.2': 'MD2', '1.2.840.113549.1.1.3': 'MD4', '1.2.840.113549.1.1.4': 'MD5',
	'1.2.840.113549.1.1.5': 'SHA-1', '1.3.14.3.2.3': 'MD5', '1.3.14.3.2.29': 'SHA-1', '1.3.14.3.2.15': 'SHA',
	'1.2.840.10040.4.3': 'SHA-1', '1.3.14.3.2.27': 'SHA-1', '1.2.840.10045.4.1': 'SHA-1',
};

/** Of certificates, by RSA, ECDSA, DSA or EdDSA: with SHA-2, SHA-3, or what EdDSA has of its own. */
const SAFE = new Set([
	'1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13',
	'1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4',
	'2.16.840.1.101.3.4.3.2', '2.16.840.1.101.3.4.3.3', '2.16.840.1.101.3.4.3.4',
	'2.16.840.1.101.3.4.3.10', '2.16.840.1.101.3.4.3.11', '2.16.840.1.101.3.4.3.12',
	'2.16.840.1.101.3.4.3.14', '2.16.840.1.101.3.4.3.15', '2.16.840.1.101.3.4.3.16',
	'1.3.101.112', '1.3.101.113',
]);
const RSA_PSS = '1.2.840.113549.1.1.10';

/** `SHA-1 (1.3.14.3.2.26)`, or the OID alone. */
export const digestName = (oid: string): string => (BROKEN[oid] === undefined ? oid : `${BROKEN[oid]} (${oid})`);

/** By what a certificate is signed that nobody should believe; null: it is safe. Throws where it cannot be read. */
export function brokenDigestOf(certificate: X509Certificate): string | null {
	const { signatureAlgorithm } = Certificate.fromBER(new Uint8Array(certificate.raw));
	const { algorithmId } = signatureAlgorithm;
	if (algorithmId === RSA_PSS) {
		const hash = pssHashOf(signatureAlgorithm);
		return HASHES[hash] === undefined ? digestName(hash) : null;
	}
	return SAFE.has(algorithmId) ? null : digestName(algorithmId);
}

/** SHA-1 where it names none (RFC 4055, 3.1). */
const pssHashOf = ({ algorithmParams }: AlgorithmIdentifier): string =>
	new RSASSAPSSParams({ schema: algorithmParams as unknown }).hashAlgorithm.algorithmId;
