/**
 * Time-stamp tokens (RFC 3161, RFC 5816): what an authority is asked, what it answered, and whether a token is of a
 * text. PKI.js reads the structures; hashes and signatures are OpenSSL's. No network here: timestamp-client.ts.
 */
import { Integer, Null, OctetString } from 'asn1js';
import { createHash, randomBytes } from 'node:crypto';
import { AlgorithmIdentifier, MessageImprint, TimeStampReq, TimeStampResp } from 'pkijs';
import { Failure } from '../../common/errors.ts';
import { certificatesOf, checkSigner, checkSignerDigest, missingChain, nameOf } from './timestamp-chain.ts';
import { childrenOf, parsed, readDer, readToken, SHA256, type Token } from './timestamp-token.ts';

/** Of an answer, and of a token: they have a few KiB, more where many certificates are with them. */
export const MOST_BYTES = 1 << 20;
/** Of an authority's text. */
const MOST_SHOWN = 300;

export { certificatesOf };

export interface Timestamp {
	/** ISO 8601, UTC: the text was there by then. */
	time: string;
	/** Hexadecimal, of the authority's numbering. */
	serial: string;
	/** OID of the authority's policy. */
	policy: string;
	/** Whom the signer's certificate names. */
	signer: string;
	/** Does that certificate come from one that was given? null: none was given, so that anybody may have signed. */
	trusted: boolean | null;
}

const GRANTED = [0, 1];	// granted, grantedWithMods
const STATUS = ['granted', 'grantedWithMods', 'rejection', 'waiting', 'revocationWarning', 'revocationNotification'];

const sha256 = (message: Uint8Array): Buffer => createHash('sha256').update(message).digest();

/** A request to stamp SHA-256 of a message. The nonce makes sure that the answer is to it. */
export function timestampRequest(message: Uint8Array): { der: Buffer; nonce: Buffer } {
	const nonce = randomBytes(16);
	nonce[0] = 0x40 | ((nonce[0] ?? 0) & 0x3f);	// a positive INTEGER, without a zero in front
	const request = new TimeStampReq({
		version: 1,
		messageImprint: new MessageImprint({
			hashAlgorithm: new AlgorithmIdentifier({ algorithmId: SHA256, algorithmParams: new Null() }),
			hashedMessage: new OctetString({ valueHex: new Uint8Array(sha256(message)) }),
		}),
		nonce: new Integer({ valueHex: new Uint8Array(nonce) }),
		certReq: true,
	});
	return { der: Buffer.from(request.toSchema().toBER()), nonce };
}

/** The token of an answer, byte for byte, once it is one to this request. Throws Failure: "it ...". */
export function tokenOf(response: Uint8Array, message: Uint8Array, nonce: Uint8Array): Buffer {
	const { status, token } = parsed('it answered something else than a time-stamp response', () => {
		// Reading its schema takes it apart: the token's bytes come from another reading.
		const bytes = childrenOf(readDer(response))[1]?.valueBeforeDecodeView;
		return { status: new TimeStampResp({ schema: readDer(response) }).status, token: bytes };
	});
	if (!GRANTED.includes(status.status)) {
		const text = status.statusStrings?.map(({ valueBlock }) => valueBlock.value).join(' ') ?? '';
		const bits = [...status.failInfo?.valueBlock.valueHexView ?? []].flatMap((byte, at) =>
			[...Array(8).keys()].filter((bit) => byte & (0x80 >> bit)).map((bit) => at * 8 + bit));
		throw new Failure(
			`it refused: ${STATUS[status.status] ?? `status ${status.status}`}${text === '' ? '' : `: ${text.slice(0, MOST_SHOWN)}`}${bits.length === 0 ? '' : ` (failure ${bits.map((bit) => FAILURES[bit] ?? bit).join(', ')})`}`
		);
	}
	if (token === undefined) throw new Failure('it granted the request, and gave no token');
	const read = readToken(token);
	check(read, message);
	const echoed = read.info.nonce?.valueBlock.valueHexView;
	if (echoed === undefined || !Buffer.from(echoed).equals(nonce))
		throw new Failure('its token has another nonce than the request: it is the answer to another one');
	return Buffer.from(token);
}

/** PKIFailureInfo of RFC 3161, 2.4.2. */
const FAILURES: Record<number, string> = {
	0: 'badAlg', 2: 'badRequest', 5: 'badDataFormat', 14: 'timeNotAvailable', 15: 'unacceptedPolicy',
	16: 'unacceptedExtension', 17: 'addInfoNotAvailable', 25: 'systemFailure',
};

/**
 * Is the token of this message, and by a time-stamp authority? `trusted`: certificates (PEM) of its CA. They have to
 * be valid at the time of the stamp, not today. Throws Failure that names what is wrong.
 */
export const checkTimestamp = (token: Uint8Array, message: Uint8Array, trusted?: Uint8Array): Promise<Timestamp> =>
	Promise.try(() => {
		if (token.length > MOST_BYTES)
			throw new Failure(`it has ${token.length} bytes, and no token has more than ${MOST_BYTES}`);
		return check(readToken(token), message, trusted);
	});

function check({ info, signer, certificates }: Token, message: Uint8Array, trusted?: Uint8Array): Timestamp {
	const { hashAlgorithm, hashedMessage } = info.messageImprint;
	if (hashAlgorithm.algorithmId !== SHA256) {
		throw new Failure(`it is of another digest (${hashAlgorithm.algorithmId}) than SHA-256, so not of this text`);
	}
	if (!sha256(message).equals(hashedMessage.valueBlock.valueHexView))
		throw new Failure('it is of another text: the digest in it is not this one\'s');
	checkSigner(signer, info.genTime);
	if (trusted === undefined) {
		checkSignerDigest(signer);
	} else {
		const missing = missingChain(signer, certificates, certificatesOf(trusted), info.genTime);
		if (missing !== null)
			throw new Failure(
				`its signer, ${nameOf(signer)}, does not come from a certificate that was given: ${missing}`
			);
	}
	return {
		time: info.genTime.toISOString(),
		serial: Buffer.from(info.serialNumber.valueBlock.valueHexView).toString('hex'), policy: info.policy,
		signer: nameOf(signer), trusted: trusted === undefined ? null : true,
	};
}
