/**
 * The time stamp of an evidence folder: verify shows it, names one that is wrong, and wants one where a CA is given.
 */
import test, { type ExecutionContext } from 'ava';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../common/errors.ts';
import { FILES } from '../../acquire/evidence/folder.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { NODE } from '../processes.ts';
import { Authority, opensslTest } from './evidence/authority.ts';

const procsnap = (...args: string[]) =>
	spawnSync(NODE[0], [...NODE.slice(1), 'acquire/cli.ts', ...args], { encoding: 'utf8' });
const verify = (...args: string[]) => procsnap('verify', ...args);

/** Evidence of a process, and an authority. */
function evidence(t: ExecutionContext): { dir: string; signature: Buffer; authority: Authority } {
	const target = spawn('sleep', ['1000']);
	t.teardown(() => target.kill('SIGKILL'));
	const authority = new Authority(t).usual();
	const dir = authority.path('evidence');
	// By a process of its own: whoever takes has the lowest priority from then on.
	const { status, stderr } = procsnap(
		'take', String(target.pid), '--out', dir, '--key', authority.path('collector.key')
	);
	t.is(status, 0, stderr);
	return { dir, signature: readFileSync(join(dir, FILES.signature)), authority };
}

opensslTest('a stamp is shown, by whom it is and whether that was checked', (t) => {
	const { dir, signature, authority } = evidence(t);
	const key = authority.path('collector.key.pub'), root = authority.path('root.pem');
	t.notRegex(verify(dir, '--key', key).stdout, /timestamped/);
	writeFileSync(join(dir, FILES.timestamp), authority.token(signature));
	const { status, stdout, stderr } = verify(dir, '--key', key, '--tsa-ca', root);
	t.is(status, 0, stdout + stderr);
	t.regex(stdout, /: whole: .*\n {2}process .*\n {2}timestamped 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z by O=Test, CN=tsa\n$/);
	t.regex(verify(dir, '--key', key).stdout, /by O=Test, CN=tsa, whose certificate was not checked \(--tsa-ca\)\n$/);
	const { timestamp } = JSON.parse(verify(dir, '--tsa-ca', root, '--json').stdout) as {
		timestamp: { signer: string; trusted: boolean };
	};
	t.deepEqual([timestamp.signer, timestamp.trusted], ['O=Test, CN=tsa', true]);
	// Whoever has no procsnap has openssl.
	t.regex(
		execFileSync(
			'openssl',
			[
				'ts', '-verify', '-token_in', '-in', join(dir, FILES.timestamp), '-data', join(dir, FILES.signature),
				'-CAfile', root,
			],
			{ encoding: 'utf8', stdio: 'pipe' }
		),
		/OK/
	);

	const other = verify(dir, '--key', key, '--tsa-ca', authority.path('missing.pem'));
	t.is(other.status, 1);
	t.regex(other.stderr, /^procsnap: the time-stamp authority's CA cannot be read: ENOENT/);
});

opensslTest('a stamp that is wrong is a fault, and so is a missing one that was asked for', async (t) => {
	const { dir, signature, authority } = evidence(t);
	const path = join(dir, FILES.timestamp), root = authority.read('root.pem');
	authority.certificate('other root', { extensions: 'basicConstraints=critical,CA:TRUE' });
	const found = async (ca?: Buffer) => {
		const { faults, timestamp } = await verifyFolder(dir, undefined, ca);
		return { faults: faults.join('\n'), timestamp };
	};
	t.deepEqual(await found(), { faults: '', timestamp: null });
	t.is((await found(root)).faults, 'manifest.tst: missing: this evidence has no time stamp, or has it no more');

	const of = async (token: Uint8Array, ca?: Buffer) => {
		writeFileSync(path, token);
		const { faults, timestamp } = await found(ca);
		if (faults !== '') t.is(timestamp, null);
		return faults;
	};
	const token = authority.token(signature);
	t.is(await of(token, root), '');
	t.regex(
		await of(authority.token(Buffer.from('another signature'))),
		/^manifest\.tst: not a time stamp of manifest\.sig: it is of another text/
	);
	t.regex(
		await of(token, authority.read('other root.pem')),
		/^manifest\.tst: .* does not come from a certificate that was given/
	);
	t.regex(await of(token.subarray(0, -1)), /^manifest\.tst: .*not one DER structure/);
	t.regex(await of(Buffer.alloc(2 << 20)), /^manifest\.tst: .*more than 1048576 bytes/);
	await t.throwsAsync(found(Buffer.from('no PEM')), { instanceOf: Failure, message: /no certificate in PEM/ });

	// A link would lead out of the folder.
	await of(token);
	renameSync(path, authority.path('elsewhere'));
	symlinkSync(authority.path('elsewhere'), path);
	t.is((await found(root)).faults, 'manifest.tst: no ordinary file');
	rmSync(path);

	// Of what nobody sealed, no stamp is shown.
	copyFileSync(authority.path('elsewhere'), path);
	writeFileSync(
		join(dir, FILES.manifest), readFileSync(join(dir, FILES.manifest), 'utf8').replace('"sleep"', '"slept"')
	);
	const altered = await found(root);
	t.regex(altered.faults, /^manifest\.json: its signature/);
	t.is(altered.timestamp, null);
});

test('a collector that asks for no stamp loads neither ASN.1 nor TLS', (t) => {
	const script = `
		import { registerHooks } from 'node:module';
		const loaded = [];
		registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
		await import('./acquire/commands/take.ts');
		await import('./acquire/commands/verify.ts');
		console.log(loaded.join('\\n'));
		await import('./acquire/timestamp-client.ts');
		console.log('---\\n' + loaded.join('\\n'));`;
	const [before, after] = execFileSync(
		NODE[0], [...NODE.slice(1), '--input-type=module', '-e', script], { encoding: 'utf8' }
	).split('---') as [string, string];
	const heavy = /\/pkijs\/|\/asn1js\/|^node:https?$/m;
	t.regex(before, /acquire\/take\.ts/);
	t.notRegex(before, heavy);
	t.regex(after, heavy);
});
