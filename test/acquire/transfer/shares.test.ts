/** What one certificate may have of a receiver's disk, and for how long: others get in. */
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { heldOf, lastingOf } from '../../../acquire/transfer/promises.ts';
import { eventually } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { noTools, temporaryFolder } from '../help.ts';
import { linkTest, underWayIn } from './help.ts';
import { answered, lineOf, lives, say, setting, tls } from './peers.ts';

const MIB = 1 << 20;

test('of one peer\'s promises half of the disk is held, the rest comes if there is room', (t) => {
	t.is(heldOf('a', 100, 100, []), 50);
	const a = { peer: 'a', missingBytes: 100, heldBytes: 50 };
	t.is(heldOf('b', 50, 100, [a]), 50);
	t.is(heldOf('b', 51, 100, [a]), null, 'what is held for others has no room twice');
	t.is(heldOf('a', 1, 100, [a]), null, 'nor what the same peer has promised');
	t.is(heldOf('a', 30, 100, [{ peer: 'a', missingBytes: 40, heldBytes: 40 }]), 10, 'half for all of one peer\'s');
	t.is(heldOf('a', 101, 100, []), null);
});

test('what comes slowly is held for a day\'s worth, after ten minutes', (t) => {
	t.is(lastingOf(1000, 0, 600_000), 1000);
	t.is(lastingOf(1000, 0, 600_001), 0);
	t.is(lastingOf(2 ** 40, 2 ** 20, 3_600_000), 24 * 2 ** 20);
	t.is(lastingOf(2 ** 20, 2 ** 20, 3_600_000), 2 ** 20);
});

function noMount(): string | null {
	if (process.getuid?.() !== 0) return 'only root may mount a small file system';
	return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
		? noTools('openssl')
		: 'mounting is forbidden here';
}

testUnless(noMount())('a peer that promises all of the disk keeps it from nobody, and gets what has room',
	async (t) => {
		const disk = join(temporaryFolder(t), 'disk');
		mkdirSync(disk);
		execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'none', disk]);
		t.teardown(() => execFileSync('umount', ['--lazy', disk]));
		const each = await setting(t, {}, join(disk, 'received')), others = each.authority.credentials('other');
		const free = () => {
			const { bavail, bsize } = statfsSync(disk);
			return bavail * bsize - 64 * MIB;	// what is left for everybody else
		};
		const greedy = await tls(each.receiver.port, others);
		const bytes = Math.floor(free() / MIB - 1) * MIB;
		greedy.write(`${lineOf({ procsnap: 1, waits: true })}${lineOf({ bytes })}`);
		await once(greedy, 'data');
		await lives(t, each);
		// What another one promises then is held for it.
		const modest = await tls(each.receiver.port, each.ours), half = 80 * MIB;
		modest.write(`${lineOf({ procsnap: 1, waits: true })}${lineOf({ bytes: half })}`);
		await once(modest, 'data');
		const over = answered(greedy);
		for (let at = 0; at < bytes && greedy.writable; at += MIB) greedy.write(Buffer.alloc(MIB));
		await over;
		const waits = await eventually(() => each.events.find((event) => 'waiting' in event), 'it is to wait');
		t.regex('because' in waits ? waits.because : '', /no room now beside what others still send/);
		t.true(free() >= half, `${free()} bytes are free`);
		let said = '';
		modest.setEncoding('utf8').on('data', (text: string) => { said += text; });
		for (let at = 0; at < half; at += MIB) modest.write(Buffer.alloc(MIB));
		await eventually(() => (said.includes(`"have":${half}}`) ? true : undefined), 'all that was promised has room');
		modest.destroy();
		t.regex(
			await say(
				each.receiver.port, others, `${lineOf({ procsnap: 1, waits: true })}${lineOf({ bytes: 300 * MIB })}`
			),
			/"refused":"314572800 bytes, and there is no room for them .* disk, which has \d+"/
		);
	});

linkTest('64 transfers that were begun and left are all that one certificate has; others are not in their way',
	async (t) => {
		const each = await setting(t);
		const peer = new X509Certificate(each.authority.credentials('other').cert).fingerprint256;
		for (let i = 0; i < 64; i++) {
			const id = i.toString(16).padStart(32, '0');
			mkdirSync(join(each.out, '.incoming', id));
			writeFileSync(join(each.out, '.incoming', `${id}.json`), JSON.stringify({ peer, bytes: MIB }));
		}
		const hello = lineOf({ procsnap: 1, waits: true });
		t.regex(
			await say(each.receiver.port, each.authority.credentials('other'), hello),
			/^{"refused":"64 transfers by this certificate have not come to their end here, and no more than 64 are kept/
		);
		await lives(t, each);
		t.is(underWayIn(each.out).length, 128);
	});
