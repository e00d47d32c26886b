/**
 * What the command line makes of bad input: one line that says what is wrong, its exit code, and nothing left behind.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { FILES } from '../../acquire/evidence/folder.ts';
import { tracerFor } from '../native/help.ts';
import { NODE } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { aFolder, aSealed, atTheEnd, copyOf, resealManifest, startSmall, type Sealed } from './sealed.ts';

const CLI = fileURLToPath(new URL('../../acquire/cli.ts', import.meta.url));
const [NODE_PATH, ...FLAGS] = NODE;

const shared = atTheEnd((end) => test.after.always(end));
let whole: Sealed;
let target: number;
test.before(async () => {
	whole = await aSealed(shared);
	target = await startSmall(shared);
});

/** Called in `cwd`, with no home but that. */
function procsnap(cwd: string, ...args: string[]) {
	return spawnSync(
		NODE_PATH, [...FLAGS, CLI, ...args],
		{ cwd, encoding: 'utf8', timeout: 240_000, env: { ...process.env, HOME: cwd, XDG_CONFIG_HOME: cwd } }
	);
}

function assertRefused(t: ExecutionContext, cwd: string, args: string[], status: number, message: RegExp): void {
	const before = readdirSync(cwd, { recursive: true }).sort();
	const said = procsnap(cwd, ...args);
	t.regex(said.stderr, message, args.join(' '));
	t.regex(said.stderr, /^procsnap: [^\n]+\n$/, 'one line');
	t.is(said.stdout, '');
	t.is(said.status, status);
	t.deepEqual(readdirSync(cwd, { recursive: true }).sort(), before, `left behind by ${args.join(' ')}`);
}

const WRONG: Array<[string, string[], RegExp]> = [
	[
		'an unknown verb', ['steal', '1'],
		/unknown verb "steal": the verbs are check, hidden, info, receive, take, verify$/m,
	],
	['a verb that every object has', ['toString'], /unknown verb "toString"/],
	['a verb that is no word', ['\u001b[2J'], /unknown verb "\\x1b\[2J"/],
	['no process', ['take'], /take wants a process: procsnap take PID/],
	['a name for a process', ['take', 'bash'], /"bash" is no process id/],
	['process 0', ['take', '0'], /"0" is no process id/],
	['a pid with more after it', ['take', '12x'], /"12x" is no process id/],
	['a pid that is too long', ['take', '12345678901'], /is no process id/],
	['two processes', ['take', '1', '2'], /unexpected argument "2"/],
	['an unknown option', ['take', '1', '--fast'], /unknown option --fast: the options are --out, --to, .*--mechanism/],
	[
		'an unknown mechanism', ['take', '1', '--mechanism', 'magic'],
		/--mechanism magic: the mechanisms are syscall, inject, precopy and live/,
	],
	['an option without its value', ['take', '1', '--out'], /--out needs a value: --out DIR/],
	['a stop of no time', ['take', '1', '--max-stop', '0'], /--max-stop 0: it is a whole number from 1 to 60000/],
	['a stop of any time', ['hidden', '1', '--max-stop', '1s'], /--max-stop 1s: it is a whole number from 1 to 60000/],
	['a flag with a value', ['take', '1', '--json=yes'], /--json takes no value/],
	['verify of nothing', ['verify'], /verify wants an evidence folder: procsnap verify DIR/],
	['verify of two', ['verify', 'a', 'b'], /unexpected argument "b"/],
	['info of nothing', ['info'], /info wants an evidence folder: procsnap info DIR/],
	['an option of another verb', ['info', 'a', '--key', 'k'], /unknown option --key/],
];

for (const [title, args, message] of WRONG) {
	test(`wrong usage, exit 2: ${title}`, (t) => assertRefused(t, aFolder(t), args, 2, message));
}

test('no verb: the verbs, and exit 2', (t) => {
	const { status, stdout, stderr } = procsnap(aFolder(t));
	t.is(status, 2);
	t.regex(stdout, /^ {2}hidden .*\n {2}info .*\n {2}receive .*\n {2}take .*\n {2}verify .*\n/m);
	t.is(stderr, '');
	for (const args of [['--help'], ['-h'], ['help']]) {
		const said = procsnap(aFolder(t), ...args);
		t.deepEqual([said.status, said.stdout, said.stderr], [0, stdout, ''], args.join());
	}
});

test('its version', (t) => {
	const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
	const { status, stdout, stderr } = procsnap(aFolder(t), '--version');
	t.deepEqual([status, stdout, stderr], [0, `procsnap ${version}\n`, '']);
});

test('help of a verb, however it is asked for', (t) => {
	const folder = aFolder(t);
	for (const verb of ['check', 'hidden', 'info', 'receive', 'take', 'verify']) {
		const { status, stdout } = procsnap(folder, 'help', verb);
		t.is(status, 0);
		t.true(stdout.startsWith(`procsnap ${verb} `), stdout);
		for (const args of [[verb, '--help'], [verb, '-h'], [verb, '1', '--json', '-h']])
			t.is(procsnap(folder, ...args).stdout, stdout, args.join(' '));
	}
	assertRefused(t, folder, ['help', 'steal'], 2, /unknown verb "steal"/);
	assertRefused(t, folder, ['info', '--', '-h'], 1, /-h is no evidence folder/);
});

test('with --json what is wrong is one line of JSON where the result would be', (t) => {
	const folder = aFolder(t);
	writeFileSync(join(folder, 'certificate'), 'none');
	for (const [args, code, error] of [
		[['steal', '--json'], 2, /^unknown verb "steal"/], [['take', '--json'], 2, /^take wants a process/],
		[['hidden', '--json', 'x'], 2, /^"x" is no process id/], [['check', '--json', '--fast'], 2, /^unknown option --fast/],
		[['info', '--json=yes', '--json'], 2, /^--json takes no value/], [['receive', '--json'], 2, /^receive wants/],
		[['verify', '--json', 'a', 'b'], 2, /^unexpected argument "b"/],
		[['take', '4294967296', '--json'], 1, /4294967296/], [['hidden', '4294967296', '--json'], 1, /4294967296/],
		[['verify', 'nowhere', '--json'], 1, /^nowhere is no evidence folder/],
		[['info', 'no\nwhere\u009b', '--json'], 1, /^no\nwhere\u009b is no evidence folder/],
		[
			['receive', '--listen', '0', '--out', 'o', '--cert', 'certificate', '--json'], 1,
			/^the link's authority cannot be read/,
		],
	] as Array<[string[], number, RegExp]>) {
		const { status, stdout, stderr } = procsnap(folder, ...args);
		t.deepEqual([status, stderr], [code, ''], args.join(' '));
		t.regex(stdout, /^[ -~]+\n$/, 'one line, ASCII');
		const said = JSON.parse(stdout) as { error: string; code: number };
		t.deepEqual(Object.keys(said), ['error', 'code']);
		t.is(said.code, code);
		t.regex(said.error, error);
	}
	// Behind `--` it is a name.
	assertRefused(t, folder, ['info', '--', '--json'], 1, /^procsnap: --json is no evidence folder/);
});

test('each verb has a help that tells its options and exit codes', (t) => {
	for (const [verb, option] of [['take', '--out DIR'], ['verify', '--key FILE'], ['info', '--json']] as const) {
		const { status, stdout } = procsnap(aFolder(t), verb, '--help');
		t.is(status, 0);
		t.true(
			stdout.startsWith(`procsnap ${verb} `) && stdout.includes(option) &&
				/^Exit code: 0 .*; 1 .*; 2 /m.test(stdout),
			stdout
		);
	}
});

const REFUSED =
	/has no memory: it has ended, or there is none, or it is a kernel thread; nothing was taken$|cannot be looked at \(.*\): is it there, no kernel thread, and yours or are you root\?/m;

test('take of nobody: exit 1, and no key is made for it either', async (t) => {
	const ended = spawn('true');
	await once(ended, 'exit');
	assertRefused(t, aFolder(t), ['take', String(ended.pid)], 1, REFUSED);
	assertRefused(t, aFolder(t), ['take', '4294967296'], 1, REFUSED);
});

const kernelThread = existsSync('/proc/2/stat') && readFileSync('/proc/2/stat', 'utf8').startsWith('2 (kthreadd)');
testUnless(kernelThread ? null : 'process 2 is no kernel thread here')(
	'take of a kernel thread: exit 1', (t) => assertRefused(t, aFolder(t), ['take', '2'], 1, REFUSED)
);

test('take of a thread names its process, of itself says so', (t) => {
	const folder = aFolder(t), thread = readdirSync('/proc/self/task').find((tid) => tid !== String(process.pid))!;
	assertRefused(
		t, folder, ['take', thread, '--out', join(folder, 'e')], 1,
		new RegExp(`${thread} is a thread of process ${process.pid}: name the process`)
	);
	const { status, stderr } = spawnSync(
		'sh', ['-c', 'exec "$0" "$@" take $$ --out e --key collector.key', NODE_PATH, ...FLAGS, CLI],
		{ cwd: folder, encoding: 'utf8', timeout: 240_000 }
	);
	t.regex(stderr, /process \d+ is procsnap itself: it cannot duplicate its own requester\n$/);
	t.is(status, 1);
	t.deepEqual(readdirSync(folder), [], 'no evidence, and no key either');
});

test('take of a process that somebody else traces: exit 1, one line, and neither folder nor key is left', (t) => {
	const rival = tracerFor(t);
	rival.hold(target);
	assertRefused(t, aFolder(t), ['take', String(target)], 1, new RegExp(`process ${target} .*trace`));
	assertRefused(
		t, aFolder(t), ['take', String(target), '--out', 'e', '--key', 'a/b/key'], 1,
		new RegExp(`process ${target} .*trace`)
	);
	rival.letGo();
});

test('a place where no key can be made is said before the target is touched', (t) => {
	const folder = aFolder(t);
	writeFileSync(join(folder, 'key.pub'), 'mine');
	symlinkSync('nowhere', join(folder, 'link'));
	const rival = tracerFor(t);
	rival.hold(target);	// it would be refused later: but that is not what is said
	for (const key of ['key', 'link', '/proc/none/key']) {
		assertRefused(
			t, folder, ['take', String(target), '--out', 'e', '--key', key], 1,
			/the collector's key cannot be made: E[A-Z]+: .*; name another file with --key/
		);
	}
	rival.letGo();
});

test('folders and keys that will not do: exit 1, and the next try succeeds', (t) => {
	const folder = aFolder(t), pid = String(target);
	mkdirSync(join(folder, 'there'));
	writeFileSync(join(folder, 'file'), 'not a key');
	mkdirSync(join(folder, 'keys'));
	const first = procsnap(folder, 'take', pid, '--out', 'evidence', '--key', 'keys/key');
	t.is(first.status, 0, first.stderr);
	const key = ['--key', 'keys/key'];
	assertRefused(
		t, folder, ['take', pid, '--out', 'there', ...key], 1,
		/there is there already: evidence is not written over; name another folder with --out/
	);
	assertRefused(t, folder, ['take', pid, '--out', 'file', ...key], 1, /file is there already/);
	assertRefused(
		t, folder, ['take', pid, '--out', 'no/where', ...key], 1, /the folder cannot be made: ENOENT: .*no\/where/
	);
	assertRefused(t, folder, ['take', pid, '--out', 'file/e', ...key], 1, /the folder cannot be made: ENOTDIR/);
	assertRefused(t, folder, ['take', pid, '--out', 'e', '--key', 'file'], 1, /file: no private Ed25519 key in PEM/);
	assertRefused(
		t, folder, ['take', pid, '--out', 'e', '--key', 'there'], 1, /the collector's key cannot be read: EISDIR/
	);
	t.is(procsnap(folder, 'take', pid, '--out', 'e', ...key).status, 0);
	t.is(procsnap(folder, 'verify', 'e', '--key', 'keys/key.pub').status, 0);
});

test('verify: exit 0 for what is whole, 1 for what is not, on one line each', (t) => {
	const folder = aFolder(t), { dir } = copyOf(t, whole), key = join(folder, 'pub');
	writeFileSync(key, whole.key);
	const good = procsnap(folder, 'verify', dir, '--key', key);
	t.deepEqual([good.status, good.stderr], [0, '']);
	t.regex(good.stdout, /: whole: .* sealed by the key given: [0-9a-f]{64}\n {2}process [^\n]*\n$/);
	writeFileSync(join(dir, 'more'), '');
	const spoilt = procsnap(folder, 'verify', dir, '--key', key);
	t.deepEqual(
		[spoilt.status, spoilt.stdout, spoilt.stderr],
		[
			1,
			`${dir}: NOT whole\n  more: added: no file of the evidence\n` +
				`  it was ${good.stdout.split('\n')[1]!.trimStart()}\n`,
			'',
		]
	);
	const { whole: said, faults } = JSON.parse(procsnap(folder, 'verify', dir, '--json').stdout) as {
		whole: boolean; faults: string[];
	};
	t.deepEqual([said, faults], [false, ['more: added: no file of the evidence']]);
	assertRefused(t, folder, ['verify', join(folder, 'nowhere')], 1, /nowhere is no evidence folder: ENOENT/);
	assertRefused(
		t, folder, ['verify', dir, '--key', join(folder, 'none')], 1,
		/the collector's public key cannot be read: ENOENT/
	);
	assertRefused(
		t, folder, ['verify', dir, '--key', join(dir, FILES.core)], 1, /the key given: no Ed25519 key in PEM/
	);
});

test('info of what is no evidence: exit 1', (t) => {
	const folder = aFolder(t);
	writeFileSync(join(folder, 'file'), '');
	mkdirSync(join(folder, 'empty'));
	mkdirSync(join(folder, 'linked'));
	symlinkSync(join(whole.dir, FILES.manifest), join(folder, 'linked', FILES.manifest));
	assertRefused(t, folder, ['info', 'nowhere'], 1, /nowhere is no evidence folder: manifest\.json: missing/);
	assertRefused(t, folder, ['info', 'file'], 1, /file is no evidence folder: manifest\.json: ENOTDIR/);
	assertRefused(t, folder, ['info', 'empty'], 1, /empty is no evidence folder: manifest\.json: missing/);
	assertRefused(t, folder, ['info', 'linked'], 1, /linked is no evidence folder: manifest\.json: no ordinary file/);
	for (const [text, message] of [
		['{', /manifest\.json: it is no JSON/], ['null', /it is null/], ['\u001b[2J', /it is no JSON/],
		[JSON.stringify({ ...whole.manifest, target: {} }), /its field target\.command is missing/],
		[JSON.stringify({ ...whole.manifest, regions: null }), /its field regions is null, and should be a list/],
		[
			JSON.stringify({ ...whole.manifest, before: { ...whole.manifest.before, wallClock: '\u001b[2J' } }),
			/its field before\.wallClock is/,
		],
		[
			JSON.stringify({ ...whole.manifest, schemaVersion: 99 }),
			/it is of version 99, and this procsnap knows 1 to 6:/,
		],
	] as Array<[string, RegExp]>) {
		writeFileSync(join(folder, 'empty', FILES.manifest), text);
		assertRefused(t, folder, ['info', 'empty'], 1, message);
	}
});

test('info and verify write nothing of the target\'s choice that steers a terminal', (t) => {
	const { dir, manifest } = copyOf(t, whole), bad = '\u001b]0;x\u0007\u009b2J\u202e\r\n\u2028ä';
	resealManifest(
		dir,
		{
			...manifest, target: { ...manifest.target, command: bad, commandLine: [bad] },
			regions: manifest.regions.map((region) => ({ ...region, name: `/${bad}` })),
		}
	);
	const core = readFileSync(join(dir, FILES.core));
	writeFileSync(join(dir, FILES.core), core.fill(0));
	for (const args of [['info', dir], ['info', dir, '--json'], ['verify', dir], ['verify', dir, '--json']]) {
		const { stdout, stderr, status } = procsnap(aFolder(t), ...args);
		t.is(stderr, '');
		t.is(status, args[0] === 'info' ? 0 : 1);
		t.notRegex(stdout, /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u, args.join(' '));
		t.true(
			stdout.includes('\\u001b]0;x\\u0007') ||
				stdout.includes('\\x1b]0;x\\x07\\u009b2J\\u202e\\x0d\\x0a\\u2028ä'), stdout
		);
	}
	const { stdout } = procsnap(aFolder(t), 'info', dir, '--json');
	t.is((JSON.parse(stdout) as { target: { command: string } }).target.command, bad, 'but machines get it as it is');
	t.is(
		procsnap(aFolder(t), 'info', dir).stdout.split('\n').filter((line) => /^ {2}0x/.test(line)).length,
		manifest.regions.length, 'one line for each region'
	);
});
