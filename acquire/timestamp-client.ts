/**
 * Asks a time-stamp authority for a token (RFC 3161, 3.4: HTTP). Import it only when it is asked for: with TLS and
 * ASN.1 it brings megabytes that a collector can do without.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions as HttpsOptions } from 'node:https';
import { checkServerIdentity } from 'node:tls';
import { codeOf, Failure, messageOf } from '../common/errors.ts';
import { MOST_BYTES, timestampRequest, tokenOf } from './evidence/timestamp.ts';

/** Of somebody else's text. */
const MOST_SHOWN = 300;

export interface TimestampOptions {
	/** For all of it, from the connection to the answer's last byte. */
	timeoutMs?: number;
	/**
	 * Certificates (PEM) that an HTTPS server may come from, instead of the usual ones. It says nothing of the token.
	 */
	ca?: Buffer;
	/** Gives up at once. */
	signal?: AbortSignal;
}

/** The token (DER) of a message, whose signature holds; by whom is not judged: checkTimestamp(). Throws Failure. */
export async function requestTimestamp(
	url: string, message: Uint8Array, { timeoutMs = 15_000, ca, signal: interrupted }: TimestampOptions = {}
): Promise<Buffer> {
	const parsedUrl = authorityUrl(url);
	// Without what may be secret in it: a password, a customer's key.
	const where = `${parsedUrl.origin}${parsedUrl.pathname}`;
	const { der, nonce } = timestampRequest(message);
	const timeout = AbortSignal.timeout(timeoutMs);
	const signal = interrupted === undefined ? timeout : AbortSignal.any([timeout, interrupted]);
	try {
		const response = await answerOf(parsedUrl, der, { signal, ...(ca === undefined ? {} : { ca }) });
		return tokenOf(response, message, nonce);
	} catch (error) {
		// How an error is called that the signal caused depends on how far the answer had come.
		const because = error instanceof Failure
			? error.message
			: interrupted?.aborted === true ? 'it was interrupted' : signal.aborted ? `it did not answer within ${timeoutMs / 1000} s` : reasonOf(error);
		throw new Failure(
			`the time-stamp authority ${where} gave no token: ${because}; try again, or name another one with ` +
				`--timestamp`
		);
	}
}

/** Throws Failure unless it can be asked. */
export function authorityUrl(text: string): URL {
	const url = URL.parse(text);
	if (url === null || !['http:', 'https:'].includes(url.protocol)) {
		throw new Failure(
			`"${text}" is no URL of a time-stamp authority: it begins with http:// or https://`
		);
	}
	return url;
}

/** The body of an answer of status 200. Redirects are not followed: who is asked is the user's choice. */
async function answerOf(url: URL, body: Buffer, options: HttpsOptions): Promise<Buffer> {
	const response = await posted(url, body, {
		...options, method: 'POST', agent: false,
		// Said here, since NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment changes what is not.
		rejectUnauthorized: true, checkServerIdentity, minVersion: 'TLSv1.2',
		headers: {
			'content-type': 'application/timestamp-query', 'content-length': body.length,
			accept: 'application/timestamp-reply',
		},
	});
	try {
		const { statusCode = 0, statusMessage = '', headers } = response;
		if (statusCode !== 200) {
			const to = headers.location === undefined
				? ''
				: ` to ${headers.location.slice(0, MOST_SHOWN)}, and redirects are not followed`;
			throw new Failure(
				`it answered HTTP ${statusCode}${statusMessage === '' ? '' : ` (${statusMessage.slice(0, MOST_SHOWN)})`}${to}`
			);
		}
		const parts: Buffer[] = [];
		let bytes = 0;
		for await (const part of response as AsyncIterable<Buffer>) {
			bytes += part.length;
			if (bytes > MOST_BYTES)
				throw new Failure(`its answer has more than ${MOST_BYTES} bytes, which is no time-stamp response`);
			parts.push(part);
		}
		const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
		if (type.startsWith('text/'))
			throw new Failure(
				`it answered ${type.slice(0, MOST_SHOWN)}, a page for people and no time-stamp response: is this its URL for ` +
					`requests?`
			);
		return Buffer.concat(parts);
	} finally {
		response.destroy();
	}
}

const posted = (url: URL, body: Buffer, options: HttpsOptions): Promise<IncomingMessage> =>
	new Promise((resolve, reject) => {
		const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
		request(url, options, resolve).on('error', reject).end(body);
	});

function reasonOf(error: unknown): string {
	// Of several addresses each has its own error, and together they have no text.
	const [first] = error instanceof AggregateError ? error.errors as unknown[] : [error];
	const code = codeOf(first);
	return `it could not be asked: ` +
		`${messageOf(first)}${code === undefined || messageOf(first).includes(code) ? '' : ` (${code})`}`;
}
