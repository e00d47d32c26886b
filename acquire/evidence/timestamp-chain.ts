/**
 * Whose certificate signed a time stamp, and where that certificate comes from. All of it as of the stamp's time.
 * Pure.
 */
import { X509Certificate } from 'node:crypto';
import { BasicConstraints, Certificate, ExtKeyUsage, type Extension } from 'pkijs';
import { Failure, messageOf } from '../../common/errors.ts';
import { brokenDigestOf } from './timestamp-digests.ts';
import { parsed } from './timestamp-token.ts';

const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const ANY_USAGE = '2.5.29.37.0';

const KEY_USAGE = '2.5.29.15';
const BASIC_CONSTRAINTS = '2.5.29.19';
const EXTENDED_KEY_USAGE = '2.5.29.37';
/** What is checked, here or by OpenSSL, or restricts nothing where any policy will do. */
const UNDERSTOOD = [
	KEY_USAGE, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, '2.5.29.17', '2.5.29.32', '2.5.29.14', '2.5.29.35',
];

/** CAs between the signer and one that was given. */
const MOST_BETWEEN = 8;

/** In one line, as the certificate has it. */
export const nameOf = ({ subject }: X509Certificate): string => subject.split('\n').join(', ');

const extensionsOf = (certificate: X509Certificate): Extension[] =>
	Certificate.fromBER(new Uint8Array(certificate.raw)).extensions ?? [];

/** All certificates of a PEM file. Throws Failure. */
export function certificatesOf(pem: Uint8Array): X509Certificate[] {
	const blocks = Buffer.from(pem).toString('latin1')
		.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
	if (blocks === null) throw new Failure('the file of the time-stamp authority\'s CA has no certificate in PEM');
	return blocks.map((block, at) =>
		parsed(
			`certificate ${at + 1} of the time-stamp authority's CA cannot be read`, () => new X509Certificate(block)
		));
}

/**
 * Is it a certificate for time stamps and for nothing else, as RFC 3161, 2.3 wants, and was it valid then? Throws
 * Failure.
 */
export function checkSigner(signer: X509Certificate, time: Date): void {
	const extensions = parsed('its signer\'s certificate cannot be read', () => extensionsOf(signer));
	const [usage] = extensions.filter(({ extnID }) => extnID === EXTENDED_KEY_USAGE);
	const purposes = usage?.parsedValue instanceof ExtKeyUsage ? usage.parsedValue.keyPurposes : [];
	if (usage?.critical !== true || purposes.length !== 1 || purposes[0] !== TIME_STAMPING) {
		throw new Failure(
			`its signer, ${nameOf(signer)}, is no time-stamp authority: its certificate is not for time stamps ` +
				`alone (critical extended key usage timeStamping)`
		);
	}
	const fault = faultAt(signer, extensions, time);
	if (fault !== null) throw new Failure(`its signer's certificate ${fault}`);
}

/** Throws Failure where its certificate is signed by MD5 or SHA-1, so that it may be somebody else's. */
export function checkSignerDigest(signer: X509Certificate): void {
	const broken = parsed('its signer\'s certificate cannot be read', () => brokenDigestOf(signer));
	if (broken !== null) throw new Failure(`its signer's certificate ${brokenText(signer, broken)}`);
}

const brokenText = (certificate: X509Certificate, digest: string): string =>
	`(${nameOf(certificate)}) is signed by ${digest}, which is not trusted: two certificates of one signature can be made`;

/** What every certificate of a chain has to be. */
function faultAt(certificate: X509Certificate, extensions: readonly Extension[], time: Date): string | null {
	const { validFromDate: from, validToDate: to } = certificate;
	if (time < from || time > to) {
		return `(${nameOf(certificate)}) was not valid at ${time.toISOString()}: it is from ${from.toISOString()} ` +
			`to ${to.toISOString()}`;
	}
	const strange = extensions.find(({ extnID, critical }) => critical && !UNDERSTOOD.includes(extnID));
	return strange === undefined
		? null
		: `(${nameOf(certificate)}) has a critical extension that is not understood: ${strange.extnID}`;
}

/**
 * Why no chain leads from the signer to one of those given, or null. Those that came with the token may be in between.
 * Each is looked at once and the shortest way comes first, so that a made-up ring of certificates leads nowhere.
 */
export function missingChain(
	signer: X509Certificate, embedded: readonly X509Certificate[], trusted: readonly X509Certificate[], time: Date
): string | null {
	const given = new Set(trusted.map(({ fingerprint256 }) => fingerprint256));
	const seen = new Set([signer.fingerprint256]);
	const faults: string[] = [];
	let level = [signer];
	for (let between = 0; between <= MOST_BETWEEN && level.length > 0; between++) {
		const found: X509Certificate[] = [];
		for (const certificate of level) {
			if (given.has(certificate.fingerprint256)) return null;
			// Of one that was given, nobody's signature counts.
			const broken = brokenDigestIn(certificate);
			for (const issuer of [...trusted, ...embedded]) {
				if (seen.has(issuer.fingerprint256) || !certificate.checkIssued(issuer) ||
					!isSignedBy(certificate, issuer))
					continue;
				if (broken !== null) {
					faults.push(`the certificate ${brokenText(certificate, broken)}`);
					continue;	// another certificate may lead there
				}
				seen.add(issuer.fingerprint256);
				const fault = issuerFault(issuer, between, time);
				if (fault === null) found.push(issuer);
				else faults.push(`the certificate of a CA ${fault}`);
			}
		}
		level = found;
	}
	// The last level's certificates may be among those given, with nothing above them.
	return level.some(({ fingerprint256 }) => given.has(fingerprint256))
		? null
		: faults[0] ?? 'none of them signed it, nor a CA between; is this the right CA?';
}

function brokenDigestIn(certificate: X509Certificate): string | null {
	try {
		return brokenDigestOf(certificate);
	} catch {
		return 'an algorithm that cannot be read';
	}
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
	try {
		return certificate.verify(issuer.publicKey);
	} catch {
		return false;	// a key of another kind
	}
}

/** `between`: how many CAs are below it. */
function issuerFault(issuer: X509Certificate, between: number, time: Date): string | null {
	let extensions: Extension[];
	try {
		extensions = extensionsOf(issuer);
	} catch (error) {
		return `(${nameOf(issuer)}) cannot be read: ${messageOf(error)}`;
	}
	if (!issuer.ca) return `(${nameOf(issuer)}) is no CA's`;
	const constraints: unknown = extensions.find(({ extnID }) => extnID === BASIC_CONSTRAINTS)?.parsedValue;
	const most = constraints instanceof BasicConstraints ? constraints.pathLenConstraint : undefined;
	if (typeof most === 'number' && between > most)
		return `(${nameOf(issuer)}) allows for ${most} CAs below it, and there are ${between}`;
	const usage: unknown = extensions.find(({ extnID }) => extnID === EXTENDED_KEY_USAGE)?.parsedValue;
	if (usage instanceof ExtKeyUsage &&
		!usage.keyPurposes.some((purpose) => purpose === TIME_STAMPING || purpose === ANY_USAGE)) {
		return `(${nameOf(issuer)}) is not for time stamps`;
	}
	return faultAt(issuer, extensions, time);
}
