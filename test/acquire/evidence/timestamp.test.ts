/** A time stamp counts if an authority gave it of this text, and is refused for all else. Its tokens are openssl's. */
import test from 'ava';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Failure } from '../../../common/errors.ts';
import { isWhole } from '../../../acquire/evidence/der.ts';
import { checkTimestamp, MOST_BYTES } from '../../../acquire/evidence/timestamp.ts';
import { Authority, FOR_CA, FOR_STAMPS, MESSAGE, opensslTest, POLICY } from './authority.ts';

/** Changed bytes of a token. Each is looked at, which takes a while. */
const SAMPLES = 300;

const PAST = { from: '20200101000000Z', to: '20210101000000Z' };
const IN_THE_PAST = '20200601000000Z';

for (const key of ['rsa', 'ec'] as const) {
	opensslTest(`a token by ${key}: who, when, of what; and openssl says so too`, async (t) => {
		const authority = new Authority(t).usual(key);
		const token = authority.token();
		const { time, signer, serial, policy, trusted } = await checkTimestamp(
			token, MESSAGE, authority.read('root.pem')
		);
		writeFileSync(authority.path('token'), token);
		const said = authority.openssl('ts', '-reply', '-token_in', '-in', 'token', '-text').toString();
		t.is(new Date(time).getTime(), Date.parse(/^Time stamp: (.*)$/m.exec(said)![1]!));
		t.is(Number.parseInt(serial, 16), Number(/^Serial number: (0x\w+)$/m.exec(said)![1]));
		t.deepEqual([signer, policy, trusted], ['O=Test, CN=tsa', POLICY, true]);
		t.is((await checkTimestamp(token, MESSAGE)).trusted, null);
		t.regex(
			authority.openssl('ts', '-verify', '-token_in', '-in', 'token', '-data', 'message', '-CAfile', 'root.pem')
				.toString(),
			/OK/
		);
		await t.throwsAsync(
			checkTimestamp(token, Buffer.from('another')), { instanceOf: Failure, message: /another text/ }
		);
	});

	opensslTest(`no byte of a token by ${key} can be changed so that it says anything else`, async (t) => {
		const authority = new Authority(t).usual(key);
		const token = authority.token();
		const root = new X509Certificate(authority.read('root.pem')).raw;
		const says = await checkTimestamp(token, MESSAGE);
		// What no signature is over, and nobody reads: the list of digest algorithms, NULL parameters, the CA's
		// certificate, which is not believed.
		const parts = authority.parts(token);
		const list = parts.find(({ depth, text }) => depth === 3 && text.includes('SET'))!;
		const free = [
			{ from: list.offset, to: list.offset + list.header + list.length },
			{ from: token.indexOf(root), to: token.indexOf(root) + root.length },
			...parts.filter(({ depth, text }) => depth === 6 && text.includes('NULL'))
				.map(({ offset }) => ({ from: offset, to: offset + 2 })),
		];
		const refused: number[] = [], accepted: number[] = [];
		// Versions are one byte each: they are among them in any case.
		const versions = parts.filter(({ depth, text }) => (depth === 3 || depth === 5) && text.includes('INTEGER'))
			.map(({ offset }) => offset + 2);
		t.is(versions.length, 2);
		const places = [
			...versions, ...Array.from({ length: SAMPLES }, (_, i) => Math.floor(i * token.length / SAMPLES)),
		];
		for (const [i, at] of places.entries()) {
			const changed = Buffer.from(token);
			changed[at]! ^= 1 << i % 8;
			try {
				t.deepEqual(await checkTimestamp(changed, MESSAGE), says, `byte ${at}`);
				accepted.push(at);
			} catch (error) {
				t.true(error instanceof Failure, `byte ${at}: ${String(error)}`);
				refused.push(at);
			}
		}
		t.deepEqual(accepted.filter((at) => !free.some(({ from, to }) => from <= at && at < to)), []);
		t.true(refused.length > SAMPLES / 2, `${refused.length} refused`);
	});
}

opensslTest('the signer is named by SHA-1 (RFC 3161), SHA-256 or SHA-512 (RFC 5816)', async (t) => {
	for (const ess of ['sha1', 'sha256', 'sha512']) {
		t.is((await checkTimestamp(new Authority(t, { ess }).usual().token(), MESSAGE)).policy, POLICY, ess);
	}
});

opensslTest('a digest of another kind, and a text that is too long', async (t) => {
	const authority = new Authority(t, { digests: 'sha512' }).usual();
	await t.throwsAsync(
		checkTimestamp(authority.token(MESSAGE, '-sha512'), MESSAGE),
		{ instanceOf: Failure, message: /another digest \(2\.16\.840\.1\.101\.3\.4\.2\.3\) than SHA-256/ }
	);
	await t.throwsAsync(
		checkTimestamp(Buffer.alloc(MOST_BYTES + 1), MESSAGE),
		{ instanceOf: Failure, message: /no token has more than/ }
	);
});

opensslTest('a signer who may do anything but stamp, or stamp among others', async (t) => {
	const authority = new Authority(t).usual();
	const content = authority.content(authority.token());
	const signedBy = (name: string, extensions: string) => {
		authority.certificate(name, { by: 'root', extensions });
		return checkTimestamp(authority.forged(content, name), MESSAGE, authority.read('root.pem'));
	};
	t.true((await signedBy('right', FOR_STAMPS)).trusted);
	for (const [name, extensions] of [
		['none', 'keyUsage=digitalSignature'], ['other', 'extendedKeyUsage=critical,codeSigning'],
		['uncritical', 'extendedKeyUsage=timeStamping'],
		['several', 'extendedKeyUsage=critical,timeStamping,codeSigning'],
	] as const) {
		await t.throwsAsync(
			signedBy(name, extensions),
			{ instanceOf: Failure, message: new RegExp(`^its signer, O=Test, CN=${name}, is no time-stamp authority`) }
		);
	}
	await t.throwsAsync(
		signedBy('strange', `${FOR_STAMPS}\n1.2.3.4=critical,DER:0500`),
		{ instanceOf: Failure, message: /critical extension that is not understood: 1\.2\.3\.4/ }
	);
});

opensslTest('what is signed otherwise than a token', async (t) => {
	const authority = new Authority(t).usual('rsa');
	const content = authority.content(authority.token());
	const refused = (token: Buffer, message: RegExp) =>
		t.throwsAsync(checkTimestamp(token, MESSAGE), { instanceOf: Failure, message });
	const forged = (options: Parameters<Authority['forged']>[2]) => authority.forged(content, 'tsa', options);
	t.is((await checkTimestamp(forged({}), MESSAGE)).signer, 'O=Test, CN=tsa');
	await refused(forged({ md: 'sha1' }), /digest algorithm, SHA-1 \(1\.3\.14\.3\.2\.26\), is not trusted/);
	await refused(forged({ args: [] }), /no signed attribute names the signer's certificate/);
	await refused(forged({ args: ['-noattr'] }), /no signed attributes/);
	await refused(forged({ args: ['-cades', '-nocerts'] }), /certificate that its signer named .* is not with it/);
	await refused(forged({ type: '1.2.840.113549.1.7.1' }), /version 1|of the type 1\.2\.840\.113549\.1\.7\.1/);
	await refused(
		forged({ args: ['-cades', '-keyopt', 'rsa_padding_mode:pss'] }),
		/signature algorithm, 1\.2\.840\.113549\.1\.1\.10, is not trusted/
	);
	await refused(forged({ args: ['-cades', '-signer', 'root.pem', '-inkey', 'root.key'] }), /2 signatures/);
	await refused(authority.forged(Buffer.from('no TSTInfo'), 'tsa'), /content is no time stamp/);
	await refused(forged({ args: ['-cades', '-keyid'] }), /of version|names one signer by/);
});

opensslTest('signed attributes that are of another signer or of something else', async (t) => {
	const authority = new Authority(t).usual('rsa');
	authority.certificate('twin', { by: 'root', extensions: FOR_STAMPS, keyOf: 'tsa', commonName: 'tsa' });
	const token = authority.forged(authority.content(authority.token()), 'tsa', { with: ['twin'] });
	const replaced = (from: string, to: string) => authority.resigned(token, (attributes) => {
		const at = attributes.indexOf(from, 'hex');
		t.true(at > 0, from);
		attributes.write(to, at, 'hex');
	});
	const refused = (changed: Buffer, message: RegExp) =>
		t.throwsAsync(checkTimestamp(changed, MESSAGE), { instanceOf: Failure, message });
	const digest = (name: string) =>
		new X509Certificate(authority.read(`${name}.pem`)).fingerprint256.replaceAll(':', '').toLowerCase();
	t.is((await checkTimestamp(authority.resigned(token, () => {}), MESSAGE)).signer, 'O=Test, CN=tsa');
	// Its content type is another one; or there are two, since the signing time is made one.
	await refused(replaced('060b2a864886f70d0109100104', '060b2a864886f70d0109100105'), /contentType/);
	await refused(replaced('06092a864886f70d010905', '06092a864886f70d010903'), /contentType/);
	await refused(replaced('06092a864886f70d010905', '06092a864886f70d010904'), /messageDigest/);
	// Two digests, the right one first: it trades places with the signing time before it.
	await refused(authority.resigned(token, (attributes) => {
		const at = attributes.indexOf('301c06092a864886f70d010905', 'hex'), end = at + 0x1e + 0x31;
		const [time, digest] = [
			Buffer.from(attributes.subarray(at, at + 0x1e)), Buffer.from(attributes.subarray(at + 0x1e, end)),
		];
		t.true(digest.toString('hex').startsWith('302f06092a864886f70d010904'));
		time[0x0c] = 4;
		attributes.set(Buffer.concat([digest, time]), at);
	}), /messageDigest/);
	// A certificate of the same key and name is another certificate.
	await refused(
		replaced(digest('tsa'), digest('twin')),
		/one signer by issuer and serial number, and another one by certificate/
	);
	await refused(replaced(digest('tsa'), '00'.repeat(32)), /is not with it/);
});

opensslTest('valid at the time of the stamp, not today', async (t) => {
	const authority = new Authority(t).usual();
	const now = authority.content(authority.token());
	const then = Buffer.from(now.toString('latin1').replace(/20\d{12}Z/, IN_THE_PAST), 'latin1');
	authority.certificate('old root', { extensions: FOR_CA, ...PAST });
	authority.certificate('old', { by: 'old root', extensions: FOR_STAMPS, ...PAST });
	authority.certificate('outliving', { by: 'old root', extensions: FOR_STAMPS });
	const old = await checkTimestamp(authority.forged(then, 'old'), MESSAGE, authority.read('old root.pem'));
	t.deepEqual([old.time, old.trusted], ['2020-06-01T00:00:00.000Z', true]);
	await t.throwsAsync(
		checkTimestamp(authority.forged(now, 'old'), MESSAGE),
		{
			instanceOf: Failure,
			message: /signer's certificate \(O=Test, CN=old\) was not valid at .* from 2020-01-01T00:00:00\.000Z to 2021/,
		}
	);
	await t.throwsAsync(
		checkTimestamp(authority.forged(then, 'tsa'), MESSAGE),
		{ instanceOf: Failure, message: /\(O=Test, CN=tsa\) was not valid at 2020-06/ }
	);
	const outliving = authority.forged(now, 'outliving');
	t.is((await checkTimestamp(outliving, MESSAGE)).trusted, null);
	await t.throwsAsync(
		checkTimestamp(outliving, MESSAGE, authority.read('old root.pem')),
		{ instanceOf: Failure, message: /does not come from .*\(O=Test, CN=old root\) was not valid at/ }
	);
});

opensslTest('the CA that was given, by way of CAs that came with the token', async (t) => {
	const authority = new Authority(t).usual();
	const content = authority.content(authority.token());
	const chained = (name: string, between: string[], given: string | Buffer) =>
		checkTimestamp(
			authority.forged(content, name, { with: between }), MESSAGE,
			typeof given === 'string' ? authority.read(`${given}.pem`) : given
		);
	const stamping = (name: string, by: string) => authority.certificate(name, { by, extensions: FOR_STAMPS });
	authority.certificate('middle', { by: 'root', extensions: FOR_CA });
	stamping('leaf', 'middle');
	t.true((await chained('leaf', ['middle'], 'root')).trusted);
	t.true((await chained('leaf', [], 'middle')).trusted, 'a CA in the middle may be what is trusted');
	t.true(
		(await chained('leaf', [], Buffer.concat(['root', 'middle'].map((name) => authority.read(`${name}.pem`))))).trusted,
		'and help to get to the root'
	);
	await t.throwsAsync(
		chained('leaf', [], 'root'),
		{ instanceOf: Failure, message: /signer, O=Test, CN=leaf, does not come from .*none of them signed it/ }
	);

	authority.certificate('usurper', { extensions: FOR_CA, commonName: 'root' });
	await t.throwsAsync(
		chained('tsa', ['usurper'], 'usurper'), { instanceOf: Failure, message: /none of them signed it/ },
		'a CA of the same name'
	);
	await t.throwsAsync(
		chained('leaf', ['middle', 'root'], 'usurper'), { instanceOf: Failure, message: /does not come from/ }
	);

	authority.certificate('no CA', { by: 'root', extensions: 'basicConstraints=critical,CA:FALSE' });
	stamping('of no CA', 'no CA');
	await t.throwsAsync(
		chained('of no CA', ['no CA'], 'root'), { instanceOf: Failure, message: /\(O=Test, CN=no CA\) is no CA's/ }
	);
	authority.certificate('web CA', { by: 'root', extensions: `${FOR_CA}\nextendedKeyUsage=serverAuth` });
	stamping('of web CA', 'web CA');
	await t.throwsAsync(
		chained('of web CA', ['web CA'], 'root'),
		{ instanceOf: Failure, message: /\(O=Test, CN=web CA\) is not for time stamps/ }
	);
	authority.certificate('lowest', { by: 'root', extensions: FOR_CA.replace('TRUE', 'TRUE,pathlen:0') });
	authority.certificate('lower', { by: 'lowest', extensions: FOR_CA });
	stamping('too low', 'lower');
	stamping('low', 'lowest');
	t.true((await chained('low', ['lowest'], 'root')).trusted);
	await t.throwsAsync(
		chained('too low', ['lower', 'lowest'], 'root'),
		{ instanceOf: Failure, message: /\(O=Test, CN=lowest\) allows for 0 CAs below it, and there are 1/ }
	);
});

opensslTest('MD5 and SHA-1 are refused: of the stamp, of its signer\'s certificate, of a CA\'s between', async (t) => {
	const authority = new Authority(t).usual('rsa');
	const content = authority.content(authority.token());
	const refused = (token: Buffer, message: RegExp, given?: string) =>
		t.throwsAsync(
			checkTimestamp(token, MESSAGE, given === undefined ? undefined : authority.read(`${given}.pem`)),
			{ instanceOf: Failure, message }
		);
	for (const [md, name] of [['md5', 'MD5'], ['sha1', 'SHA-1']] as const) {
		await refused(
			authority.forged(content, 'tsa', { md }),
			new RegExp(`^its digest algorithm, ${name} \\([\\d.]+\\), is not trusted: SHA-256, SHA-384 and SHA-512 are$`)
		);
		for (const [what, options] of [
			[`${md} rsa`, { key: 'rsa', by: `${md} rsa root` }], [`${md} ec`, { key: 'ec', by: `${md} ec root` }],
			[`${md} pss`, { key: 'rsa', by: `${md} rsa root`, pss: true }],
		] as const) {
			if (['md5 ec', 'md5 pss'].includes(what)) continue;	// OpenSSL knows no such algorithm
			// A root's own signature counts for nothing.
			if (!what.endsWith('pss')) {
				authority.certificate(options.by, { extensions: FOR_CA, key: options.key, md });
				authority.certificate(`good ${what}`, { by: options.by, extensions: FOR_STAMPS });
				t.true(
					(await checkTimestamp(
						authority.forged(content, `good ${what}`), MESSAGE, authority.read(`${options.by}.pem`)
					)).trusted
				);
			}
			authority.certificate(what, { ...options, md, extensions: FOR_STAMPS });
			const token = authority.forged(content, what);
			const broken = new RegExp(`\\(O=Test, CN=${what}\\) is signed by ${name} \\([\\d.]+\\), which is not trusted`);
			await refused(token, broken);
			await refused(token, broken, options.by);
			t.true((await checkTimestamp(token, MESSAGE, authority.read(`${what}.pem`))).trusted, 'it was given itself');
		}
	}
	// The signer's is good, and that of the CA above it is not; but where another one leads there, it does.
	authority.certificate('middle', { by: 'root', extensions: FOR_CA, md: 'sha1' });
	authority.certificate('leaf', { by: 'middle', extensions: FOR_STAMPS });
	const broken = /does not come from .*: the certificate \(O=Test, CN=middle\) is signed by SHA-1/;
	await refused(authority.forged(content, 'leaf', { with: ['middle'] }), broken, 'root');
	authority.certificate('renewed', { by: 'root', extensions: FOR_CA, keyOf: 'middle', commonName: 'middle' });
	for (const others of [['middle', 'renewed'], ['renewed', 'middle']]) {
		const token = authority.forged(content, 'leaf', { with: others });
		t.true((await checkTimestamp(token, MESSAGE, authority.read('root.pem'))).trusted, others.join());
	}
	authority.certificate('pss root', { extensions: FOR_CA, key: 'rsa' });
	authority.certificate('pss', { by: 'pss root', extensions: FOR_STAMPS, pss: true });
	t.true((await checkTimestamp(authority.forged(content, 'pss'), MESSAGE, authority.read('pss root.pem'))).trusted);
});

opensslTest('CAs that certify each other lead nowhere, and that is found out', async (t) => {
	const authority = new Authority(t).usual();
	authority.certificate('a', { extensions: FOR_CA });
	authority.certificate('b', { by: 'a', extensions: FOR_CA });
	authority.certificate('a by b', { by: 'b', extensions: FOR_CA, keyOf: 'a', commonName: 'a' });
	authority.certificate('leaf', { by: 'b', extensions: FOR_STAMPS });
	// Each of these could have signed each: there are more ways than can be gone.
	const others = Array.from({ length: 12 }, (_, i) => `a ${i}`);
	for (const name of others)
		authority.certificate(name, { by: 'a by b', extensions: FOR_CA, keyOf: 'a', commonName: 'a' });
	const token = authority.forged(authority.content(authority.token()), 'leaf', { with: ['b', 'a by b', ...others] });
	await t.throwsAsync(
		checkTimestamp(token, MESSAGE, authority.read('root.pem')),
		{ instanceOf: Failure, message: /none of them signed it/ }
	);
	await t.throwsAsync(
		checkTimestamp(token, MESSAGE, Buffer.from('no PEM')), { instanceOf: Failure, message: /no certificate in PEM/ }
	);
});

test('what is no token at all', async (t) => {
	for (const bytes of [
		'', '<!doctype html>', '3000', '3003020100', '06092a864886f70d010702', `30${'80'.repeat(9)}`, '30'.repeat(200),
	]) {
		await t.throwsAsync(
			checkTimestamp(Buffer.from(bytes, /^[0-9a-f]+$/.test(bytes) ? 'hex' : 'latin1'), MESSAGE),
			{ instanceOf: Failure, message: /^it is no time-stamp token/ }, bytes
		);
	}
});

test('one DER structure, whole', (t) => {
	const whole = (hex: string) => isWhole(Buffer.from(hex, 'hex'));
	for (const hex of [
		'0500', '3000', '3003020100', `048180${'00'.repeat(128)}`, `04820100${'00'.repeat(256)}`, '3006a00205000500',
	])
		t.true(whole(hex), hex);
	for (const [hex, what] of [
		['', 'nothing'], ['05', 'no length'], ['1f00', 'a long tag'], ['0501', 'cut off'], ['050000', 'more after it'],
		['05000500', 'two'], ['3004020100', 'cut off within'], ['3002020100', 'a part longer than what it is in'],
		['30800000', 'no definite length'], ['04810100', 'a longer length than is needed'],
		[`04820080${'00'.repeat(128)}`, 'a zero before a length'],
	] as const) t.false(whole(hex), what);
	const nested = (depth: number): Buffer =>
		(depth === 0 ? Buffer.from('0500', 'hex') : Buffer.concat([Buffer.from([0x30, 2 * depth]), nested(depth - 1)]));
	t.true(isWhole(nested(20)));
	t.false(isWhole(nested(50)), 'too deep');
});
