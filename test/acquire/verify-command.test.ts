/** What `procsnap verify` says of whose evidence it is, and of what would let another one pass for it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmodSync, copyFileSync, linkSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FILES } from '../../acquire/evidence/folder.ts';
import { eventually, NODE } from '../processes.ts';
import { Authority, Command, HOST, linkTest } from './transfer/help.ts';
import { aFolder, aSealed, atTheEnd, copyOf, resealManifest, startSmall, type Sealed } from './sealed.ts';

const shared = atTheEnd((end) => test.after.always(end));
let whole: Sealed;
test.before(async () => {
	whole = await aSealed(shared);
});

const procsnap = (...args: string[]) =>
	spawnSync(NODE[0], [...NODE.slice(1), 'acquire/cli.ts', ...args], { encoding: 'utf8', timeout: 240_000 });

interface Told {
	verdict: string; whole: boolean; trusted: boolean | null; id: string | null; faults: string[]; notes: string[];
	sums?: Record<string, string>;
}
const told = (...args: string[]): Told => JSON.parse(procsnap('verify', ...args, '--json').stdout) as Told;

/** A copy to be spoilt, and the collector's key beside it. */
function copied(t: ExecutionContext): Sealed & { keyPath: string } {
	const keyPath = join(aFolder(t), 'key.pub');
	writeFileSync(keyPath, whole.key);
	return { ...copyOf(t, whole), keyPath };
}

const digestOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const idOf = (dir: string): string => digestOf(join(dir, FILES.manifest)).slice(0, 16);

test('without a key nothing is a success: what anybody sealed anew is of one piece, and no more', (t) => {
	const { dir, keyPath, manifest } = copied(t);
	resealManifest(dir, { ...manifest, target: { ...manifest.target, command: 'innocent' } });
	for (const folder of [dir, whole.dir]) {
		const { status, stdout, stderr } = procsnap('verify', folder);
		t.deepEqual([status, stderr], [6, '']);
		const [first, ...others] = stdout.split('\n');
		t.is(
			first,
			`${folder}: of one piece, but nobody knows who sealed it: give the collector's public key with --key, got by ` +
				`another way than this folder`
		);
		t.regex(others[0]!, /^ {2}.* sealed by a key that was not checked: [0-9a-f]{64}$/);
		t.regex(others[1]!, /^ {2}it says that it is process \d+ /);
		t.notRegex(stdout, /\bwhole\b/);
		t.like(told(folder), { verdict: 'sealer unknown', whole: false, trusted: null, faults: [] });
	}
	t.is(procsnap('verify', dir, '--key', keyPath).status, 1);
	t.like(told(dir, '--key', keyPath), { verdict: 'not whole', whole: false, trusted: false });
	t.is(procsnap('verify', whole.dir, '--key', keyPath).status, 0);
	t.like(told(whole.dir, '--key', keyPath), { verdict: 'whole', whole: true, trusted: true });
	writeFileSync(join(dir, 'more'), '');
	t.is(procsnap('verify', dir).status, 1, 'what is not of one piece is worse');
	t.regex(procsnap('verify', '--help').stdout, /^Exit code: .*\n?.*6 of one piece,/m);
});

test('which evidence it is: host, process, program, moment and id, as take and info have it', async (t) => {
	const folder = aFolder(t), pid = await startSmall(t), out = join(folder, 'evidence'), key = join(folder, 'key');
	const take = procsnap('take', String(pid), '--out', out, '--key', key);
	t.is(take.status, 0, take.stderr);
	const id = idOf(out);
	t.is(
		take.stdout.trimEnd().split('\n').at(-1),
		`  id ${id}: note it elsewhere; with verify --expect ${id} no other folder passes for this one`
	);
	const text = readFileSync(join(out, FILES.manifest), 'utf8');
	const { target, before, momentNs } = JSON.parse(text) as Sealed['manifest'];
	const [, identity] = procsnap('verify', out, '--key', `${key}.pub`).stdout.split('\n');
	const [, moment] = /, as of (\S+), id/.exec(identity!)!;
	t.is(identity, `  process ${pid} (small, ${target.program}) on ${hostname()}, as of ${moment!}, id ${id}`);
	t.true(Math.abs(Date.parse(moment!) - Date.parse(before.wallClock) - (momentNs - before.monotonicNs) / 1e6) < 2);
	t.true(procsnap('info', out).stdout.includes(`\n${identity!}\n`));
	t.is((JSON.parse(procsnap('info', out, '--json').stdout) as Told).id, id);
	t.is(told(out).id, id);
	const json = procsnap('take', String(pid), '--out', `${out}-2`, '--key', key, '--json');
	t.is((JSON.parse(json.stdout) as Told).id, idOf(`${out}-2`));
	t.not(idOf(`${out}-2`), id);
});

test('another folder of the same collector in its place is a fault where the id is expected', (t) => {
	const { dir, keyPath } = copied(t), id = idOf(dir), key = ['--key', keyPath];
	for (const good of [id, id.toUpperCase(), digestOf(join(dir, FILES.manifest))])
		t.is(procsnap('verify', dir, ...key, '--expect', good).status, 0, good);
	t.is(procsnap('verify', dir, '--expect', id).status, 6, 'an id is no key');
	const whole64 = digestOf(join(dir, FILES.manifest));
	for (const other of ['0123456789abcdef', `${whole64.slice(0, 63)}${whole64.endsWith('0') ? '1' : '0'}`]) {
		const { status, stdout } = procsnap('verify', dir, ...key, '--expect', other);
		t.is(status, 1);
		t.regex(
			stdout,
			new RegExp(
				`: NOT whole\\n {2}manifest\\.json: its id is ${id}, and not ${other}: this is other evidence .*\\n {2}it ` +
					`was process`
			)
		);
	}
	for (const wrong of ['0123', 'x'.repeat(16), '0'.repeat(65)]) {
		const { status, stderr } = procsnap('verify', dir, ...key, '--expect', wrong);
		t.is(status, 2);
		t.regex(stderr, /--expect .*: it is an id, of 16 hexadecimal digits/);
	}
});

test('the folder\'s own key, by whatever name, is no key', (t) => {
	const { dir } = copied(t), folder = aFolder(t), own = join(dir, FILES.publicKey), link = join(folder, 'link');
	symlinkSync(own, link);
	for (const path of [own, join(dir, '.', FILES.publicKey), link]) {
		const { status, stderr, stdout } = procsnap('verify', dir, '--key', path);
		t.deepEqual([status, stdout], [2, ''], path);
		t.regex(stderr, /this is the folder's own key, which whoever sealed it put there/);
	}
});

test('a private key is refused where a public one should be', (t) => {
	const { dir, keyPath } = copied(t), folder = aFolder(t), path = join(folder, 'key');
	const pem = (type: 'ed25519' | 'rsa', options: object) =>
		(type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 1024 }) : generateKeyPairSync('ed25519'))
			.privateKey.export({ format: 'pem', type: 'pkcs8', ...options }).toString();
	const refused = /it is a private key, and should not be here: whoever has it can seal evidence in its owner's name/;
	for (const text of [
		pem('ed25519', {}), pem('ed25519', { cipher: 'aes-256-cbc', passphrase: 'x' }), pem('rsa', { type: 'pkcs1' }),
		readFileSync(keyPath, 'utf8') + pem('ed25519', {}),
	]) {
		writeFileSync(path, text);
		const { status, stderr, stdout } = procsnap('verify', dir, '--key', path);
		t.deepEqual([status, stdout], [1, '']);
		t.regex(stderr, refused);
		writeFileSync(join(dir, FILES.publicKey), text);
		const found = told(dir, '--key', keyPath);
		t.regex(found.faults.join('\n'), /^collector\.pub: it is a private key/m);
	}
});

test('a private key that others may read is said when take uses it', async (t) => {
	const folder = aFolder(t), pid = await startSmall(t), key = join(folder, 'key');
	const said = (name: string) =>
		procsnap('take', String(pid), '--out', join(folder, name), '--key', key).stderr
			.split('\n').filter((line) => line.includes('not its owner\'s alone'));
	t.deepEqual(said('first'), []);
	for (const [mode, text] of [[0o640, '0640'], [0o604, '0604'], [0o602, '0602']] as const) {
		chmodSync(key, mode);
		t.deepEqual(
			said(text),
			[
				`procsnap: the collector's key ${key} is not its owner's alone (mode ${text}): whoever has read it can use ` +
					`it. Run chmod 600 on it, and make another one if somebody else may have`,
			]
		);
	}
	chmodSync(key, 0o400);
	t.deepEqual(said('last'), []);
});

linkTest('and so is the link\'s key, by both sides', async (t) => {
	const authority = new Authority(t, HOST), options = authority.options(HOST), key = options.at(-1)!;
	chmodSync(key, 0o644);
	const expected = new RegExp(`^procsnap: the link's key ${key} is not its owner's alone \\(mode 0644\\): `, 'm');
	const folder = aFolder(t), pid = await startSmall(t);
	const sending = procsnap('take', String(pid), '--to', `${HOST}:1`, '--key', join(folder, 'key'), ...options);
	t.is(sending.status, 1);
	t.regex(sending.stderr, expected);
	const receiver = new Command(t, [
		'receive', '--listen', `${HOST}:0`, '--out', join(folder, 'out'), '--key', join(folder, 'receiver.key'),
		...options,
	]);
	await eventually(() => (receiver.stdout === '' ? undefined : true), 'the receiver listens');
	receiver.process.kill('SIGTERM');
	t.regex((await receiver.ended).stderr, expected);
});

test('who may change it later is noted, and is no fault', (t) => {
	const { dir, keyPath } = copied(t), key = ['--key', keyPath];
	t.deepEqual(told(dir, ...key).notes, []);
	linkSync(join(dir, FILES.core), join(aFolder(t), 'another name'));
	chmodSync(join(dir, FILES.leaves), 0o666);
	const { notes, verdict } = told(dir, ...key);
	t.is(verdict, 'whole');
	const expected = [
		'core: it is a hard link: the file has 2 names, and whoever has another one may change it; copy the folder ' +
			'(cp -r), and verify the copy',
		'leaves: others than its owner may write to it (mode 0666)',
	];
	t.deepEqual(notes, expected);
	const { status, stdout } = procsnap('verify', dir, ...key);
	t.is(status, 0);
	t.true(stdout.endsWith(expected.map((text) => `  note: ${text}\n`).join('')), stdout);
	chmodSync(dir, 0o777);
	t.regex(told(dir).notes[0]!, /^the folder: others than its owner may write to it \(mode 0777\)$/);
});

test('sums of all files, as sha256sum checks them; none of what is not whole', (t) => {
	const { dir, keyPath } = copied(t), key = ['--key', keyPath], sums = join(aFolder(t), 'sums');
	const { status, stdout, stderr } = procsnap('verify', dir, ...key, '--sums');
	t.is(status, 0);
	t.regex(stderr, /: whole: /);
	writeFileSync(sums, stdout);
	t.is(
		execFileSync('sha256sum', ['--strict', '-c', sums], { cwd: dir, encoding: 'utf8' }),
		'core: OK\nleaves: OK\nmanifest.json: OK\ncollector.pub: OK\nmanifest.sig: OK\n'
	);
	t.deepEqual(
		told(dir, ...key, '--sums').sums,
		Object.fromEntries(stdout.trimEnd().split('\n').map((line) => line.split('  ').reverse() as [string, string]))
	);
	t.is(told(dir, ...key).sums, undefined);
	t.is(procsnap('verify', dir, '--sums').status, 6);
	const core = readFileSync(join(dir, FILES.core));
	core[100]! ^= 1;
	writeFileSync(join(dir, FILES.core), core);
	const spoilt = procsnap('verify', dir, ...key, '--sums');
	t.deepEqual([spoilt.status, spoilt.stdout], [1, '']);
	t.regex(spoilt.stderr, /: NOT whole\n {2}core: bytes 0 to/);
	t.deepEqual(told(dir, ...key, '--sums').sums, {});
});

test('the SHA-256 of the whole core, where the manifest has it', (t) => {
	const { dir, manifest } = copied(t), path = join(dir, FILES.core), sha256 = digestOf(path);
	const withSum = (sum: unknown): string[] => {
		resealManifest(dir, { ...manifest, core: { ...manifest.core, sha256: sum } });
		return told(dir).faults;
	};
	t.deepEqual(withSum(sha256), []);
	t.deepEqual(withSum(null), []);
	t.deepEqual(
		withSum('0'.repeat(64)), [`core: its SHA-256 is ${sha256}, and not that of the manifest (core.sha256)`]
	);
	t.regex(withSum(sha256.toUpperCase()).join(), /its field core\.sha256 is .*, and should be a SHA-256 in hexadecimal$/);
	withSum(sha256);
	copyFileSync(path, join(aFolder(t), 'core'));
	const core = readFileSync(path);
	core[100]! ^= 1;
	writeFileSync(path, core);
	t.is(told(dir).faults.length, 1, 'what is altered is named once');
});
