import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import {
	existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Failure } from '../../../common/errors.ts';
import {
	collectorKey, defaultKeyPath, evidenceId, fingerprint, isSigned, publicKeyFrom, publicKeyOf, publicKeyPem, signed,
} from '../../../acquire/evidence/seal.ts';

function aFolder(t: ExecutionContext): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

const pem = (type: 'rsa' | 'ed448' | 'x25519'): string =>
	(type === 'rsa'
		? generateKeyPairSync('rsa', { modulusLength: 1024 })
		: type === 'ed448' ? generateKeyPairSync('ed448') : generateKeyPairSync('x25519'))
	.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const TEXT = Buffer.from('evidence');

test('a key is made once, for its owner only, in folders that are made for it', (t) => {
	const folder = aFolder(t), path = join(folder, 'a', 'b', 'collector.key');
	const first = collectorKey(path);
	t.true(first.made);
	t.is(statSync(path).mode & 0o777, 0o600);
	t.is(statSync(join(folder, 'a')).mode & 0o777, 0o700);
	const text = readFileSync(path, 'utf8');
	t.regex(text, /^-----BEGIN PRIVATE KEY-----\n/);
	const again = collectorKey(path);
	t.false(again.made);
	t.true(again.key.equals(first.key));
	t.is(readFileSync(path, 'utf8'), text);
	t.is(readFileSync(`${path}.pub`, 'utf8'), publicKeyPem(publicKeyOf(first.key)));
	t.false(collectorKey(join(folder, 'other')).key.equals(first.key), 'no two are the same');
});

test('what is there is not written over: neither a key nor what lies where its public half would', (t) => {
	const folder = aFolder(t), path = join(folder, 'key');
	writeFileSync(`${path}.pub`, 'mine');
	t.throws(() => collectorKey(path), { instanceOf: Failure, message: /key\.pub.*name another file with --key/ });
	t.is(readFileSync(`${path}.pub`, 'utf8'), 'mine');
	t.false(existsSync(path), 'half a key is left');
});

test('a key of another type, garbage and what cannot be read are refused, and left alone', (t) => {
	const folder = aFolder(t), path = join(folder, 'key');
	for (const [text, message] of [
		[pem('rsa'), /no private Ed25519 key in PEM: it is of the type rsa$/], [pem('ed448'), /of the type ed448$/],
		[pem('x25519'), /of the type x25519$/],
		['', /no private Ed25519 key in PEM/], ['garbage\n', /no private Ed25519 key/],
		[Buffer.from([0, 255, 0x1b]), /no private Ed25519 key/],
		[publicKeyPem(publicKeyOf(collectorKey(join(folder, 'good')).key)), /no private Ed25519 key/],
	] as Array<[string | Buffer, RegExp]>) {
		writeFileSync(path, text);
		const { message: said } = t.throws(() => collectorKey(path), { instanceOf: Failure, message });
		t.true(said.startsWith(`${path}: `) && !said.includes('\n'), said);
		t.deepEqual(readFileSync(path), Buffer.from(text));
	}
	mkdirSync(join(folder, 'folder'));
	t.throws(
		() => collectorKey(join(folder, 'folder')), { instanceOf: Failure, message: /key cannot be read: EISDIR/ }
	);
	t.throws(
		() => collectorKey(join(path, 'below-a-file')), { instanceOf: Failure, message: /key cannot be read: ENOTDIR/ }
	);
});

test('a key that cannot be made: an error that says what to do', (t) => {
	const path = join(aFolder(t), 'key');
	symlinkSync('nowhere', path);
	t.throws(
		() => collectorKey(path),
		{ instanceOf: Failure, message: /^the collector's key cannot be made: .*; name another file with --key$/ }
	);
});

test('its signature is Ed25519\'s, of this text by this key', (t) => {
	const folder = aFolder(t), { key } = collectorKey(join(folder, 'a')), other = collectorKey(join(folder, 'b')).key;
	const signature = signed(TEXT, key);
	t.is(signature.length, 64);
	t.true(verify(null, TEXT, createPublicKey(key), signature), 'as node:crypto has it');
	t.true(isSigned(TEXT, sign(null, TEXT, key), publicKeyOf(key)));
	t.false(isSigned(TEXT, signature, publicKeyOf(other)));
	t.false(isSigned(Buffer.from('evidencE'), signature, publicKeyOf(key)));
	for (const wrong of [
		Buffer.alloc(0), Buffer.alloc(64), signature.subarray(1), Buffer.concat([signature, Buffer.alloc(1)]),
	]) {
		t.false(isSigned(TEXT, wrong, publicKeyOf(key)), `${wrong.length} bytes`);
	}
});

test('openssl verifies it too, by the key that goes with the evidence', (t) => {
	const folder = aFolder(t), path = join(folder, 'key'), { key } = collectorKey(path);
	writeFileSync(join(folder, 'text'), TEXT);
	writeFileSync(join(folder, 'sig'), signed(TEXT, key));
	let said: string;
	try {
		said = execFileSync(
			'openssl',
			[
				'pkeyutl', '-verify', '-pubin', '-inkey', `${path}.pub`, '-rawin', '-in', join(folder, 'text'),
				'-sigfile', join(folder, 'sig'),
			],
			{ encoding: 'utf8' }
		);
	} catch (error) {
		if (!(error instanceof Error) || !error.message.includes('ENOENT')) throw error;
		t.log('not checked: there is no openssl here');
		t.pass();
		return;
	}
	t.regex(said, /Signature Verified Successfully/);
});

test('a fingerprint is the SHA-256 of the public key\'s DER', (t) => {
	// RFC 8410, 10.1.
	const key = publicKeyFrom(
		Buffer.from(
			'-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END ' +
				'PUBLIC KEY-----\n'
		),
		'it'
	);
	t.is(fingerprint(key), 'a1e9156054e04fac899ae9f275132cdc07a5dbc4ea2c2ad3a1ffc6e0d253681f');
});

test('a public key of another type, and garbage, are refused by the name they were given', (t) => {
	const rsa = createPublicKey(pem('rsa')).export({ type: 'spki', format: 'pem' });
	for (const wrong of [rsa, '', 'garbage', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n']) {
		t.throws(
			() => publicKeyFrom(Buffer.from(wrong), 'the key given'),
			{ instanceOf: Failure, message: /^the key given: no Ed25519 key in PEM: / }
		);
	}
});

test('a private key is no public one, though its public half is in it', (t) => {
	const folder = aFolder(t), path = join(folder, 'key'), { key } = collectorKey(path), text = readFileSync(path);
	for (const wrong of [text, Buffer.concat([Buffer.from(publicKeyPem(publicKeyOf(key))), text]), pem('rsa')]) {
		t.throws(
			() => publicKeyFrom(Buffer.from(wrong), 'the key given'),
			{ instanceOf: Failure, message: /^the key given: it is a private key, and should not be here: / }
		);
	}
});

test('an id is the beginning of the SHA-256 of a manifest', (t) => {
	t.is(evidenceId(Buffer.from('abc')), 'ba7816bf8f01cfea');
});

test('where a key is by default', (t) => {
	const { XDG_CONFIG_HOME: before } = process.env;
	t.teardown(() => {
		if (before === undefined) delete process.env['XDG_CONFIG_HOME'];
		else process.env['XDG_CONFIG_HOME'] = before;
	});
	process.env['XDG_CONFIG_HOME'] = '/config';
	t.is(defaultKeyPath(), '/config/procsnap/collector.key');
	delete process.env['XDG_CONFIG_HOME'];
	t.regex(defaultKeyPath(), /^\/.*\/\.config\/procsnap\/collector\.key$/);
});
