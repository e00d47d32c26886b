/**
 * scripts/apt-install.sh, with the real apt-get and locks that are really held; its lists, archives and dpkg are a
 * test's own.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { aFolder } from '../bench/store/fixtures.ts';
import { eventually } from '../processes.ts';
import { testUnless } from '../unless.ts';

const missing = ['apt-get', 'dpkg-deb', 'python3'].filter((tool) =>
	spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
const aptTest = testUnless(missing.length === 0 ? null : `there is no ${missing.join(', ')}`);

const CONTROL =
	'Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: a test <test@localhost>\nDescription: nothing\n';
/** Held as apt holds it (fcntl), until its standard input ends. */
const HOLDER =
	'import fcntl, sys\nlock = open(sys.argv[1], "a")\nfcntl.lockf(lock, fcntl.LOCK_EX)\nprint("held", ' +
		'flush=True)\nsys.stdin.read()\n';

/** A repository with one package, and an apt whose dpkg only notes what it is to do. */
function anApt(t: ExecutionContext) {
	const root = aFolder(t);
	const at = (...path: string[]) => join(root, ...path);
	for (const folder of [
		'repository', 'tiny/DEBIAN', 'lists/partial', 'cache/archives/partial', 'state', 'dpkg/info', 'dpkg/updates',
		'log',
	])
		mkdirSync(at(folder), { recursive: true });
	writeFileSync(at('tiny/DEBIAN/control'), CONTROL);
	t.is(spawnSync('dpkg-deb', ['--build', '--root-owner-group', at('tiny'), at('repository', 'tiny.deb')]).status, 0);
	const [hash = ''] = spawnSync('sha256sum', [at('repository', 'tiny.deb')], { encoding: 'utf8' }).stdout.split(' ');
	writeFileSync(
		at('repository', 'Packages'),
		`${CONTROL}Filename: ./tiny.deb\nSize: ${readFileSync(at('repository', 'tiny.deb')).length}\nSHA256: ${hash}\n`
	);
	writeFileSync(at('sources.list'), `deb [trusted=yes] file:${encodeURI(at('repository'))} ./\n`);
	writeFileSync(at('dpkg', 'status'), '');
	writeFileSync(
		at('dpkg.sh'),
		`#!/bin/sh\ncase $* in *--unpack*|*--configure*) echo "$*" >>'${at('calls')}' ;; *) exec dpkg "$@" ;; esac\n`
	);
	chmodSync(at('dpkg.sh'), 0o755);
	const settings = {
		'Dir::Etc::parts': '/dev/null', 'Dir::Etc::main': '/dev/null', 'Dir::Etc::sourcelist': at('sources.list'),
		'Dir::Etc::sourceparts': '/dev/null',
		'Dir::State': at('state'), 'Dir::State::lists': at('lists'), 'Dir::State::status': at('dpkg', 'status'),
		'Dir::Cache': at('cache'),
		'Dir::Log': at('log'), 'Dir::Bin::dpkg': at('dpkg.sh'), 'APT::Sandbox::User': 'root',
	};
	writeFileSync(at('apt.conf'), Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`).join(''));
	const env = { ...process.env, APT_CONFIG: at('apt.conf') };
	const install = (name: string, more: NodeJS.ProcessEnv = {}) => {
		const child = spawn(
			'sh', ['scripts/apt-install.sh', 'setup', name],
			{ env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] }
		);
		t.teardown(() => child.kill());
		const said = { stdout: '', stderr: '' };
		child.stdout.on('data', (text: Buffer) => { said.stdout += text.toString(); });
		child.stderr.on('data', (text: Buffer) => { said.stderr += text.toString(); });
		return { said, ended: once(child, 'close').then(([status]) => status as number) };
	};
	const unpacked = () =>
		(existsSync(at('calls'))
			? readFileSync(at('calls'), 'utf8').split('\n').filter((line) => line.includes('--unpack')).length
			: 0);
	return { at, install, unpacked };
}

async function hold(t: ExecutionContext, path: string): Promise<ChildProcess> {
	const holder = spawn('python3', ['-c', HOLDER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
	t.teardown(() => holder.kill());
	await once(holder.stdout, 'data');
	return holder;
}

aptTest('nobody has a lock: the package is installed, and nothing is said of waiting', async (t) => {
	const { install, unpacked } = anApt(t);
	const { said, ended } = install('tiny');
	t.is(await ended, 0, said.stderr);
	t.is(unpacked(), 1);
	t.is(said.stdout, '', 'whoever reads what a script prints gets none of apt\'s words');
	t.regex(said.stderr, /The following NEW packages will be installed:\n +tiny/);
	t.notRegex(said.stderr, /waiting/);
});

for (const lock of ['lists/lock', 'dpkg/lock-frontend', 'dpkg/lock', 'cache/archives/lock']) {
	aptTest(`another program has apt's ${lock}: says so and by whom, waits, and goes on`, async (t) => {
		const { at, install, unpacked } = anApt(t);
		const holder = await hold(t, at(lock));
		const { said, ended } = install('tiny');
		await eventually(
			() => (said.stderr.includes('waiting') ? true : undefined), `it waits: ${said.stderr}`, 60_000
		);
		t.regex(
			said.stderr,
			new RegExp(
				`setup: waiting for another apt or dpkg to end, 0 of at most 1200 s: Could not get lock .+/${lock}. ` +
					`It is held by process ${holder.pid} \\(python3\\)\n`
			)
		);
		t.is(unpacked(), 0);
		holder.stdin?.end();
		t.is(await ended, 0, said.stderr);
		t.is(unpacked(), 1);
		t.notRegex(said.stderr, /^E: /m, 'that it had to wait is no error');
		t.true(readdirSync(at('lists')).some((name) => name.endsWith('Packages')));
	});
}

aptTest('a lock that is never let go: ends, says which and what to do', async (t) => {
	const { at, install, unpacked } = anApt(t);
	await hold(t, at('dpkg', 'lock-frontend'));
	const { said, ended } = install('tiny', { PROCSNAP_APT_WAIT: '2' });
	t.is(await ended, 1);
	t.regex(
		said.stderr,
		/setup: error: another apt or dpkg has been at work for \d+ s: Could not get lock .+lock-frontend\. .*Wait until it has ended, then try again\n$/
	);
	t.is(unpacked(), 0);
});

aptTest('another failure of apt-get is its own, at once, with its words', async (t) => {
	const { install } = anApt(t);
	const { said, ended } = install('there-is-no-such-package');
	t.is(await ended, 100);
	t.regex(said.stderr, /E: Unable to locate package there-is-no-such-package\n$/);
	t.notRegex(said.stderr, /waiting/);
});

aptTest('a lock that cannot be taken at all is a failure, at once', async (t) => {
	const { at, install } = anApt(t);
	mkdirSync(at('lists', 'lock'));
	const { said, ended } = install('tiny');
	t.is(await ended, 100);
	t.regex(said.stderr, /E: Could not open lock file .+lists\/lock/);
	t.notRegex(said.stderr, /waiting/);
});
