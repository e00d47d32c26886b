/** scripts/procsnap: what it lets through of its environment to Node. */
import test, { type ExecutionContext } from 'ava';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../acquire/help.ts';

/** In a checkout whose Node says what its environment is, and whose set-up says the same before. */
function environmentOf(t: ExecutionContext, given: NodeJS.ProcessEnv): { node: string[]; setup: string[] } {
	const root = temporaryFolder(t), at = (...path: string[]) => join(root, ...path);
	mkdirSync(at('scripts'));
	mkdirSync(at('node_modules', '.bin'), { recursive: true });
	cpSync('scripts/procsnap', at('scripts', 'procsnap'));
	writeFileSync(at('scripts', 'setup'), `env >'${at('before')}'\n`);
	const program = '#!/bin/sh\ncat "$(dirname "$0")/../../before"; echo ---; env\n';
	writeFileSync(at('node_modules', '.bin', 'node'), program, { mode: 0o755 });
	const { status, stdout, stderr } = spawnSync(at('scripts', 'procsnap'), ['take'], {
		encoding: 'utf8', env: { PATH: process.env['PATH'], ...given },
	});
	t.is(status, 0, stderr);
	const [setup = '', node = ''] = stdout.split('---\n');
	return { node: node.split('\n'), setup: setup.split('\n') };
}

const HOSTILE = {
	NODE_OPTIONS: '--tls-keylog=/tmp/keys', NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_EXTRA_CA_CERTS: '/tmp/ca',
	NODE_PENDING_DEPRECATION: '1', NODE_DEBUG: 'tls', NODE_V8_COVERAGE: '/tmp/x', NODE_PATH: '/tmp',
	SSLKEYLOGFILE: '/tmp/keys', OPENSSL_CONF: '/tmp/conf', OPENSSL_MODULES: '/tmp', SSL_CERT_FILE: '/tmp/ca',
	SSL_CERT_DIR: '/tmp',
};

test('nothing that turns checks off, runs other code or writes keys down comes to Node', (t) => {
	const { node, setup } = environmentOf(t, { ...HOSTILE, PROCSNAP_NICE: '3', LINES: 'a\nNODE_OPTIONS=b' });
	for (const name of Object.keys(HOSTILE)) {
		t.deepEqual(node.filter((line) => line.startsWith(`${name}=`) && line !== 'NODE_OPTIONS=b'), [], name);
	}
	t.true(node.includes('PROCSNAP_NICE=3'));
	t.true(node.some((line) => /^NODE_COMPILE_CACHE=.*node_modules\/\.cache\/procsnap$/.test(line)));
	// Set-up may need it to reach packages.
	t.true(setup.includes('NODE_EXTRA_CA_CERTS=/tmp/ca'));
});

test('the cache is where it is said to be, and emulated processors have the flag that they need', (t) => {
	const { node } = environmentOf(t, { NODE_COMPILE_CACHE: '/tmp/cache', NODE_OPTIONS: '--liftoff-only' });
	t.true(node.includes('NODE_COMPILE_CACHE=/tmp/cache'));
	t.true(node.includes('NODE_OPTIONS=--liftoff-only'));
	t.true(environmentOf(t, { NODE_COMPILE_CACHE: '' }).node.includes('NODE_COMPILE_CACHE='));
});
