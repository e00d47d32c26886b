/** What a receiver says of evidence that it has kept, and what becomes of that. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint, publicKeyOf, publicKeyPem, signed } from '../../../acquire/evidence/seal.ts';
import type { Receipt } from '../../../acquire/receipt.ts';
import { verifyFolder } from '../../../acquire/verify.ts';
import { eventually, NODE } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { noTools, temporaryFolder } from '../help.ts';
import { aKey, HOST, keptIn, linkTest, sendSmall } from './help.ts';
import { setting } from './peers.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

linkTest('what is kept has a receipt; one that was altered is a fault, one that is missing is none', async (t) => {
	const key = aKey(), each = await setting(t, { key });
	const dir = join(each.out, await sendSmall(t, each.receiver.port, each.ours));
	const at = (name: string) => join(dir, name);
	const faults = async () => (await verifyFolder(dir)).faults;
	t.deepEqual(await faults(), []);
	const text = readFileSync(at('receipt.json')), signature = readFileSync(at('receipt.sig'));
	const receipt = JSON.parse(text.toString()) as Receipt;
	t.like(receipt, {
		version: 1, transfer: dir.replace(/^.*-/, ''),
		sha256: {
			manifest: sha256(readFileSync(at('manifest.json'))), signature: sha256(readFileSync(at('manifest.sig'))),
		},
		peer: {
			certificateSha256: sha256(new X509Certificate(each.ours.cert).raw), subject: 'CN=collector', address: HOST,
		},
	});
	t.is(receipt.receiver.publicKeySha256, fingerprint(publicKeyOf(key)));
	t.true(Math.abs(Date.parse(receipt.received) - Date.now()) < 600_000);
	const altered = (change: (receipt: Receipt) => void): Buffer => {
		const copy = JSON.parse(text.toString()) as Receipt;
		change(copy);
		return Buffer.from(`${JSON.stringify(copy, null, '\t')}\n`);
	};
	const wrongs: Array<[string, Buffer | null, Buffer | null, RegExp]> = [
		['its time', altered((copy) => { copy.received = '2020-01-01T00:00:00.000Z'; }), signature, /^receipt\.json: its signature/],
		['its signature', text, Buffer.from(signature).fill(1, 3, 5), /^receipt\.json: its signature/],
		['no signature', text, null, /^receipt\.json: missing/],
		['no text', null, signature, /^receipt\.json: missing/],
		['no JSON', Buffer.from('\u001b[2J'), signature, /^receipt\.json: no JSON: /],
		['no receipt', Buffer.from('{}'), signature, /^receipt\.json: no receipt/],
	];
	const other = altered((copy) => { copy.sha256.manifest = '0'.repeat(64); });
	wrongs.push(['of other evidence', other, signed(other, key), /^receipt\.json: manifest\.json is not the one that was received/]);
	const unstamped = altered((copy) => { copy.sha256.timestamp = '0'.repeat(64); });
	wrongs.push(['a stamp is gone', unstamped, signed(unstamped, key), /^receipt\.json: manifest\.tst is not the one/]);
	const forger = aKey();
	const forged = altered((copy) => { copy.receiver.publicKey = publicKeyPem(publicKeyOf(forger)); });
	wrongs.push(['of another key', forged, signed(forged, forger), /^receipt\.json: it names another key/]);
	for (const [what, json, sig, fault] of wrongs) {
		for (const [name, content] of [['receipt.json', json], ['receipt.sig', sig]] as const) {
			rmSync(at(name), { force: true });
			if (content !== null) writeFileSync(at(name), content);
		}
		const found = await faults();
		t.is(found.length, 1, what);
		t.regex(found[0] ?? '', fault, what);
	}
	for (const name of ['receipt.json', 'receipt.sig']) rmSync(at(name), { force: true });
	t.deepEqual(await faults(), [], 'evidence without one is whole');
});

const DOCUMENTED = /^ {4}(openssl pkeyutl .*receipt\.json.*)$/m.exec(readFileSync('docs/evidence.md', 'utf8'))?.[1];

linkTest('verify --receiver-key: signed by the receiver is said so, by anybody else is a fault, unasked is not checked',
	async (t) => {
		const key = aKey(), forger = aKey(), sealer = aKey(), each = await setting(t, { key });
		const dir = join(each.out, await sendSmall(t, each.receiver.port, each.ours, { key: sealer }));
		const at = (name: string) => join(dir, name), keys = temporaryFolder(t);
		const [theirs, wrong, collectors] = [key, forger, sealer].map((one, i) => {
			const path = join(keys, `${i}.pub`);
			writeFileSync(path, publicKeyPem(publicKeyOf(one)));
			return path;
		}) as [string, string, string];
		const verify = (...args: string[]) => {
			const { status, stdout } = spawnSync(
				NODE[0], [...NODE.slice(1), 'acquire/cli.ts', 'verify', dir, '--key', collectors, ...args],
				{ encoding: 'utf8' }
			);
			return { status, stdout };
		};
		const byOpenSsl = () => spawnSync(
			'sh', ['-c', `cd "$1" && ${DOCUMENTED!.replace('receiver.key.pub', '"$2"')}`, 'sh', dir, theirs]
		).status;
		const unasked = verify();
		t.is(unasked.status, 0);
		t.regex(unasked.stdout, /^ {2}receipt not checked: it says that it was received .*--receiver-key/m);
		const right = verify('--receiver-key', theirs);
		t.is(right.status, 0, right.stdout);
		t.regex(right.stdout, /^ {2}received \S+Z by .* from CN=collector at 127\.0\.0\.1, as the receiver's key given signed it: /m);
		t.true(right.stdout.includes(fingerprint(publicKeyOf(key))));
		t.is(byOpenSsl(), 0);
		const fault = (what: string, wanted: RegExp, ...args: string[]) => {
			const found = verify(...args);
			t.is(found.status, 1, what);
			t.regex(found.stdout, wanted, what);
			t.notRegex(found.stdout, /as the receiver's key given signed it/, what);
		};
		fault('wrong signer', /^ {2}receipt\.json: not of the receiver's key given/m, '--receiver-key', wrong);
		// Made anew by somebody who has put his own key into it: of one piece.
		const text = readFileSync(at('receipt.json'));
		const copy = JSON.parse(text.toString()) as Receipt;
		copy.received = '2020-01-01T00:00:00.000Z';
		copy.receiver = {
			...copy.receiver, publicKey: publicKeyPem(publicKeyOf(forger)),
			publicKeySha256: fingerprint(publicKeyOf(forger)),
		};
		const forged = Buffer.from(JSON.stringify(copy));
		writeFileSync(at('receipt.json'), forged);
		writeFileSync(at('receipt.sig'), signed(forged, forger));
		t.regex(verify().stdout, /receipt not checked: it says that it was received 2020/);
		fault('forged', /^ {2}receipt\.json: not of the receiver's key given/m, '--receiver-key', theirs);
		t.is(byOpenSsl(), 1);
		// Signed by him, in the receiver's name.
		writeFileSync(at('receipt.json'), text);
		writeFileSync(at('receipt.sig'), signed(text, forger));
		fault('in its name', /^ {2}receipt\.json: its signature/m, '--receiver-key', theirs);
		for (const name of ['receipt.json', 'receipt.sig']) rmSync(at(name));
		fault('gone', /^ {2}receipt\.json: missing, and the receiver's key was given/m, '--receiver-key', theirs);
		t.is(verify('--receiver-key', join(keys, 'none')).status, 1);
	});

function noMount(): string | null {
	if (process.getuid?.() !== 0) return 'only root may mount a small file system';
	return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
		? noTools('openssl')
		: 'mounting is forbidden here';
}

testUnless(noMount())('a disk that is full at the seal: when there is room, the evidence is kept', async (t) => {
	const disk = join(temporaryFolder(t), 'disk');
	mkdirSync(disk);
	execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'none', disk]);
	t.teardown(() => execFileSync('umount', ['--lazy', disk]));
	const each = await setting(t, {}, join(disk, 'received'));
	const filler = join(disk, 'filler');
	const name = await sendSmall(t, each.receiver.port, each.ours, {
		patienceMs: 60_000,
		wrap: (destination) => ({
			transfer: destination.transfer, room: {}, begin: (bytes) => destination.begin(bytes, 0),
			write: (bytes, offset) => destination.write(bytes, offset),
			verified: (root) => destination.verified(root), discard: () => destination.discard(false),
			seal: async (seal) => {
				spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64K'], { stdio: 'ignore' });
				const sealed = destination.seal(seal);
				const told = await eventually(() => each.events.find((event) => 'waiting' in event), 'it waits');
				t.regex('because' in told ? told.because : '', /ENOSPC/);
				t.deepEqual(keptIn(each.out), []);
				rmSync(filler);
				return sealed;
			},
		}),
	});
	t.deepEqual(keptIn(each.out), [name]);
	renameSync(join(each.out, name), join(each.out, 'kept'));
	t.deepEqual((await verifyFolder(join(each.out, 'kept'))).faults, []);
});
