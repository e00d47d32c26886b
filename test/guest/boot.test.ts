/** Real boots of the patched kernel: what `npm run guest` promises. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { NODE_FLAGS } from '../../bench/environments/guest/node.ts';
import { aFolder } from '../bench/store/fixtures.ts';
import { noGuest, testUnless } from '../unless.ts';

const onKernel = testUnless(noGuest());

interface Ended { status: number | null; stdout: string; stderr: string }

async function guest(
	t: ExecutionContext, args: string[], { cwd, env }: { cwd?: string; env?: Record<string, string> } = {}
): Promise<Ended> {
	t.timeout(300_000);
	const child = spawn(
		process.execPath, [join(process.cwd(), 'bench/cli.ts'), 'guest', ...args],
		{ cwd, env: { ...process.env, npm_package_json: '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] }
	);
	const said = { stdout: '', stderr: '' };
	for (const name of ['stdout', 'stderr'] as const) {
		child[name].setEncoding('utf8').on('data', (text: string) => { said[name] += text; });
	}
	const status = await new Promise<number | null>((resolve) => { child.once('close', resolve); });
	return { status, ...said };
}

onKernel('status, both outputs, arguments, folder and environment are passed on', async (t) => {
	const folder = join(aFolder(t), 'a b');
	mkdirSync(folder);
	writeFileSync(join(folder, 'here'), 'seen');
	const script = 'printf "%s|" "$@"; cat here; echo "$OWN" >&2; pwd >&2; uname -r >&2; exit 42';
	const { status, stdout, stderr } = await guest(
		t, ['--', 'sh', '-c', script, 'sh', 'a b', '"quoted" \'twice\'', '--cpus', ''],
		{ cwd: folder, env: { OWN: 'and\nmine' } }
	);
	t.is(status, 42, stderr);
	t.is(stdout, 'a b|"quoted" \'twice\'|--cpus||seen');
	t.is(stderr.split('\n').slice(0, 3).join('\n'), `and\nmine\n${folder}`);
	t.not(stderr.split('\n')[3], spawnSync('uname', ['-r'], { encoding: 'utf8' }).stdout.trim());
});

onKernel('the host\'s files are read-only; what must be written to is the guest\'s own', async (t) => {
	const mine = join(process.cwd(), 'node_modules', '.procsnap-guest-test');
	const script =
		`! touch '${mine}' 2>/dev/null && for d in /tmp /var/tmp /run /dev/shm; do echo x >$d/procsnap-guest-test ` +
			`|| exit 3; done; ls /dev/pts/ptmx /proc/self/fd/0 && grep -qw lo /proc/net/dev`;
	const { status, stderr } = await guest(t, ['sh', '-c', script]);
	t.is(status, 0, stderr);
	t.false(existsSync(mine));
	for (const folder of ['/tmp', '/var/tmp', '/run', '/dev/shm']) {
		t.false(existsSync(join(folder, 'procsnap-guest-test')), folder);
	}
});

onKernel('the share is the one way out', async (t) => {
	const share = aFolder(t);
	const { status, stderr } = await guest(
		t, ['--share', share, 'sh', '-c', 'echo from the guest >"$PROCSNAP_SHARE/note"']
	);
	t.is(status, 0, stderr);
	t.is(readFileSync(join(share, 'note'), 'utf8'), 'from the guest\n');
	t.deepEqual(readdirSync(share), ['note']);
});

onKernel('Node, the addon and a terminal work there, on two CPUs', async (t) => {
	const program = `
		const { spawnSync } = await import('node:child_process');
		const { clock } = await import('./native/index.ts');
		const { cpus } = await import('node:os');
		const tty = spawnSync('script', ['-qec', 'tty', '/dev/null'], { encoding: 'utf8' }).stdout.trim();
		console.log(JSON.stringify({ cpus: cpus().length, source: clock().source, tty }));`;
	const { status, stdout, stderr } = await guest(
		t, ['--cpus', '2', process.execPath, ...NODE_FLAGS, '--input-type=module', '-e', program]
	);
	t.is(status, 0, stderr);
	const { cpus, source, tty } = JSON.parse(stdout) as { cpus: number; source: string; tty: string };
	t.is(cpus, 2);
	t.regex(source, /^CLOCK_MONOTONIC/);
	t.regex(tty, /^\/dev\/pts\/\d+$/);
});

onKernel('orphans are reaped by PID 1', async (t) => {
	const script =
		'i=0; while [ $i -lt 20 ]; do sh -c "sleep 0.1 &"; i=$((i+1)); done; sleep 2; grep -l "^State:.Z" ' +
			'/proc/[0-9]*/status; grep -c . /proc/1/stat';
	const { status, stdout, stderr } = await guest(t, ['sh', '-c', script]);
	t.is(status, 0, stderr);
	t.is(stdout, '1\n', 'no zombie is left');
});

onKernel('a panic of its kernel is a clear error, at once', async (t) => {
	const startedAt = performance.now();
	const { status, stderr } = await guest(t, ['sh', '-c', 'echo c >/proc/sysrq-trigger; sleep 500']);
	t.is(status, 1);
	t.regex(
		stderr,
		/^procsnap: the guest died while its command ran: its kernel panicked \(not syncing: sysrq triggered crash\)/
	);
	t.true(performance.now() - startedAt < 120_000);
});

onKernel('a guest that hangs is ended', async (t) => {
	const { status, stderr } = await guest(t, ['--timeout', '20', 'sleep', '500']);
	t.is(status, 1);
	t.regex(stderr, /^procsnap: the guest hung, or needed longer than it may: it was ended after 20 s/);
});

onKernel('a folder that is below /tmp of the host\'s is there, in the guest\'s /tmp', async (t) => {
	const folder = aFolder(t), other = aFolder(t);
	writeFileSync(join(folder, 'file'), 'kept');
	const { status, stdout, stderr } = await guest(
		t, ['sh', '-c', 'cat file; ls -d "$0"; ! touch file', other], { cwd: folder }
	);
	t.is(status, 0, stderr);
	t.is(stdout, 'kept');
	t.regex(stderr, /No such file/, 'another folder of the host\'s /tmp is not');
});
