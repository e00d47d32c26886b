/** Certificates that are good no more: revoked, or expired, before a link is made and while there is one. */
import type { ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TLSSocket } from 'node:tls';
import { publicKeyOf, publicKeyPem } from '../../../acquire/evidence/seal.ts';
import { readCredentials } from '../../../acquire/transfer/credentials.ts';
import { eventually } from '../../processes.ts';
import { temporaryFolder } from '../help.ts';
import { aKey, Authority, Command, HOST, keptIn, linkTest, ReceiverProcess, sendSmall } from './help.ts';
import { answered, certificate, lineOf, say, setting, tls } from './peers.ts';

const CERTIFICATES = fileURLToPath(new URL('../../../scripts/certificates', import.meta.url));

/** The list of the authority, with these hosts besides those that are revoked already; its path. */
function revoke({ dir }: Authority, ...hosts: string[]): string {
	execFileSync('sh', [CERTIFICATES, '--revoke', dir, ...hosts], { stdio: ['ignore', 'ignore', 'inherit'] });
	return join(dir, 'ca.crl');
}

const withList = (authority: Authority, name: string, crl: string) => readCredentials({
	ca: join(authority.dir, name, 'ca.crt'), cert: join(authority.dir, name, 'link.crt'),
	key: join(authority.dir, name, 'link.key'), crl: [crl],
});

/** A transfer of 2 MiB of which one is there. */
async function begun(t: ExecutionContext, socket: TLSSocket): Promise<string> {
	t.teardown(() => socket.destroy());
	const greeted = once(socket, 'data') as Promise<[Buffer]>;
	socket.write(lineOf({ procsnap: 1 }));
	const { id } = JSON.parse((await greeted)[0].toString()) as { id: string };
	socket.write(lineOf({ bytes: 2 << 20 }));
	socket.write(Buffer.alloc(1 << 20));
	await once(socket, 'data');
	return id;
}

linkTest('--crl: who is on the list is not let in, nor sent to; who is not on it is', async (t) => {
	const authority = new Authority(t, HOST, 'collector', 'other', 'lab'), base = temporaryFolder(t);
	const list = revoke(authority, 'other');
	const out = join(base, 'received');
	const receiver = new ReceiverProcess(t, ['--out', out, '--crl', list, ...authority.options(HOST)]);
	await receiver.start();
	const hello = lineOf({ procsnap: 1 });
	t.is(
		await say(receiver.port, authority.credentials('other'), hello),
		lineOf({ refused: 'no known peer: its certificate: CERT_REVOKED' })
	);
	await sendSmall(t, receiver.port, withList(authority, 'collector', list));
	t.is(keptIn(out).length, 1);
	// The receiver itself is revoked: by a list that it has not seen, but the collector has.
	copyFileSync(list, join(base, 'old.crl'));
	const newer = join(base, 'new.crl');
	copyFileSync(revoke(authority, HOST), newer);
	copyFileSync(join(base, 'old.crl'), list);
	await t.throwsAsync(
		sendSmall(t, receiver.port, withList(authority, 'collector', newer)),
		{ message: /no evidence can be sent to .*certificate revoked; nothing was taken/ }
	);
	t.is(keptIn(out).length, 1);
	const { code, stderr } = await new Command(t, [
		'receive', '--listen', `${HOST}:0`, '--out', out, '--crl', join(authority.dir, 'ca.crt'),
		...authority.options(HOST), '--key', join(base, 'key'),
	]).ended;
	t.is(code, 1);
	t.regex(stderr, /the list of revoked certificates .*ca\.crt cannot be used \(PEM\)/);
});

linkTest('a list that changes while a transfer goes on: who is on it now is cut off, others go on', async (t) => {
	const authority = new Authority(t, HOST, 'collector', 'other'), list = join(temporaryFolder(t), 'crl');
	copyFileSync(revoke(authority), list);
	const each = await setting(t, {
		credentials: withList(authority, HOST, list), patience: { helloMs: 20_000, crlMs: 100 },
	});
	const theirs = authority.credentials('other'), ours = authority.credentials('collector');
	const revoked = await tls(each.receiver.port, theirs), good = await tls(each.receiver.port, ours);
	const [theirId, ourId] = [await begun(t, revoked), await begun(t, good)];
	writeFileSync(list, 'nothing');
	await eventually(() => each.events.find((event) => 'warning' in event), 'a list that is none is said');
	t.false(revoked.closed);
	copyFileSync(revoke(authority, 'other'), list);
	await eventually(() => (revoked.closed && good.closed ? true : undefined), 'both have to show themselves again');
	const resumed = (id: string) => lineOf({ procsnap: 1, resume: id });
	t.is(
		await say(each.receiver.port, theirs, resumed(theirId)),
		lineOf({ refused: 'no known peer: its certificate: CERT_REVOKED' })
	);
	t.regex(await say(each.receiver.port, ours, resumed(ourId), lineOf({ bytes: 'x' })), /"have":1048576}/);
});

linkTest('a certificate that expires while a transfer goes on', async (t) => {
	const each = await setting(t);
	const end = new Date(Date.now() + 6000).toISOString().replace(/[-:T]|\.\d+/g, '');
	const brief = certificate(t, each.authority, ['-startdate', '20200101000000Z', '-enddate', end]);
	const socket = await tls(each.receiver.port, { ...each.ours, ...brief });
	await begun(t, socket);
	t.false(socket.closed);
	const waiting = await eventually(() => each.events.find((event) => 'waiting' in event), 'it waits', 60_000);
	t.regex('because' in waiting ? waiting.because : '', /the peer's certificate was valid until/);
	const again = await tls(each.receiver.port, { ...each.ours, ...brief });
	again.write(lineOf({ procsnap: 1 }));
	t.regex(await answered(again), /CERT_HAS_EXPIRED/);
});

linkTest('--trust twice: either collector\'s evidence is kept, and no other\'s', async (t) => {
	const authority = new Authority(t, HOST, 'collector'), base = temporaryFolder(t), out = join(base, 'received');
	const keys = [aKey(), aKey()];
	const files = keys.map((key, i) => {
		const path = join(base, `${i}.pub`);
		writeFileSync(path, publicKeyPem(publicKeyOf(key)));
		return path;
	});
	const receiver = new ReceiverProcess(
		t, ['--out', out, ...authority.options(HOST), ...files.flatMap((file) => ['--trust', file])]
	);
	await receiver.start();
	for (const key of keys) await sendSmall(t, receiver.port, authority.credentials('collector'), { key });
	t.is(keptIn(out).length, 2);
	await t.throwsAsync(
		sendSmall(t, receiver.port, authority.credentials('collector')),
		{ message: /a manifest sealed by [0-9a-f]{64}, which is none of the keys that are trusted here/ }
	);
	t.is(keptIn(out).length, 2);
});
