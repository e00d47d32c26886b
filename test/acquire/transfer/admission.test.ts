/** Transfers are admitted while there is memory for them; the others come back. */
import test, { type ExecutionContext } from 'ava';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type { Credentials } from '../../../acquire/transfer/credentials.ts';
import { groupLimit, roomForTransfers, Room } from '../../../acquire/transfer/memory.ts';
import { TRANSFER_BYTES } from '../../../acquire/transfer/serve.ts';
import { eventually } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { noTools, temporaryFolder } from '../help.ts';
import { Authority, HOST, keptIn, linkTest, ReceiverProcess, sendSmall, underWayIn } from './help.ts';
import { answered, lineOf, lives, setting, tls, type Setting } from './peers.ts';

const MIB = 1 << 20;

linkTest('no memory for one more: the sender waits, an older one is let go, and both come back', async (t) => {
	const each = await setting(t, { roomBytes: TRANSFER_BYTES * 1.5 });
	const holder = await tls(each.receiver.port, each.authority.credentials('other'));
	holder.write(lineOf({ procsnap: 1 }));
	await once(holder, 'data');
	const why = 'the receiver has no memory left for one more transfer';
	const knowing = await tls(each.receiver.port, each.ours), older = await tls(each.receiver.port, each.ours);
	knowing.write(lineOf({ procsnap: 1, waits: true }));
	older.write(lineOf({ procsnap: 1 }));
	t.deepEqual([await answered(knowing), await answered(older)], [lineOf({ busy: why }), '']);
	const said: string[] = [];
	const sent = sendSmall(t, each.receiver.port, each.ours, { say: (text) => said.push(text) });
	await eventually(() => (said.length > 1 ? true : undefined), 'it is told to wait');
	t.deepEqual(keptIn(each.out), []);
	t.regex(said[0] ?? '', /the receiver is busy: the receiver has no memory left for one more transfer: trying again/);
	holder.destroy();
	const name = await sent;
	t.deepEqual(keptIn(each.out), [name]);
	t.true(each.events.some((event) => 'busy' in event && event.busy === why));
});

/** A transfer of zeros, up to its seal with a manifest of so many bytes. */
async function zeros(each: Setting, credentials: Credentials, bytes: number, manifest: number): Promise<TLSSocket> {
	const socket = await tls(each.receiver.port, credentials);
	socket.write(`${lineOf({ procsnap: 1, waits: true })}${lineOf({ bytes })}`);
	socket.write(Buffer.alloc(bytes));
	// The root of one chunk of zeros is its leaf.
	const { leafHash } = await import('../../../acquire/evidence/merkle.ts');
	socket.write(lineOf({ root: leafHash(Buffer.alloc(bytes)).toString('hex') }));
	let said = '';
	socket.on('data', (data: Buffer) => { said += data.toString(); });
	await eventually(() => (said.includes('verified') ? true : undefined), 'it has come');
	socket.write(lineOf({ seal: { leaves: 32, manifest, publicKey: 10, signature: 64 } }));
	return socket;
}

linkTest('no memory left for the leaves, or the seal: the peer is to try again, and nothing is lost', async (t) => {
	// One peer may have half: a transfer and 2 MiB, or a seal that takes 36.
	const each = await setting(t, { roomBytes: 100 * MIB, mostBytes: 2 ** 50 });
	const others = each.authority.credentials('other');
	const holder = await zeros(each, others, MIB, 3 * MIB), last = await tls(each.receiver.port, others);
	t.teardown(() => holder.destroy());
	await eventually(() => (underWayIn(each.out).length > 0 ? true : undefined), 'it has begun');
	last.write(lineOf({ procsnap: 1, waits: true }));
	t.regex(await answered(last), /^{"busy":"the receiver has no memory left/, 'it has its share');
	const begun = await zeros(each, each.ours, MIB, 3 * MIB);
	await eventually(() => (underWayIn(each.out).length > 2 ? true : undefined), 'and another one has its own');
	const more = await tls(each.receiver.port, each.ours);
	more.write(lineOf({ procsnap: 1, waits: true }));
	t.regex(await answered(more), /^{"busy":"the receiver has no memory left/);
	begun.destroy();
	await eventually(() => each.events.find((event) => 'waiting' in event), 'it is known to wait');
	t.like(each.events.find((event) => 'waiting' in event), { bytes: MIB });
	await lives(t, each);
});

linkTest('what can never fit in is refused with the figures, and what has come of it stays', async (t) => {
	const each = await setting(t, { roomBytes: 2 * TRANSFER_BYTES, mostBytes: 2 ** 50 });
	const large = await tls(each.receiver.port, each.ours);
	large.write(`${lineOf({ procsnap: 1, waits: true })}${lineOf({ bytes: 2 ** 40 })}`);
	t.regex(
		await answered(large),
		/{"refused":"a core of \d+ bytes, which takes 75497472 bytes of the receiver's memory, and 10485760 are what one/
	);
	const roomy = await setting(t, { roomBytes: 4 * TRANSFER_BYTES });
	const seal = await zeros(roomy, roomy.ours, MIB, 60 * MIB);
	t.regex(
		await answered(seal),
		/{"refused":"a seal with a manifest of 62914560 bytes, which takes \d+ bytes .* and 16777216 are/
	);
	t.is(underWayIn(roomy.out).length, 2, 'its core is there, and whose it is');
	await lives(t, roomy);
});

test('a receiver without memory for one transfer says so before it listens', async (t) => {
	const { receive } = await import('../../../acquire/transfer/receiver.ts');
	const none = { ca: Buffer.alloc(0), cert: Buffer.alloc(0), key: Buffer.alloc(0), crl: [], crlPaths: [] };
	const { aKey } = await import('./help.ts');
	await t.throwsAsync(
		receive({
			host: HOST, port: 0, out: temporaryFolder(t), credentials: none, key: aKey(), mostBytes: 1, said: () => {},
			roomBytes: MIB,
		}),
		{ message: /no memory for a single transfer: 1048576 bytes are left, and one takes \d+; see memory\.max/ }
	);
});

test('the limit of this process: its group\'s, of either version, or one above; what cannot be read is none', (t) => {
	const machine = (files: Record<string, string>): number => {
		const root = temporaryFolder(t);
		for (const [path, text] of Object.entries(files)) {
			mkdirSync(dirname(join(root, path)), { recursive: true });
			writeFileSync(join(root, path), text);
		}
		return groupLimit(root);
	};
	const v2 = {
		'proc/self/mounts': 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n', 'proc/self/cgroup': '0::/a.slice/b.service\n',
	};
	const v1 = {
		'proc/self/mounts': 'cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ntmpfs /tmp tmpfs rw 0 0\n',
		'proc/self/cgroup': '3:cpu,cpuacct:/x\n2:memory:/docker/abc\n',
	};
	const at = '/sys/fs/cgroup';
	t.is(machine({ ...v2, [`${at}/a.slice/b.service/memory.max`]: '268435456\n' }), 256 * MIB);
	const above = { [`${at}/a.slice/memory.max`]: '1048576\n', [`${at}/a.slice/b.service/memory.max`]: 'max\n' };
	t.is(machine({ ...v2, ...above }), MIB);
	t.is(machine({ ...v2, [`${at}/a.slice/b.service/memory.high`]: '5\n' }), 5);
	t.is(machine({ ...v2, [`${at}/a.slice/b.service/memory.max`]: 'max\n' }), Infinity);
	t.is(machine({ ...v1, [`${at}/memory/docker/abc/memory.limit_in_bytes`]: '268435456\n' }), 256 * MIB);
	// Within a container its own group is the root of what it sees.
	t.is(machine({ ...v1, [`${at}/memory/memory.limit_in_bytes`]: '1048576\n' }), MIB);
	t.is(machine({}), Infinity);
	t.true(roomForTransfers(256 * MIB, 8192 * MIB, 97 * MIB) < 100 * MIB);
	t.true(roomForTransfers(Infinity, 8192 * MIB, 97 * MIB) < 4096 * MIB);
	t.is(roomForTransfers(64 * MIB, 8192 * MIB, 97 * MIB), 0);
});

test('room is given back once, and one has no more than half of it', (t) => {
	const room = new Room(20, 1);
	const back = room.take(6, 'a');
	t.is(room.take(5, 'a'), undefined);
	t.truthy(room.take(10, 'b'));
	t.is(room.take(5, 'c'), undefined);
	back?.();
	back?.();
	t.is(room.take(11, 'c'), undefined);
	t.truthy(room.take(10, 'a'));
	t.is(room.take(1, 'c'), undefined);
});

/** The folder of a control group that limits memory, which ends with the test; null where none can be made. */
function memoryGroup(bytes: number): { path: string; end: () => void } | null {
	for (const [root, file] of [
		['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'], ['/sys/fs/cgroup', 'memory.max'],
	] as const) {
		const path = join(root, `procsnap-test-${process.pid}`);
		try {
			mkdirSync(path);
		} catch {
			continue;
		}
		if (existsSync(join(path, file))) {
			writeFileSync(join(path, file), String(bytes));
			return { path, end: () => rmdirSync(path) };
		}
		rmdirSync(path);
	}
	return null;
}

function noGroup(): string | null {
	const group = memoryGroup(64 * MIB);
	group?.end();
	return group === null ? 'no control group that limits memory can be made' : noTools('openssl');
}

/** Sends so many zeros, over as many links as it is told to; what it is told at last. */
async function persistent(
	t: ExecutionContext, port: number, connect: () => Promise<TLSSocket>, mib: number
): Promise<number> {
	for (let times = 0; ; times++) {
		const socket = await connect();
		t.teardown(() => socket.destroy());
		let said = '';
		socket.setEncoding('utf8').on('data', (text: string) => { said += text; });
		socket.write(`${lineOf({ procsnap: 1, waits: true })}${lineOf({ bytes: mib * MIB })}`);
		for (let i = 0; i < mib; i++) socket.write(Buffer.alloc(MIB));
		await eventually(
			() => (socket.closed || said.includes(`{"have":${mib * MIB}}`) ? true : undefined), `all is there at ${port}`
		);
		if (said.includes(`{"have":${mib * MIB}}`)) {
			socket.destroy();
			return times;
		}
		t.regex(said, /busy/, 'nothing else is a reason to come back');
		await new Promise((resolve) => setTimeout(resolve, 200));
	}
}

testUnless(noGroup())('of 16 transfers those that do not fit under a limit of memory wait, none is lost', async (t) => {
	const limit = 210 * MIB, group = memoryGroup(limit)!;
	const authority = new Authority(t, HOST, 'a', 'b', 'c', 'd');
	// The group is entered before the limit is looked at.
	const receiver = new ReceiverProcess(t, ['--out', join(temporaryFolder(t), 'out'), ...authority.options(HOST)]);
	receiver.within = join(group.path, 'cgroup.procs');
	await receiver.start();
	t.teardown(async () => {
		await receiver.kill();
		const within = () => readFileSync(join(group.path, 'cgroup.procs'), 'utf8');
		await eventually(() => (within() === '' ? true : undefined), 'its group is empty');
		group.end();
	});
	const times = await Promise.all(Array.from({ length: 16 }, (_, i) =>
		persistent(t, receiver.port, () => tls(receiver.port, authority.credentials('abcd'[i % 4] ?? '')), 24)));
	t.is(receiver.command?.process.exitCode, null);
	t.true(times.some((each) => each > 0), 'some were told to wait');
	t.true(receiver.events.some((event) => 'busy' in event));
	t.log(`told to try again: ${times.join(' ')} times`);
});
