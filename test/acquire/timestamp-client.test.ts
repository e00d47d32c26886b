/** A time stamp is asked for over HTTP; an authority may answer it, or anything else, or not at all. */
import test, { type ExecutionContext } from 'ava';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Failure } from '../../common/errors.ts';
import { checkTimestamp, MOST_BYTES } from '../../acquire/evidence/timestamp.ts';
import { authorityUrl, requestTimestamp } from '../../acquire/timestamp-client.ts';
import { Authority, MESSAGE, opensslTest } from './evidence/authority.ts';

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
	const parts: Buffer[] = [];
	for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
	return Buffer.concat(parts);
}

async function listening(t: ExecutionContext, server: Server, protocol = 'http'): Promise<string> {
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.teardown(() => {
		server.closeAllConnections();
		server.close();
	});
	return `${protocol}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serve = (t: ExecutionContext, answer: RequestListener): Promise<string> => listening(t, createServer(answer));

/** What is wrong with an answer to a well-made request. */
async function refusal(
	t: ExecutionContext, answer: (response: ServerResponse, query: Buffer) => void, timeoutMs = 10_000
): Promise<string> {
	const url = await serve(t, (request, response) => void bodyOf(request).then((query) => answer(response, query)));
	const error = await t.throwsAsync(
		requestTimestamp(`${url}/stamp`, MESSAGE, { timeoutMs }), { instanceOf: Failure }
	);
	const [, because] =
		/^the time-stamp authority http:\/\/127\.0\.0\.1:\d+\/stamp gave no token: (.*); try again, or name another one with --timestamp$/.exec(error.message) ?? [];
	t.truthy(because, error.message);
	return because ?? '';
}

for (const key of ['rsa', 'ec'] as const) {
	opensslTest(`a token is asked for and given: ${key}`, async (t) => {
		const authority = new Authority(t).usual(key);
		const asked: Array<{ request: IncomingMessage; text: string }> = [];
		const url = await serve(t, (request, response) => void bodyOf(request).then((query) => {
			response.end(authority.reply(query));
			asked.push({ request, text: authority.openssl('ts', '-query', '-in', 'query', '-text').toString() });
		}));
		for (let i = 0; i < 2; i++) {
			const token = await requestTimestamp(`${url}/stamp`, MESSAGE);
			t.true((await checkTimestamp(token, MESSAGE, authority.read('root.pem'))).trusted);
		}
		const [first, second] = asked as [(typeof asked)[0], (typeof asked)[0]];
		t.deepEqual(
			[first.request.method, first.request.url, first.request.headers['content-type']],
			['POST', '/stamp', 'application/timestamp-query']
		);
		t.regex(first.text, /Hash Algorithm: sha256/);
		t.regex(first.text, /Certificate required: yes/);
		const nonce = (text: string) => /^Nonce: 0x([0-9A-F]+)$/m.exec(text)?.[1] ?? '';
		t.true(nonce(first.text).length * 4 >= 64, nonce(first.text));
		t.not(nonce(first.text), nonce(second.text));
	});
}

opensslTest('an answer to another request, and one without a nonce', async (t) => {
	const authority = new Authority(t).usual();
	const before = authority.reply(authority.query(MESSAGE));
	t.regex(await refusal(t, (response) => response.end(before)), /another nonce/);
	const without = authority.reply(authority.query(MESSAGE, '-no_nonce'));
	t.regex(await refusal(t, (response) => response.end(without)), /another nonce/);
	const other = authority.reply(authority.query(Buffer.from('another')));
	t.regex(await refusal(t, (response) => response.end(other)), /another text/);
});

opensslTest('an authority that signs as it must not', async (t) => {
	const authority = new Authority(t).usual('rsa');
	t.regex(await refusal(t, (response, query) => {
		const reply = authority.reply(query);
		reply[reply.length - 1]! ^= 1;
		response.end(reply);
	}), /signature does not hold/);
});

opensslTest('an authority that refuses says why', async (t) => {
	const authority = new Authority(t, { digests: 'sha512' }).usual();
	const because = await refusal(t, (response, query) => response.end(authority.reply(query)));
	t.is(because, 'it refused: rejection: Message digest algorithm is not supported. (failure badAlg)');
});

test('a refusal is somebody else\'s text; a token may be missing', async (t) => {
	const status = (hex: string) => Buffer.from(hex, 'hex');
	// PKIStatusInfo: rejection, "no<ESC>[31m", failure 14 and 30.
	t.is(
		await refusal(
			t,
			(response) =>
				response.end(status('30193017' + '020102' + '300b0c09' + '6e6f1b5b33316d2121' + '0305' + '0100020002'))
		),
		'it refused: rejection: no\u001b[31m!! (failure timeNotAvailable, 30)', 'whoever writes it escapes it'
	);
	t.is(
		await refusal(t, (response) => response.end(status('30053003020100'))),
		'it granted the request, and gave no token'
	);
	t.is(await refusal(t, (response) => response.end(status('30053003020103'))), 'it refused: waiting');
	t.regex(
		await refusal(t, (response) => response.end(status('30053003020109'))),
		/something else than a time-stamp response/
	);
});

test('answers that are none', async (t) => {
	const page = '<!doctype html><title>Welcome</title>';
	t.regex(
		await refusal(t, (response) => response.end(Buffer.alloc(2000, 0xa5))),
		/something else than a time-stamp response/
	);
	t.regex(await refusal(t, (response) => response.end()), /something else than a time-stamp response/);
	t.regex(await refusal(t, (response) => response.end(page)), /something else than a time-stamp response/);
	t.regex(
		await refusal(t, (response) => response.setHeader('content-type', 'text/html; charset=utf-8').end(page)),
		/answered text\/html, a page for people/
	);
	t.regex(
		await refusal(t, (response) => response.writeHead(500, 'Out\tof\torder').end(page)),
		/HTTP 500 \(Out\tof\torder\)/
	);
	t.regex(await refusal(t, (response) => response.writeHead(404).end(page)), /HTTP 404 \(Not Found\)/);
	t.regex(await refusal(t, (response) => {
		response.setHeader('content-length', 1000).write('0');
		setTimeout(() => response.destroy(), 50);
	}), /could not be asked: .*(?:aborted|ECONNRESET)/);
});

opensslTest('a redirect is told of and not followed', async (t) => {
	const authority = new Authority(t).usual();
	let followed = 0;
	const good = await serve(t, (request, response) => void bodyOf(request).then((query) => {
		followed += 1;
		response.end(authority.reply(query));
	}));
	for (const code of [301, 302, 303, 307, 308]) {
		const because = await refusal(t, (response) => response.writeHead(code, { location: good }).end());
		t.true(
			because.startsWith(`it answered HTTP ${code}`) &&
				because.endsWith(` to ${good}, and redirects are not followed`),
			because
		);
	}
	t.is(followed, 0);
});

test('nothing is waited for longer than asked, nor taken more of than a token has', async (t) => {
	const drips: NodeJS.Timeout[] = [];
	t.teardown(() => drips.forEach((drip) => clearInterval(drip)));
	t.is(await refusal(t, () => {}, 300), 'it did not answer within 0.3 s');
	t.is(
		await refusal(t, (response) => drips.push(setInterval(() => response.write('0'), 20)), 300),
		'it did not answer within 0.3 s'
	);
	let sent = 0;
	t.is(await refusal(t, (response) => {
		const more = (): void => {
			for (let full = false; !full && !response.destroyed; sent += 65_536)
				full = !response.write(Buffer.alloc(65_536));
			response.once('drain', more);
		};
		more();
	}), `its answer has more than ${MOST_BYTES} bytes, which is no time-stamp response`);
	// What the sockets hold comes on top.
	t.true(sent > MOST_BYTES && sent < 64 * MOST_BYTES, `${sent} bytes sent`);
});

test('nobody listens; no URL', async (t) => {
	const server = createServer();
	const url = await listening(t, server);
	await new Promise((resolve) => server.close(resolve));
	await t.throwsAsync(
		requestTimestamp(url, MESSAGE), { instanceOf: Failure, message: /could not be asked: .*ECONNREFUSED/ }
	);
	for (const wrong of ['', 'authority', 'ftp://authority/', 'file:///etc/passwd', '/tmp']) {
		t.throws(
			() => authorityUrl(wrong),
			{ instanceOf: Failure, message: /is no URL of a time-stamp authority: it begins with http/ }, wrong
		);
	}
	await t.throwsAsync(requestTimestamp('ftp://authority/', MESSAGE), { instanceOf: Failure, message: /no URL/ });
});

test('a password goes to the authority and into no message', async (t) => {
	let authorization = '';
	const url = await serve(t, (request, response) => {
		authorization = request.headers.authorization ?? '';
		response.writeHead(401).end();
	});
	const secret = new URL(url);
	Object.assign(secret, { username: 'me', password: 's3cret', search: '?key=s3cret' });
	const error = await t.throwsAsync(
		requestTimestamp(secret.href, MESSAGE), { instanceOf: Failure, message: /HTTP 401/ }
	);
	t.is(Buffer.from(authorization.replace('Basic ', ''), 'base64').toString(), 'me:s3cret');
	t.notRegex(error.message, /s3cret/);
});

opensslTest('over TLS: the server has to be the one of the CA given', async (t) => {
	const authority = new Authority(t).usual();
	authority.certificate('server', { by: 'root', extensions: 'subjectAltName=IP:127.0.0.1' });
	const server = createTlsServer(
		{ key: authority.read('server.key'), cert: authority.read('server.pem') },
		(request, response) => void bodyOf(request).then((query) => response.end(authority.reply(query)))
	);
	const url = await listening(t, server, 'https');
	const token = await requestTimestamp(url, MESSAGE, { ca: authority.read('root.pem') });
	t.is((await checkTimestamp(token, MESSAGE)).signer, 'O=Test, CN=tsa');
	await t.throwsAsync(
		requestTimestamp(url, MESSAGE), { instanceOf: Failure, message: /could not be asked: .*certificate/ }
	);
	await t.throwsAsync(
		requestTimestamp(url, MESSAGE, { ca: authority.read('tsa.pem') }),
		{ instanceOf: Failure, message: /could not be asked: .*certificate/ }
	);
	// Whatever the environment says.
	process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
	t.teardown(() => { delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']; });
	await t.throwsAsync(
		requestTimestamp(url, MESSAGE), { instanceOf: Failure, message: /could not be asked: .*certificate/ }
	);
});
