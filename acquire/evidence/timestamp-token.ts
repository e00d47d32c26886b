/** The signed part of a time-stamp token (CMS, RFC 5652): what it says, and that its signer signed just that. Pure. */
import { Constructed, fromBER, ObjectIdentifier, OctetString, Sequence, type AsnType } from 'asn1js';
import { createHash, verify, X509Certificate } from 'node:crypto';
import {
	Certificate, ContentInfo, IssuerAndSerialNumber, SignedData, TSTInfo, type RelativeDistinguishedNames,
	type SignerInfo,
} from 'pkijs';
import { Failure, messageOf } from '../../common/errors.ts';
import { isWhole } from './der.ts';
import { digestName, HASHES, SHA1, SHA256 } from './timestamp-digests.ts';

export { SHA256 };

/** Signature algorithms, and the hash that each stands for; null: that of the digest. RSA is PKCS #1 v1.5. */
const SIGNATURES: Record<string, string | null> = {
	'1.2.840.113549.1.1.1': null, '1.2.840.113549.1.1.11': 'sha256', '1.2.840.113549.1.1.12': 'sha384',
	'1.2.840.113549.1.1.13': 'sha512',
	'1.2.840.10045.4.3.2': 'sha256', '1.2.840.10045.4.3.3': 'sha384', '1.2.840.10045.4.3.4': 'sha512',
};

const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12';
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';

/** Nobody sends as many; each costs time to look at. */
const MOST_CERTIFICATES = 32;

export interface Token {
	info: TSTInfo;
	signer: X509Certificate;
	/** All that came with it, the signer's too. Those but the signer's are not signed. */
	certificates: X509Certificate[];
}

/** What a library throws about somebody else's bytes. */
export function parsed<T>(what: string, action: () => T): T {
	try {
		return action();
	} catch (error) {
		throw new Failure(`${what}: ${messageOf(error)}`);
	}
}

/** Bytes that are one structure, read. Throws. */
export function readDer(bytes: Uint8Array): AsnType {
	if (!isWhole(bytes)) throw new Error('it is not one DER structure');
	return fromBER(new Uint8Array(bytes)).result;
}

export const childrenOf = (block: AsnType | undefined): AsnType[] =>
	(block instanceof Constructed ? block.valueBlock.value : []);

/** A token whose signature holds. Of what, and by whom, is for the caller to judge. Throws Failure. */
export function readToken(token: Uint8Array): Token {
	const { signed, certificates } = parsed('it is no time-stamp token', () => readSigned(token));
	const { eContentType, eContent } = signed.encapContentInfo;
	if (eContentType !== TST_INFO || !(eContent instanceof OctetString))
		throw new Failure(`it is signed, and no time stamp: its content is of the type ${eContentType}`);
	const [signerInfo, more] = signed.signerInfos;
	if (signerInfo === undefined || more !== undefined)
		throw new Failure(`it has ${signed.signerInfos.length} signatures, and a time stamp has one`);
	const content = Buffer.from(eContent.getValue());
	const info = parsed('its content is no time stamp', () => new TSTInfo({ schema: readDer(content) }));
	if (info.version !== 1 || Number.isNaN(info.genTime.getTime()))
		throw new Failure('its content is no time stamp of version 1 with a time');
	const signer = checkSignature(signerInfo, content, certificates);
	return { info, signer, certificates };
}

function readSigned(token: Uint8Array): { signed: SignedData; certificates: X509Certificate[] } {
	// The certificates' bytes, which a digest is of. What cannot be read is no signer's.
	const sets = childrenOf(childrenOf(childrenOf(readDer(token))[1])[0])
		.filter(({ idBlock }) => idBlock.tagClass === 3 && idBlock.tagNumber === 0);
	const bytes = sets.flatMap((set) => childrenOf(set)).filter((each) => each instanceof Sequence)
		.map(({ valueBeforeDecodeView }) => valueBeforeDecodeView);
	if (bytes.length > MOST_CERTIFICATES)
		throw new Error(`${bytes.length} certificates are with it, and ${MOST_CERTIFICATES} are the most`);
	const certificates = bytes.flatMap((der) => {
		try {
			return [new X509Certificate(der)];
		} catch {
			return [];
		}
	});
	const outer = ContentInfo.fromBER(new Uint8Array(token));
	if (outer.contentType !== ContentInfo.SIGNED_DATA) throw new Error(`it is of the type ${outer.contentType}`);
	const signed = new SignedData({ schema: outer.content as AsnType });
	if (signed.version !== 3) throw new Error(`it is of version ${signed.version}, and a time stamp is of version 3`);
	return { signed, certificates };
}

/** By whom the content is signed. */
function checkSignature(
	{ version, signedAttrs, digestAlgorithm, signatureAlgorithm, signature, sid }: SignerInfo, content: Buffer,
	certificates: X509Certificate[]
): X509Certificate {
	if (signedAttrs === undefined)
		throw new Failure('it has no signed attributes, which name its signer and what was signed');
	const values = (type: string): AsnType[] =>
		signedAttrs.attributes.filter((attribute) => attribute.type === type)
			.flatMap((attribute) => attribute.values as AsnType[]);
	const [type, ...types] = values(CONTENT_TYPE);
	if (!(type instanceof ObjectIdentifier) || types.length > 0 || type.getValue() !== TST_INFO)
		throw new Failure('what was signed is no time stamp (attribute contentType)');
	const digest = HASHES[digestAlgorithm.algorithmId];
	if (digest === undefined)
		throw new Failure(
			`its digest algorithm, ${digestName(digestAlgorithm.algorithmId)}, is not trusted: SHA-256, SHA-384 and ` +
				`SHA-512 are`
		);
	const [found, ...others] = values(MESSAGE_DIGEST);
	if (!(found instanceof OctetString) || others.length > 0 ||
		!createHash(digest).update(content).digest().equals(found.valueBlock.valueHexView)) {
		throw new Failure('its content was altered: it is not what was signed (attribute messageDigest)');
	}
	const signer = namedSigner(values(SIGNING_CERTIFICATE), values(SIGNING_CERTIFICATE_V2), certificates);
	const { issuer, serialNumber } = Certificate.fromBER(new Uint8Array(signer.raw));
	if (version !== 1 || !(sid instanceof IssuerAndSerialNumber) || !sameName(sid.issuer, issuer) ||
		!sid.serialNumber.isEqual(serialNumber)) {
		throw new Failure('it names one signer by issuer and serial number, and another one by certificate');
	}
	const hash = SIGNATURES[signatureAlgorithm.algorithmId];
	if (hash === undefined)
		throw new Failure(
			`its signature algorithm, ${digestName(signatureAlgorithm.algorithmId)}, is not trusted: RSA and ECDSA ` +
				`with SHA-256, SHA-384 or SHA-512 are`
		);
	const isSigned = parsed(
		'its signature cannot be checked',
		() =>
			verify(
				hash ?? digest, new Uint8Array(signedAttrs.encodedValue), signer.publicKey,
				signature.valueBlock.valueHexView
			)
	);
	if (!isSigned) throw new Failure('its signature does not hold: it was altered, or another key signed it');
	return signer;
}

const sameName = (a: RelativeDistinguishedNames, b: RelativeDistinguishedNames): boolean =>
	Buffer.from(a.valueBeforeDecode).equals(Buffer.from(b.valueBeforeDecode));

/**
 * The certificate that a signed attribute names by its hash: RFC 5816 (version 2) or RFC 2634, where that is SHA-1.
 * SHA-1 serves here: another certificate of this very hash is what it would take.
 */
function namedSigner(
	first: readonly AsnType[], second: readonly AsnType[], certificates: X509Certificate[]
): X509Certificate {
	const [value, ...others] = second.length > 0 ? second : first;
	if (value === undefined || others.length > 0)
		throw new Failure('no signed attribute names the signer\'s certificate (signingCertificate)');
	const [named] = childrenOf(childrenOf(value)[0]);
	const fields = childrenOf(named);
	const [algorithm] = fields[0] instanceof Sequence ? childrenOf(fields[0]) : [];
	const hash = fields.find((field) => field instanceof OctetString);
	const oid = algorithm instanceof ObjectIdentifier ? algorithm.getValue() : second.length > 0 ? SHA256 : SHA1;
	const name = oid === SHA1 ? 'sha1' : HASHES[oid];
	const signer = name === undefined || hash === undefined
		? undefined
		: certificates.find(({ raw }) => createHash(name).update(raw).digest().equals(hash.valueBlock.valueHexView));
	if (signer === undefined)
		throw new Failure('the certificate that its signer named (signingCertificate) is not with it, or was altered');
	return signer;
}
