import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync, statSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { aFolder } from '../bench/store/fixtures.ts';

const TOOLS = ['sh', 'dirname', 'flock', 'sha256sum', 'cat', 'rm', 'mkdir', 'sleep', 'find'];
const NPM =
	'echo "npm $*" >>calls; mkdir -p node_modules/.bin; : >node_modules/.bin/node; chmod +x node_modules/.bin/node';

/** A checkout whose path has a space, with tools of its own: nothing is downloaded or compiled. */
function checkout(t: ExecutionContext, npm = NPM) {
	const root = join(aFolder(t), 'a checkout');
	const bin = join(root, '..', 'bin');
	for (const folder of ['scripts', 'native', 'workloads']) {
		mkdirSync(join(root, folder), { recursive: true });
	}
	mkdirSync(bin);
	copyFileSync('scripts/setup', join(root, 'scripts', 'setup'));
	writeFileSync(join(root, 'package-lock.json'), '{}');
	for (const name of [...TOOLS, 'chmod']) {
		symlinkSync(spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim(), join(bin, name));
	}
	const tool = (name: string, script: string) => {
		writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
		chmodSync(join(bin, name), 0o755);
	};
	tool('npm', npm);
	tool('gcc', '');
	tool('g++', '');
	tool('id', 'echo 1000');
	// -q asks whether there is something to do.
	tool(
		'make',
		'for last; do :; done; if [ "$1" = -q ]; then [ -e "$last/built" ]; else echo "make $last" >>calls; : ' +
			'>"$last/built"; fi'
	);
	const env = { PATH: bin };
	const script = join(root, 'scripts', 'setup');
	const run = () => spawnSync('/bin/sh', [script], { env, cwd: '/', encoding: 'utf8' });
	const calls = () =>
		(existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').trim().split('\n') : []);
	return { root, bin, env, script, run, calls, tool };
}

test('does everything once, from any folder, and says what; then is silent', (t) => {
	const { run, calls } = checkout(t);
	const first = run();
	t.is(first.status, 0, first.stderr);
	t.regex(first.stderr, /installing packages.*\n.*compiling native\n.*compiling workloads\n/s);
	t.is(calls().length, 3);
	t.regex(calls()[0] ?? '', /^npm ci /);
	const second = run();
	t.deepEqual([second.status, second.stdout, second.stderr], [0, '', '']);
	t.is(calls().length, 3);
});

test('where nothing has changed neither compiler nor make is asked; what has changed is made', (t) => {
	const { root, env, run, calls, tool } = checkout(t);
	mkdirSync(join(root, 'kernel-patch'));
	writeFileSync(join(root, 'kernel-patch', 'proc_snap.h'), '');
	const source = join(root, 'native', 'core.c');
	// As make: what it makes is in build/, and it is to be made if the source is newer.
	tool('make', [
		'for last; do :; done; out="$last/build/out"',
		'if [ "$1" = -q ]; then echo "make -q $last" >>calls; [ -e "$out" ] && [ ! "$last/core.c" -nt "$out" ]',
		'else echo "make $last" >>calls; mkdir -p "$last/build"; : >"$out"; [ ! -e edit ] || . ./edit; fi',
	].join('\n'));
	writeFileSync(source, '');
	const asked = (): string[] => {
		const before = calls().length;
		t.is(run().status, 0);
		return calls().slice(before).filter((call) => call.startsWith('make'));
	};
	const all = ['make -q native', 'make native', 'make -q workloads', 'make workloads'];
	t.deepEqual(asked(), all);
	t.deepEqual(asked(), []);
	writeFileSync(source, 'changed');
	t.deepEqual(asked(), ['make -q native', 'make native', 'make -q workloads']);
	t.deepEqual(asked(), []);
	writeFileSync(join(root, 'native', 'new.c'), '');
	t.deepEqual(asked(), ['make -q native', 'make -q workloads']);
	t.deepEqual(asked(), []);
	rmSync(join(root, 'workloads', 'build', 'out'));
	t.deepEqual(asked(), ['make -q native', 'make -q workloads', 'make workloads']);
	t.deepEqual(asked(), []);
	writeFileSync(join(root, 'kernel-patch', 'proc_snap.h'), 'changed');
	t.deepEqual(asked(), ['make -q native', 'make -q workloads']);
	// Another checkout with the same packages is set up after this one was edited.
	writeFileSync(source, 'edited');
	const other = join(root, '..', 'another');
	for (const folder of ['scripts', 'native', 'workloads', 'kernel-patch'])
		mkdirSync(join(other, folder), { recursive: true });
	for (const file of ['scripts/setup', 'package-lock.json', 'kernel-patch/proc_snap.h'])
		copyFileSync(join(root, file), join(other, file));
	writeFileSync(join(other, 'native', 'core.c'), '');
	symlinkSync(join(root, 'node_modules'), join(other, 'node_modules'));
	t.is(spawnSync('/bin/sh', [join(other, 'scripts', 'setup')], { env, cwd: '/', encoding: 'utf8' }).status, 0);
	t.deepEqual(asked(), ['make -q native', 'make native', 'make -q workloads']);
	t.deepEqual(asked(), []);
	// Edited while it is compiled: what is made may be of the text before.
	writeFileSync(join(root, 'edit'), 'sleep 0.01; echo more >>native/core.c; sleep 0.01; rm edit');
	writeFileSync(source, 'changed again');
	t.true(asked().includes('make native'));
	t.true(asked().includes('make -q native'));
});

test('a changed lock file is installed anew', (t) => {
	const { root, run, calls } = checkout(t);
	run();
	writeFileSync(join(root, 'package-lock.json'), '{"changed":true}');
	t.is(run().status, 0);
	t.is(calls().filter((call) => call.startsWith('npm ci')).length, 2);
});

test('an npm ci that fails or is interrupted leaves no stamp: the next set-up installs again', (t) => {
	const { root, run, calls, tool } = checkout(t);
	run();
	writeFileSync(join(root, 'package-lock.json'), '{"changed":true}');
	tool('npm', `${NPM}; kill -9 $PPID`);
	t.not(run().status, 0);
	tool('npm', `${NPM}; exit 1`);
	const failed = run();
	t.is(failed.status, 1);
	t.regex(failed.stderr, /setup: error: npm ci failed/);
	tool('npm', NPM);
	t.is(run().status, 0);
	t.is(calls().filter((call) => call.startsWith('npm ci')).length, 4);
});

test('a missing compiler is named with its Debian package and what to type', (t) => {
	const { bin, run } = checkout(t);
	for (const name of ['g++', 'make']) {
		spawnSync('rm', [join(bin, name)]);
	}
	const { status, stderr } = run();
	t.is(status, 1);
	t.is(stderr, 'setup: error: missing build tools; on Debian run as root: apt-get install g++ make\n');
});

test('a compiler without the C library\'s headers is none', (t) => {
	const { run, tool } = checkout(t);
	tool('gcc', 'exit 1');
	t.regex(run().stderr, /apt-get install libc6-dev\n/);
});

test('a compile error ends the set-up with its message', (t) => {
	const { run, tool } = checkout(t);
	tool('make', '[ "$1" = -q ] && exit 1; echo "error: expected ;" >&2; exit 2');
	const { status, stderr } = run();
	t.is(status, 1);
	t.regex(stderr, /error: expected ;\nsetup: error: make -C native failed/);
});

test('two at once take turns: everything is done once', async (t) => {
	const { env, script, calls } = checkout(t, `${NPM}; sleep 0.5`);
	const both = [0, 1].map(() => spawn('/bin/sh', [script], { env, stdio: 'ignore' }));
	t.deepEqual(await Promise.all(both.map((child) => once(child, 'close'))), [[0, null], [0, null]]);
	t.is(calls().length, 3);
});

test('in this checkout a set-up with nothing to do is silent and makes nothing', (t) => {
	const made = () =>
		[
			'native/build/procsnap.node', 'native/build/procsnap-tracer', 'workloads/build/updater',
			'node_modules/.package-lock.json',
		].map((file) => statSync(file).mtimeMs);
	spawnSync('sh', ['scripts/setup']);
	const before = made();
	const { status, stdout, stderr } = spawnSync('sh', ['scripts/setup'], { encoding: 'utf8' });
	t.deepEqual([status, stdout, stderr], [0, '', '']);
	t.deepEqual(made(), before);
});
