/** A time-stamp authority of a test's own, and forgers of its tokens: all by openssl(1). */
import type { ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testUnless } from '../../unless.ts';

export const TST_INFO = '1.2.840.113549.1.9.16.1.4';
export const POLICY = '1.2.3.4.1';
export const FOR_STAMPS = 'extendedKeyUsage=critical,timeStamping';
export const FOR_CA = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign';
export const MESSAGE = Buffer.from('{"a": "manifest"}\n');

/** A stamp of before is then within their time. */
const YESTERDAY = new Date(Date.now() - 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '');

const CONFIG = `
[ca]
default_ca = this
[this]
database = index
new_certs_dir = .
policy = any
unique_subject = no
default_md = sha256
rand_serial = yes
copy_extensions = none
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = none
[none]
[tsa]
serial = serial
signer_digest = sha256
default_policy = ${POLICY}
digests = DIGESTS
accuracy = secs:1
tsa_name = yes
ess_cert_id_alg = ESS
`;

export interface CertificateOptions {
	/** Whose name and key sign it; itself if there is none. */
	by?: string;
	extensions?: string;
	key?: 'rsa' | 'ec';
	from?: string;
	to?: string;
	/** Instead of the certificate's file's name. */
	commonName?: string;
	/** Another certificate of this one's key. */
	keyOf?: string;
	/** The digest that it is signed by. */
	md?: string;
	/** By RSASSA-PSS: the issuer's key is RSA's. */
	pss?: boolean;
}

/** Where in a DER file a part is. */
export interface Part { offset: number; depth: number; header: number; length: number; text: string }

function hasOpenssl(): boolean {
	try {
		return execFileSync('openssl', ['version'], { encoding: 'utf8' }).startsWith('OpenSSL');
	} catch {
		return false;
	}
}

export const opensslTest = testUnless(hasOpenssl() ? null : 'there is no openssl: apt-get install openssl');

export class Authority {
	readonly dir: string;

	constructor(t: ExecutionContext, { digests = 'sha256', ess = 'sha256' } = {}) {
		this.dir = mkdtempSync(join(tmpdir(), 'procsnap-tsa-'));
		t.teardown(() => rmSync(this.dir, { recursive: true, force: true }));
		mkdirSync(join(this.dir, 'run'));
		writeFileSync(this.path('config'), CONFIG.replace('DIGESTS', digests).replace('ESS', ess));
		writeFileSync(this.path('index'), '');
		writeFileSync(this.path('serial'), '2a\n');
	}

	path(name: string): string {
		return join(this.dir, name);
	}

	read(name: string): Buffer {
		return readFileSync(this.path(name));
	}

	openssl(...args: string[]): Buffer {
		return execFileSync('openssl', args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
	}

	/** NAME.pem and NAME.key. */
	certificate(
		name: string,
		{
			by, extensions = '', key = 'ec', from = YESTERDAY, to, commonName = name, keyOf, md = 'sha256', pss = false,
		}: CertificateOptions = {}
	): Buffer {
		const algorithm = key === 'rsa'
			? ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048']
			: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
		if (keyOf === undefined) this.openssl('genpkey', '-algorithm', ...algorithm, '-out', `${name}.key`);
		else writeFileSync(this.path(`${name}.key`), this.read(`${keyOf}.key`));
		writeFileSync(this.path('extensions'), `${extensions}\n`);
		this.openssl(
			'req', '-new', '-config', 'config', '-key', `${name}.key`, '-subj', `/O=Test/CN=${commonName}`, '-out',
			'request'
		);
		const issuer = by === undefined
			? ['-selfsign', '-keyfile', `${name}.key`]
			: ['-cert', `${by}.pem`, '-keyfile', `${by}.key`];
		const times = ['-startdate', from, ...(to === undefined ? ['-days', '30'] : ['-enddate', to])];
		this.openssl(
			'ca', '-batch', '-notext', '-config', 'config', ...issuer, '-in', 'request', '-extfile', 'extensions',
			...times, '-md', md, ...(pss ? ['-sigopt', 'rsa_padding_mode:pss'] : []), '-out', `${name}.pem`
		);
		return this.read(`${name}.pem`);
	}

	/** A CA `root`, and by it `tsa`, which may stamp. */
	usual(key: 'rsa' | 'ec' = 'ec'): this {
		this.certificate('root', { extensions: FOR_CA });
		this.certificate('tsa', { by: 'root', extensions: FOR_STAMPS, key });
		return this;
	}

	/** The whole response, as an authority gives it. */
	reply(query: Uint8Array, signer = 'tsa', chain = 'root'): Buffer {
		writeFileSync(this.path('query'), query);
		this.openssl(
			'ts', '-reply', '-config', 'config', '-section', 'tsa', '-queryfile', 'query', '-signer', `${signer}.pem`,
			'-inkey', `${signer}.key`, '-chain', `${chain}.pem`, '-out', 'reply'
		);
		return this.read('reply');
	}

	query(message: Uint8Array, ...args: string[]): Buffer {
		writeFileSync(this.path('message'), message);
		this.openssl('ts', '-query', '-data', 'message', '-sha256', '-cert', ...args, '-out', 'query');
		return this.read('query');
	}

	token(message: Uint8Array = MESSAGE, ...args: string[]): Buffer {
		writeFileSync(this.path('whole'), this.reply(this.query(message, ...args)));
		return this.openssl('ts', '-reply', '-in', 'whole', '-token_out');
	}

	/** The TSTInfo of a token. */
	content(token: Uint8Array): Buffer {
		writeFileSync(this.path('token'), token);
		return this.openssl('cms', '-verify', '-noverify', '-inform', 'DER', '-in', 'token');
	}

	/** Signed as a token is, by whatever certificate; `with` has those that come with it. */
	forged(
		content: Uint8Array, signer: string,
		{ with: others = [], args = ['-cades'], type = TST_INFO, md = 'sha256' }: {
			with?: string[]; args?: string[]; type?: string; md?: string;
		} = {}
	): Buffer {
		writeFileSync(this.path('content'), content);
		writeFileSync(this.path('others'), others.map((name) => this.read(`${name}.pem`).toString()).join(''));
		const certificates = others.length === 0 ? [] : ['-certfile', 'others'];
		return this.openssl(
			'cms', '-sign', '-binary', '-nodetach', '-nosmimecap', '-md', md, '-econtent_type', type, '-in', 'content',
			'-signer', `${signer}.pem`, '-inkey', `${signer}.key`, ...certificates, ...args, '-outform', 'DER'
		);
	}

	/** Where its parts are, by another reader than ours. */
	parts(token: Uint8Array): Part[] {
		writeFileSync(this.path('token'), token);
		return [
			...this.openssl('asn1parse', '-inform', 'DER', '-in', 'token').toString()
				.matchAll(/^ *(\d+):d=(\d+) +hl=(\d+) l= *(\d+) (.*)$/gm),
		]
			.map(([, offset, depth, header, length, text = '']) =>
				({
					offset: Number(offset), depth: Number(depth), header: Number(header), length: Number(length), text,
				}));
	}

	/** A token with other signed attributes, signed again: for an RSA key, whose signatures are all as long. */
	resigned(token: Buffer, edit: (attributes: Buffer) => void, signer = 'tsa'): Buffer {
		const changed = Buffer.from(token);
		const part = this.parts(token).filter(({ depth, text }) => depth === 5 && text.includes('cont [ 0 ]')).at(-1)!;
		const attributes = changed.subarray(part.offset, part.offset + part.header + part.length);
		edit(attributes);
		const key = createPrivateKey(this.read(`${signer}.key`));
		const signature = sign('sha256', Buffer.concat([Buffer.from([0x31]), attributes.subarray(1)]), key);
		signature.copy(changed, changed.length - signature.length);
		return changed;
	}
}
