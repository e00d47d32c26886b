/** A build of scripts/kernel that does not come to its end: it fails, is interrupted, or has no room. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { checkout } from './kernel-checkout.ts';

async function until(condition: () => boolean) {
	for (let tries = 0; !condition() && tries < 400; tries++) {
		await sleep(25);
	}
	return condition();
}

/** Processes that work in a folder. */
function workingIn(folder: string) {
	return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
		try {
			return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder) &&
				!/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
		} catch {
			return false;
		}
	});
}

test('a kernel that does not compile leaves its log, and no kernel; the next build works', (t) => {
	const { cache, run, cached } = checkout(t);
	const { status, stdout, stderr } = run(['build'], { FAKE: 'fail' });
	t.deepEqual([status, stdout], [1, '']);
	t.regex(
		stderr,
		/kernel\/fork\.c:1: error: expected ;\n(.*\n)*kernel: error: the kernel does not compile\n the whole log: /
	);
	t.deepEqual(cached(), ['failed-6.12.log']);
	t.regex(readFileSync(join(cache, 'failed-6.12.log'), 'utf8'), /expected ;/);
	t.is(run(['path']).status, 1);
	t.is(run(['build']).status, 0);
	t.is(cached().length, 1);
});

for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
	test(`${signal} while it compiles ends the build and leaves nothing`, async (t) => {
		const { at, start, run, compiled, cached } = checkout(t);
		const child = start({ FAKE: 'slow' });
		t.true(await until(() => compiled() === 1));
		child.kill(signal);
		t.deepEqual(await once(child, 'close'), [status, null]);
		t.false(existsSync(at('calls.slept')), 'it waited for its compiler');
		t.deepEqual(cached(), []);
		// Killed, a process may yet take a moment to end.
		await until(() => workingIn(at()).length === 0);
		t.deepEqual(workingIn(at()), []);
		t.is(run(['build']).status, 0);
	});
}

test('killed outright, its compilers end too, and the next build sweeps what it left', async (t) => {
	const { at, start, run, compiled, cached } = checkout(t);
	const child = start({ FAKE: 'slow' });
	t.true(await until(() => compiled() === 1));
	child.kill('SIGKILL');
	await once(child, 'close');
	t.true(cached().some((name) => name.startsWith('work.')));
	t.is(run(['path']).status, 1, 'what is half is no kernel');
	t.true(await until(() => workingIn(at()).length === 0));
	const { status, stderr } = run(['build']);
	t.false(existsSync(at('calls.slept')), 'it waited for a compiler that nobody waits for');
	t.is(status, 0, stderr);
	t.is(cached().length, 1);
});

test('too little room is said before anything is done', (t) => {
	const { run, cached, compiled, tool } = checkout(t);
	tool('df', 'printf "Filesystem 1048576-blocks Used Available Capacity Mounted on\\n/dev/vda 100 1 99 1%% /\\n"');
	const { status, stderr } = run(['build']);
	t.is(status, 1);
	t.regex(stderr, /error: \S+ has 99 MiB left, a build needs \d+: make room, or set XDG_CACHE_HOME/);
	t.deepEqual([compiled(), cached()], [0, []]);
});

test('a disk that gets full while it compiles is said, and nothing is left', (t) => {
	const { at, root, env, tool } = checkout(t);
	mkdirSync(at('cache'));
	// It is found large enough once; from then on the truth is told.
	tool(
		'df',
		`if [ ! -e ${at('asked')} ]; then : >${at('asked')}; echo x; echo / 9999 1 9998 1% /; else exec /bin/df ` +
			`"$@"; fi`
	);
	const inside =
		`mount -t tmpfs -o size=8m none ${at('cache')} || exit 77; PATH=${at('bin')} /bin/sh ` +
			`'${root}/scripts/kernel' build; echo "status $?"; ls ${at('cache', 'procsnap', 'kernels')}`;
	const { status, stdout, stderr } = spawnSync('unshare', [
		'--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), 'sh', '-c', inside,
	],
		{ env: { ...env, PATH: process.env['PATH'], FAKE: 'fill' }, encoding: 'utf8' });
	if (status === null || status === 77 || /unshare failed/.test(stderr)) {
		t.log(`skipped: no small file system can be mounted here: ${stderr.trim()}`);
		t.pass();
		return;
	}
	t.regex(stderr, /kernel: error: the disk is full \(/);
	t.regex(stdout, /^status 1\n(failed-6\.12\.log\n)?lock\n$/);
});
