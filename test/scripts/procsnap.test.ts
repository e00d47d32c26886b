/** scripts/procsnap: it installs nothing, waits for nobody, and what of its environment comes to Node. */
import test, { type ExecutionContext } from 'ava';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../acquire/help.ts';

const MADE = [
	'node_modules/.bin/node', 'native/build/procsnap.node', 'native/build/procsnap-tracer',
	'native/build/procsnap-reader',
];

/** A checkout whose Node says what its environment is, and whose set-up must not be called. */
function aCheckout(t: ExecutionContext): (path: string) => string {
	const root = temporaryFolder(t), at = (path: string) => join(root, path);
	for (const folder of ['scripts', 'node_modules/.bin', 'native/build']) mkdirSync(at(folder), { recursive: true });
	cpSync('scripts/procsnap', at('scripts/procsnap'));
	writeFileSync(at('scripts/setup'), 'echo set up >&2; exit 1\n');
	for (const made of MADE) writeFileSync(at(made), '#!/bin/sh\nenv\n', { mode: 0o755 });
	return at;
}

function run(at: (path: string) => string, given: NodeJS.ProcessEnv = {}) {
	return spawnSync(at('scripts/procsnap'), ['take'], {
		encoding: 'utf8', env: { PATH: process.env['PATH'], ...given },
	});
}

function environmentOf(t: ExecutionContext, given: NodeJS.ProcessEnv): string[] {
	const { status, stdout, stderr } = run(aCheckout(t), given);
	t.deepEqual([status, stderr], [0, '']);
	return stdout.split('\n');
}

const HOSTILE = {
	NODE_OPTIONS: '--tls-keylog=/tmp/keys', NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_EXTRA_CA_CERTS: '/tmp/ca',
	NODE_PENDING_DEPRECATION: '1', NODE_DEBUG: 'tls', NODE_V8_COVERAGE: '/tmp/x', NODE_PATH: '/tmp',
	SSLKEYLOGFILE: '/tmp/keys', OPENSSL_CONF: '/tmp/conf', OPENSSL_MODULES: '/tmp', SSL_CERT_FILE: '/tmp/ca',
	SSL_CERT_DIR: '/tmp', NODE_COMPILE_CACHE: '/tmp/cache', OPENSSL_ENGINES: '/tmp', OPENSSL_ia32cap: '0',
	LD_LIBRARY_PATH: '/tmp/none', LD_BIND_NOW: '1', LD_DEBUG_OUTPUT: '/tmp/x', GCONV_PATH: '/tmp', LOCPATH: '/tmp',
	GLIBC_TUNABLES: 'glibc.malloc.check=0', MALLOC_ARENA_MAX: '1', RES_OPTIONS: 'ndots:1', HOSTALIASES: '/tmp/hosts',
	UV_THREADPOOL_SIZE: '1',
};

/** A value's second line; and what the script sets itself. */
const OURS = /^(?:NODE_OPTIONS=b|NODE_COMPILE_CACHE=.*\/node_modules\/\.cache\/procsnap)$/;

test('nothing that turns checks off, runs other code or writes keys down comes to Node', (t) => {
	const node = environmentOf(t, { ...HOSTILE, PROCSNAP_NICE: '3', LINES: 'a\nNODE_OPTIONS=b' });
	for (const name of Object.keys(HOSTILE)) {
		t.deepEqual(node.filter((line) => line.startsWith(`${name}=`) && !OURS.test(line)), [], name);
	}
	t.true(node.includes('PROCSNAP_NICE=3'));
	t.true(node.some((line) => /^NODE_COMPILE_CACHE=.*node_modules\/\.cache\/procsnap$/.test(line)));
});

test('emulated processors have the flag that they need', (t) => {
	t.true(environmentOf(t, { NODE_OPTIONS: '--liftoff-only' }).includes('NODE_OPTIONS=--liftoff-only'));
});

test('a library that is to be loaded before others is loaded by the shell alone, not by what it calls', (t) => {
	const folder = temporaryFolder(t), library = join(folder, 'first.so'), log = join(folder, 'log');
	execFileSync('cc', ['-shared', '-fPIC', '-o', library, '-x', 'c', '-'], { input: `
		#define _GNU_SOURCE
		#include <errno.h>
		#include <stdio.h>
		__attribute__((constructor)) static void loaded(void)
		{
			FILE *log = fopen(${JSON.stringify(log)}, "a");
			fprintf(log, "%s\\n", program_invocation_short_name);
			fclose(log);
		}` });
	const { status, stderr } = run(aCheckout(t), { LD_PRELOAD: library });
	t.deepEqual([status, stderr], [0, '']);
	t.is(readFileSync(log, 'utf8'), 'sh\n');
});

test('a checkout that is not made ready: what is missing and what to do, and nothing is installed', (t) => {
	for (const made of MADE) {
		const at = aCheckout(t);
		rmSync(at(made));
		const { status, stdout, stderr } = run(at);
		t.deepEqual([status, stdout], [1, ''], made);
		t.regex(stderr, /^procsnap: this checkout is not made ready \(.* is missing\): run {2}sh scripts\/setup {2}in .*\n$/);
		t.true(stderr.includes(made));
		t.deepEqual(readdirSync(at('')).sort(), ['native', 'node_modules', 'scripts'], 'nothing was made');
	}
});

test('it waits for no lock on the checkout, and says that what was compiled is old', async (t) => {
	const at = aCheckout(t), holder = spawn('flock', [at(''), 'sh', '-c', 'echo held; sleep 100'], {
		stdio: ['ignore', 'pipe', 'ignore'], detached: true,
	});
	t.teardown(() => process.kill(-holder.pid!, 'SIGKILL'));
	await once(holder.stdout, 'data');
	t.deepEqual([run(at).status, run(at).stderr], [0, '']);
	writeFileSync(at('native/core.c'), '');
	for (const made of MADE) utimesSync(at(made), 1000, 1000);
	const { status, stderr } = run(at);
	t.is(status, 0);
	t.regex(stderr, /^procsnap: note: native\/ has changed since it was compiled/);
});
