/**
 * The real verbs over names and texts that somebody chose to steer a terminal: of targets, folders, manifests, peers
 * and time-stamp authorities, and over what the user typed. What they write, and what a log gets, is text on lines.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { FILES } from '../../acquire/evidence/folder.ts';
import { NODE } from '../processes.ts';
import { noTools } from './help.ts';
import { aFolder, aSealed, atTheEnd, copyOf, resealManifest, type Sealed } from './sealed.ts';
import { Authority, Command, HOST, linkTest } from './transfer/help.ts';
import { testUnless } from '../unless.ts';

const shared = atTheEnd((end) => test.after.always(end));
let whole: Sealed;
test.before(async () => {
	whole = await aSealed(shared);
});

const CLI = fileURLToPath(new URL('../../acquire/cli.ts', import.meta.url));
const BAD = 'x\u001b]0;y\u0007\u009b2J\u202e\u2066\r\n\u2028\u200b\u00adz';
const SHOWN = 'x\\x1b]0;y\\x07\\u009b2J\\u202e\\u2066\\x0d\\x0a\\u2028\\u200b\\u00adz';
/** The same in JSON, as ASCII. */
const IN_JSON = JSON.stringify(BAD).slice(1, -1).replace(/[\u007f-\uffff]/g, (unit) =>
	`\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

function procsnap(...args: string[]) {
	const { status, stdout, stderr } = spawnSync(
		NODE[0], [...NODE.slice(1), CLI, ...args], { encoding: 'utf8', timeout: 240_000 }
	);
	return { status, stdout, stderr };
}

/** Of a manifest, that have any text. */
const FIELDS = ['command', 'program', 'host', 'user', 'name', 'description', 'why', 'cgroup'];

/** Every byte of it is text on lines, and the bad name is there, whole. */
function assertTame(t: ExecutionContext, what: string, text: string, hasName = true): void {
	t.notRegex(text, /[^\P{C}\n]|[\p{Zl}\p{Zp}\p{DI}]/u, what);
	if (hasName) t.true(text.includes(SHOWN) || text.includes(IN_JSON), `${what}: ${text}`);
	for (const line of text.split('\n')) t.notRegex(line, /^(?:2J|z)/, what);
}

/** A process whose name, program, arguments, folder and mapped file are all bad. */
async function aBadTarget(t: ExecutionContext): Promise<{ pid: number; folder: string }> {
	const folder = join(aFolder(t), BAD);
	mkdirSync(folder);
	const program = join(folder, `${BAD}p`);
	copyFileSync('/bin/sleep', program);
	const target = spawn(program, ['1000'], { cwd: folder, stdio: 'ignore' });
	t.teardown(() => target.kill('SIGKILL'));
	await once(target, 'spawn');
	return { pid: target.pid!, folder };
}

test('take, verify, info, check and hidden of a process with such names, into such a folder', async (t) => {
	const { pid, folder } = await aBadTarget(t), out = join(folder, BAD), key = join(folder, 'key');
	for (const [args, hasName] of [
		[['check', String(pid)], false], [['check', String(pid), '--json'], false],
		[['take', String(pid), '--out', out, '--key', key], true],
		[['take', String(pid), '--out', out, '--key', key], true],	// it is there already
		[['take', String(pid), '--out', `${out}2`, '--key', key, '--json'], true],
		[['verify', out, '--key', `${key}.pub`], true], [['verify', out], true], [['verify', out, '--json'], false],
		[['verify', out, '--key', `${key}.pub`, '--sums'], true],
		[['info', out], true], [['info', out, '--json', '--registers'], true], [['info', out, '--registers'], true],
	] as Array<[string[], boolean]>) {
		const { stdout, stderr } = procsnap(...args);
		assertTame(t, args.join(' '), stdout + stderr, hasName);
	}
	const { stdout } = procsnap('info', out);
	// The kernel escapes newlines in its list of regions, in its own way.
	const mapped = stdout.split('\n').find((line) => line.includes(' r-xp ') && line.includes('\\u202e'));
	t.true(mapped?.includes(SHOWN.replace('\\x0a', '\\\\012')), mapped);
	t.true(procsnap('take', String(pid), '--out', `${out}3`, '--key', key).stdout.includes(`${SHOWN}3: process ${pid}`));
	// Whatever the region is called in its list.
	assertTame(t, 'hidden', procsnap('hidden', String(pid)).stdout, false);
});

test('what the user typed: verbs, options, folders, keys, addresses', (t) => {
	const folder = aFolder(t), file = join(folder, BAD), { dir } = copyOf(t, whole);
	writeFileSync(file, BAD);
	for (const args of [
		[BAD], ['help', BAD], ['take', BAD], ['take', '1', BAD], ['take', '1', `--${BAD}`],
		['take', '1', '--mechanism', BAD], ['take', '1', '--max-stop', BAD], ['take', '1', '--to', BAD],
		['take', String(process.pid), '--out', file],
		['take', '1', '--timestamp', BAD], ['hidden', BAD], ['check', BAD], ['info', BAD], ['info', file],
		['verify', BAD], ['verify', file], ['verify', dir, '--key', BAD], ['verify', dir, '--key', file],
		['verify', dir, '--tsa-ca', BAD], ['verify', dir, '--expect', BAD],
		['receive', '--listen', BAD, '--out', folder], ['receive', '--listen', '0', '--out', folder, '--ca', BAD],
	]) {
		// The name of the key given is not said where it cannot be parsed.
		const hasName = args.at(-1) !== file || args[0] !== 'verify' || args[2] === undefined;
		for (const json of [[], ['--json']]) {
			const { status, stdout, stderr } = procsnap(...args, ...json);
			t.true(status === 1 || status === 2, `${args.join(' ')}: ${String(status)}`);
			assertTame(t, args.join(' '), stdout + stderr, hasName);
			t.is((stdout + stderr).split('\n').length, 2, `${args.join(' ')}: one line`);
		}
	}
});

test('a folder that somebody made to harm: names of files, regions, reasons, in each field of the manifest', (t) => {
	const { dir, manifest } = copyOf(t, whole);
	const everywhere = (value: unknown, key = ''): unknown => {
		if (Array.isArray(value)) return value.map((each) => everywhere(each));
		if (typeof value === 'object' && value !== null)
			return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, everywhere(each, name)]));
		return FIELDS.includes(key) && typeof value === 'string' ? BAD : value;
	};
	const calls = [{ call: BAD, restarted: 0, lengthened: 0, cut: 2 }];
	const bad = everywhere(manifest) as Sealed['manifest'];
	resealManifest(dir, {
		...bad, tool: manifest.tool, mechanism: { ...bad.mechanism, name: 'inject' },
		partial: { reason: BAD, missingBytes: 5, sinceNs: 0 },
		ledger: {
			...bad.ledger, calls, unburied: BAD, endedEarly: BAD, endFailed: BAD,
			attempts: [
				{ mechanism: 'inject', outcome: 'refused', reason: BAD, pauseNs: 0, calls, startedNs: 0, endedNs: 1 },
			],
		},
	});
	const check = (what: string, least: number): void => {
		for (const args of [['info', dir], ['verify', dir], ['info', dir, '--json'], ['verify', dir, '--json']]) {
			const { stdout, stderr } = procsnap(...args);
			t.is(stderr, '', what);
			assertTame(t, `${what}: ${args.join(' ')}`, stdout);
			if (args[0] === 'info' && args[2] === undefined) t.true(stdout.split(SHOWN).length > least, stdout);
		}
	};
	check('as sealed', 10);
	writeFileSync(join(dir, FILES.core), readFileSync(join(dir, FILES.core)).fill(0));
	writeFileSync(join(dir, BAD), '');
	check('altered', 10);
	const untimely = { ...manifest, before: { wallClock: BAD, monotonicNs: 0 } };
	writeFileSync(join(dir, FILES.manifest), JSON.stringify(untimely));
	const { stdout, stderr, status } = procsnap('info', dir);
	t.deepEqual([status, stdout], [1, '']);
	assertTame(t, 'a field that is none', stderr);
});

linkTest('a peer of such a name, what it says, and a receiver\'s folder of such a name', async (t) => {
	const authority = new Authority(t, HOST, 'collector'), base = join(aFolder(t), BAD), { pid } = await aBadTarget(t);
	mkdirSync(base);
	const out = join(base, 'received');
	const receiver = new Command(t, [
		'receive', '--listen', `${HOST}:0`, '--out', out, '--key', join(base, 'receiver.key'),
		...authority.options(HOST),
	]);
	receiver.process.stdout!.on('data', () => undefined);
	while (!/listening on port \d+/.test(receiver.stdout)) await new Promise((resolve) => setTimeout(resolve, 20));
	const [, port] = /listening on port (\d+)/.exec(receiver.stdout)!;
	const stranger = await import('node:net').then(({ connect }) => connect(Number(port), HOST));
	stranger.end(`${BAD}\n`);
	await once(stranger.resume(), 'close');
	const took = procsnap(
		'take', String(pid), '--to', `${HOST}:${port!}`, '--key', join(base, 'key'), ...authority.options('collector')
	);
	t.is(took.status, 0, took.stderr);
	assertTame(t, 'take', took.stdout + took.stderr);
	receiver.process.kill('SIGTERM');
	await receiver.ended;
	assertTame(t, 'receive', receiver.stdout + receiver.stderr, false);
	t.regex(receiver.stdout, /\nrefused from .*\n/);
	t.regex(receiver.stdout, /\nkept .*\n/);
	const [name] = readdirSync(out).filter((each) => !each.startsWith('.'));
	cpSync(join(out, name!), join(base, BAD), { recursive: true });
	assertTame(t, 'verify', procsnap('verify', join(base, BAD)).stdout);
});

testUnless(noTools('openssl'))('a time-stamp authority\'s words, and its name', async (t) => {
	const { pid } = await aBadTarget(t), folder = aFolder(t);
	const server = createServer((socket) => {
		socket.on('error', () => undefined);
		socket.end(
			'HTTP/1.1 302 \u001b[2J\u009b\r\nlocation: http://x/\u009b2J\r\ncontent-length: 0\r\n\r\n', 'latin1'
		);
	}).listen(0, HOST);
	t.teardown(() => server.close());
	await once(server, 'listening');
	const url = `http://${HOST}:${(server.address() as AddressInfo).port}/\u202e`;
	const take = new Command(t, [
		'take', String(pid), '--out', join(folder, 'out'), '--key', join(folder, 'key'), '--timestamp', url,
	]);
	const { code, stdout, stderr } = await take.ended;
	t.is(code, 3, stderr);
	assertTame(t, 'take', stdout + stderr, false);
	t.true(stderr.includes('but not stamped: '), stderr);
	t.true(stderr.includes('302 (\\x1b[2J\\u009b) to http://x/\\u009b2J,'), stderr);
});

test('an error that nobody expected: its message is one line, and the calls that led there follow', (t) => {
	const script = `
		process.argv = ['node', 'procsnap', 'info', process.argv[1]];
		Array.prototype.flatMap = () => { throw new TypeError(${JSON.stringify(BAD)}); };
		await import(${JSON.stringify(CLI)});`;
	const { dir } = copyOf(t, whole);
	const { status, stdout, stderr } = spawnSync(
		NODE[0], [...NODE.slice(1), '--input-type=module', '-e', script, dir], { encoding: 'utf8' }
	);
	t.deepEqual([status, stdout], [1, '']);
	assertTame(t, 'thrown', stderr);
	t.regex(stderr, /^procsnap: unexpected error, please report it: .*\n {4}at /m);
});

linkTest('an error that nobody waited for, too', (t) => {
	const authority = new Authority(t, HOST), folder = aFolder(t), script = `
		process.argv = ['node', 'procsnap', 'receive', '--listen', '${HOST}:0', '--out', ...process.argv.slice(1)];
		setTimeout(() => { throw new TypeError(${JSON.stringify(BAD)}); }, 1000);
		await import(${JSON.stringify(CLI)});`;
	const { status, stderr } = spawnSync(
		NODE[0],
		[
			...NODE.slice(1), '--input-type=module', '-e', script, '--', join(folder, 'out'), '--key',
			join(folder, 'receiver.key'), ...authority.options(HOST),
		],
		{ encoding: 'utf8', timeout: 60_000 }
	);
	t.is(status, 1, stderr);
	assertTame(t, 'thrown where nobody waits', stderr);
	t.regex(stderr, /^procsnap: unexpected error, please report it: .*\n {4}at /m);
});
