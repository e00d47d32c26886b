/** What a receiver does not take: whoever it does not know, and whatever is not what it is said to be. It goes on. */
import test, { type ExecutionContext } from 'ava';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { createRandom, type Random } from '../../../bench/stats/random.ts';
import type { Destination, Seal } from '../../../acquire/evidence/folder.ts';
import { publicKeyOf, publicKeyPem } from '../../../acquire/evidence/seal.ts';
import type { Credentials } from '../../../acquire/transfer/credentials.ts';
import { partsOf } from '../../../acquire/transfer/protocol.ts';
import { receive } from '../../../acquire/transfer/receiver.ts';
import { eventually } from '../../processes.ts';
import { temporaryFolder } from '../help.ts';
import { aKey, Authority, HOST, keptIn, linkTest, sendSmall, underWayIn } from './help.ts';
import { answered, certificate, lineOf, lives, nothingUnderWay, say, setting, tls, type Setting } from './peers.ts';

linkTest('whoever has no certificate of the authority that is valid today', async (t) => {
	const each = await setting(t);
	const { ca } = each.ours;
	const stranger = new Authority(t, 'collector').credentials('collector');
	const peers: Record<string, [Partial<Credentials>, RegExp]> = {
		'none at all': [{ ca }, /^no known peer: it has no certificate$/],
		'of another authority': [
			{ ca, cert: stranger.cert, key: stranger.key },
			/^no known peer: its certificate: (?:UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/,
		],
		'expired': [
			{ ca, ...certificate(t, each.authority, ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z']) },
			/^no known peer: its certificate: CERT_HAS_EXPIRED$/,
		],
		'not yet valid': [
			{ ca, ...certificate(t, each.authority, ['-startdate', '20980101000000Z', '-enddate', '20990101000000Z']) },
			/^no known peer: its certificate: CERT_NOT_YET_VALID$/,
		],
	};
	for (const [what, [credentials, why]] of Object.entries(peers)) {
		const before = each.events.length;
		const socket = await tls(each.receiver.port, credentials);
		socket.write('{"procsnap":1}\n');
		const said = await answered(socket);
		await eventually(() => each.events[before], `the receiver says that it refused ${what}`);
		t.regex(each.refused().at(-1) ?? '', why, what);
		t.is(said, lineOf({ refused: each.refused().at(-1) }), what);
	}
	// A certificate of the authority is what they lacked.
	await say(
		each.receiver.port, { ...each.ours, ...certificate(t, each.authority, ['-days', '1']) },
		'{"procsnap":1}\n{"bytes":0}\n'
	).then((said) => t.regex(said, /^{"id":"[0-9a-f]{32}","have":0}\n{"refused"/));
	await lives(t, each);
});

linkTest('a receiver that is not the one that was asked for gets nothing', async (t) => {
	const each = await setting(t);
	const stranger = new Authority(t, HOST, 'collector');
	await t.throwsAsync(
		sendSmall(t, each.receiver.port, stranger.credentials('collector')),
		{ message: /no evidence can be sent to .*(unable|self.signed).*nothing was taken/ }
	);
	// Of the right authority, but of another host.
	const out = temporaryFolder(t);
	const other = await receive({
		host: HOST, port: 0, out, credentials: each.authority.credentials('other'), key: aKey(), mostBytes: 1 << 30,
		said: () => {},
	});
	t.teardown(() => other.close());
	await t.throwsAsync(
		sendSmall(t, other.port, each.ours),
		{ message: /no evidence can be sent to .*does not match.*nothing was taken/ }
	);
	t.deepEqual(keptIn(out), []);
});

/** All that goes over the wire for a piece of evidence, as an eavesdropper with the keys would have it. */
async function recorded(t: ExecutionContext, { receiver, ours }: Setting): Promise<{
	bytes: number; core: Buffer; root: string; seal: Seal;
}> {
	const blocks: Buffer[] = [];
	let root = '', seal: Seal | undefined, bytes = 0;
	await sendSmall(t, receiver.port, ours, { wrap: (destination): Destination => ({
		transfer: destination.transfer, room: {},
		begin: (size) => { bytes = size; destination.begin(size, 0); },
		write: (block, offset) => { blocks.push(Buffer.from(block)); return destination.write(block, offset); },
		verified: (hash) => { root = hash; return destination.verified(hash); },
		seal: (whole) => { seal = whole; return destination.seal(whole); },
		discard: () => destination.discard(false),
	}) });
	return { bytes, core: Buffer.concat(blocks), root, seal: seal! };
}

const sealText = (seal: Seal): string =>
	`${JSON.stringify({ seal: Object.fromEntries(partsOf(seal).map(([part, { length }]) => [part, length])) })}\n`;
const sealBytes = (seal: Seal): Uint8Array[] => partsOf(seal).map(([, content]) => content);

linkTest('a stream that was recorded is nobody\'s evidence the second time', async (t) => {
	const each = await setting(t);
	const { bytes, core, root, seal } = await recorded(t, each);
	const kept = keptIn(each.out);
	const said = await say(
		each.receiver.port, each.ours, lineOf({ procsnap: 1 }), lineOf({ bytes }), core, lineOf({ root }),
		sealText(seal), ...sealBytes(seal)
	);
	t.regex(said, /"verified":true}\n{"refused":"a manifest of another transfer"}\n$/);
	// Nor does the transfer's own id help: it is over, and what it became is told.
	const id = kept[0]?.replace(/^.*-/, '') ?? '';
	t.is(
		await say(each.receiver.port, each.ours, lineOf({ procsnap: 1, resume: id }), lineOf({ bytes }), core),
		lineOf({ id, kept: kept[0] })
	);
	t.deepEqual(keptIn(each.out), kept);
	await nothingUnderWay(each);
});

linkTest('another peer does not go on with a transfer, nor see it', async (t) => {
	const each = await setting(t);
	const socket = await tls(each.receiver.port, each.ours);
	socket.write(`${lineOf({ procsnap: 1 })}${lineOf({ bytes: 3 << 20 })}`);
	socket.write(Buffer.alloc(2 << 20, 1));
	const [first] = await once(socket, 'data') as [Buffer];
	const { id } = JSON.parse(first.toString()) as { id: string };
	await new Promise((resolve) => setTimeout(resolve, 100));
	socket.destroy();
	await eventually(() => each.events.find((event) => 'waiting' in event), 'the transfer waits');
	const said = await say(
		each.receiver.port, each.authority.credentials('other'), lineOf({ procsnap: 1, resume: id })
	);
	t.is(said, lineOf({ refused: 'no transfer of yours is under way by this id' }));
	// Whose it is goes on, and only with what was agreed.
	t.regex(
		await say(each.receiver.port, each.ours, lineOf({ procsnap: 1, resume: id }), lineOf({ bytes: 4 << 20 })),
		/^{"id":".*","have":2097152}\n{"refused":"4194304 bytes, and it was to be 3145728"}\n$/
	);
});

linkTest('what is there already is read again after a lost link: meanwhile the peer hears of it', async (t) => {
	const each = await setting(t);
	const begun = await tls(each.receiver.port, each.ours);
	const greeted = once(begun, 'data') as Promise<[Buffer]>;
	begun.write(`${lineOf({ procsnap: 1 })}${lineOf({ bytes: 13 << 20 })}`);
	const { id } = JSON.parse((await greeted)[0].toString()) as { id: string };
	begun.end(Buffer.alloc(12 << 20, 1));
	await eventually(() => each.events.find((event) => 'waiting' in event), 'the transfer waits');
	const again = await tls(each.receiver.port, each.ours);
	let said = '';
	again.setEncoding('utf8').on('data', (text: string) => { said += text; });
	again.write(`${lineOf({ procsnap: 1, resume: id })}${lineOf({ bytes: 13 << 20 })}`);
	// One for each block that was there, before a byte more was sent.
	t.true(
		await eventually(
			() => (said.split('{"have":12582912}').length - 1 >= 3 ? true : undefined), 'it hears of three blocks'
		)
	);
	again.destroy();
});

linkTest('bytes, a root or a seal that do not belong together leave nothing', async (t) => {
	const trusted = aKey();
	const each = await setting(t, { trustedKeys: [Buffer.from(publicKeyPem(publicKeyOf(trusted)))] });
	// Sealed by somebody else: all the rest is right.
	await t.throwsAsync(
		sendSmall(t, each.receiver.port, each.ours),
		{
			message: /the receiver refuses the evidence: a manifest sealed by [0-9a-f]{64}, which is not the key that is trusted here/,
		}
	);
	await nothingUnderWay(each);
	t.deepEqual(keptIn(each.out), []);
	const name = await sendSmall(t, each.receiver.port, each.ours, { key: trusted });
	t.deepEqual(keptIn(each.out), [name]);

	const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
	const wrongs: Record<string, [(destination: Destination) => Destination, RegExp]> = {
		'a byte of the core': [
			(destination) =>
				({
					...bound(destination),
					write: (block, offset) => destination.write(offset === 0 ? flipped(block, 70_000) : block, offset),
				}),
			/the bytes that came are not those that the root is of/,
		],
		'the root': [
			(destination) => ({ ...bound(destination), verified: () => destination.verified('0'.repeat(64)) }),
			/the bytes that came are not those that the root is of/,
		],
		...Object.fromEntries((['leaves', 'manifest', 'publicKey', 'signature'] as const).map((part) =>
			[
				part,
				[
					(destination: Destination): Destination =>
						({
							...bound(destination),
							seal: (seal) => destination.seal({ ...seal, [part]: flipped(seal[part], 40) }),
						}),
					/the receiver refuses the evidence: a /,
				] as const,
			])),
	};
	for (const [what, [wrap, why]] of Object.entries(wrongs)) {
		await t.throwsAsync(
			sendSmall(t, each.receiver.port, each.ours, { key: trusted, wrap }), { message: why }, what
		);
		await nothingUnderWay(each);
		t.deepEqual(keptIn(each.out), [name], what);
	}
});

const bound = (destination: Destination): Destination => ({
	transfer: destination.transfer, room: {}, begin: (bytes) => destination.begin(bytes, 0),
	write: (bytes, offset) => destination.write(bytes, offset),
	verified: (root) => destination.verified(root), seal: (seal) => destination.seal(seal),
	discard: () => destination.discard(false),
});

linkTest('more than is agreed, or than there is room for', async (t) => {
	const each = await setting(t, { mostBytes: 2 ** 50, roomBytes: 2 ** 45 });
	t.regex(
		await say(each.receiver.port, each.ours, lineOf({ procsnap: 1 }), lineOf({ bytes: 2 ** 50 + 1 })),
		/{"refused":"\d+ bytes, and \d+ are what is taken here at most"}\n$/
	);
	t.regex(
		await say(each.receiver.port, each.ours, lineOf({ procsnap: 1 }), lineOf({ bytes: 2 ** 50 })),
		/{"refused":"\d+ bytes, and there is no room for them on the receiver's disk, which has \d+"}\n$/
	);
	await nothingUnderWay(each);
	t.deepEqual(keptIn(each.out), []);
});

const PATHS = [
	'../../../../tmp/x', '/etc/passwd', 'a/b', '..', '%2e%2e%2f', '0'.repeat(31) + '/', 'A'.repeat(32), '0'.repeat(33),
];
const BYTES = [-1, 0, 1.5, 2 ** 53, 1e300, '9', null, [], {}, true];

/** One of many ways to be wrong. All of it goes at once, and then the peer may or may not close. */
function malformed(random: Random, seal: Seal): Array<string | Uint8Array> {
	const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
	const noise = (length: number) => Uint8Array.from({ length }, () => random() * 256);
	const hello = lineOf({ procsnap: 1 }), size = lineOf({ bytes: 4096 }), root = lineOf({ root: '0'.repeat(64) });
	return pick<() => Array<string | Uint8Array>>([
		() => [noise(1 + random() * 3000)],
		() => [new Uint8Array(10_000)],
		() => ['{"procsnap":1,"x":"', 'a'.repeat(5000), '"}\n'],
		() =>
			[
				pick([
					'\n', '[]\n', 'null\n', '1\n', '"x"\n', '{\n', '{}\n', '{"procsnap":2}\n', '{"procsnap":"1"}\n',
					'{"__proto__":{"procsnap":1}}\n', '\u0000\n', '{"bytes":5}\n',
				]),
			],
		() => [lineOf({ procsnap: 1, resume: pick([...PATHS, 5, null, {}, []]) })],
		() => [lineOf({ procsnap: 1, resume: '0123456789abcdef'.repeat(2) })],
		() => [hello, lineOf({ bytes: pick(BYTES) })],
		() => [hello, noise(200), '\n'],
		() =>
			[
				hello, size, noise(4096),
				pick(['{"root":"x"}\n', '{"root":5}\n', '{}\n', root, noise(100), 'x'.repeat(6000)]),
			],
		() => [hello, lineOf({ bytes: 5 << 20 }), noise(100)],
		() => [hello, size, noise(4096), noise(5000)],
		() =>
			[
				hello, size, noise(4096), root,
				lineOf({
					seal: pick<unknown>([
						null, 5, [], {}, { '../x': 3 }, { leaves: 2 ** 40 }, { leaves: -1, manifest: 1 },
						{ leaves: 32, manifest: 2 ** 40 },
					]),
				}),
			],
		() => [hello, size, noise(4096), root, sealText(seal), ...sealBytes(seal)],
	])();
}

linkTest('1,000 malformed streams: all refused, nothing kept, nothing left open, and it lives', async (t) => {
	const each = await setting(t);
	const { seal } = await recorded(t, each);
	const [kept, descriptors] = [keptIn(each.out), () => readdirSync('/proc/self/fd').length];
	await nothingUnderWay(each);
	const before = descriptors();
	const random = createRandom(1);
	let refused = 0;
	for (let i = 0; i < 1000; i += 20) {
		await Promise.all(Array.from({ length: 20 }, async () => {
			const socket = await tls(each.receiver.port, each.ours);
			const said = answered(socket);
			for (const text of malformed(random, seal)) socket.write(text);
			// Half of them wait for an answer, the others hang up.
			if (random() < 0.5) socket.end();
			else setTimeout(() => socket.destroy(), 500);
			const text = await said;
			t.notRegex(text, /"(?:kept|verified)"/);
			if (text.includes('"refused"')) refused += 1;
		}));
	}
	t.true(refused > 500, `${refused} were told why`);
	t.deepEqual(keptIn(each.out), kept);
	// Who went when all bytes were there, and before a root was, may come back.
	const waiting = () => each.events.flatMap((event) => ('waiting' in event ? [event.waiting] : []));
	const lost = () => underWayIn(each.out).filter((name) => !waiting().includes(name.replace(/\.json$/, '')));
	await eventually(() => (lost().length === 0 ? true : undefined), 'nothing is under way but what is said to wait');
	t.true(waiting().length < 200);
	await eventually(
		() => (descriptors() <= before ? true : undefined), `as many descriptors are open as before (${before})`
	);
	await lives(t, each);
});

linkTest('peers that take their time: they are let go, and nobody waits for them', async (t) => {
	const each = await setting(t, { patience: { helloMs: 4000, idleMs: 4000, leastBytesPerSecond: 1 << 20 } });
	const slow: Socket[] = [];
	const drip = (socket: Socket, bytes: string) => {
		slow.push(socket.on('error', () => {}));
		let at = 0;
		const timer = setInterval(() => socket.write(bytes[at++ % bytes.length] ?? ''), 50);
		socket.once('close', () => clearInterval(timer));
		t.teardown(() => socket.destroy());
	};
	// Without TLS, without a word, with half a word, and in the middle of a core: as many as a peer may have, and more.
	for (let i = 0; i < 10; i++) {
		drip(connectTcp(each.receiver.port, HOST), '\u0016');
		drip(await tls(each.receiver.port, each.authority.credentials('other')), ' ');
		const begun = await tls(each.receiver.port, each.authority.credentials('other'));
		begun.write(`${lineOf({ procsnap: 1 })}${lineOf({ bytes: 1 << 20 })}`);
		drip(begun, 'x');
	}
	await lives(t, each);
	for (const socket of slow) await eventually(() => (socket.destroyed ? true : undefined), 'a slow peer is let go');
	// Their ends are closed before the receiver has closed its files.
	await eventually(() => (underWayIn(each.out).length === 0 ? true : undefined), 'nothing of them is left');
	await lives(t, each);
});

test('what the receiver cannot do is said before it listens', async (t) => {
	const none = { ca: Buffer.alloc(0), cert: Buffer.alloc(0), key: Buffer.alloc(0), crl: [], crlPaths: [] };
	const file = join(temporaryFolder(t), 'file');
	writeFileSync(file, '');
	await t.throwsAsync(
		receive({
			host: HOST, port: 0, out: join(file, 'x'), credentials: none, key: aKey(), mostBytes: 1, said: () => {},
		}),
		{ message: /^evidence cannot be kept in .*ENOTDIR/ }
	);
});
