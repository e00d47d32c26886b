/** Receivers that answer, and keep nothing more: the duplicate is not held for them for longer than --patience. */
import test from 'ava';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { line, parseSize, type Answer, type Wire } from '../../../acquire/transfer/protocol.ts';
import { caughtUp, diskMs } from '../../../acquire/transfer/progress.ts';
import { falseReceiver, ID, takesAll, type Act } from './false-receiver.ts';
import { Authority, keptIn, linkTest, sendSmall } from './help.ts';
import { setting } from './peers.ts';

/** Says it again and again, until the sender has gone. */
async function repeats(socket: TLSSocket, next: () => Answer): Promise<void> {
	const timer = setInterval(() => socket.write(line(next())), 50);
	await once(socket.resume(), 'close').catch(() => {});
	clearInterval(timer);
}

const begins = async (socket: TLSSocket, wire: Wire): Promise<number> => {
	socket.write(line({ id: ID, have: 0 }));
	return parseSize(await wire.line() ?? '', Infinity);
};

/** Takes all, and the root. */
const all: Act = async (socket, wire) => {
	await takesAll(socket, wire);
	socket.write(line({ verified: true }));
	await wire.line();
};

const busy = (why: string): Act => (socket) => {
	socket.write(line({ busy: why }));
	return Promise.resolve();
};

let kept = 0;
const RECEIVERS: Record<string, Act> = {
	'reads all, and always has nothing': async (socket, wire) => {
		await begins(socket, wire);
		await repeats(socket, () => ({ have: 0 }));
	},
	'reads nothing, and always has nothing': async (socket, wire) => {
		await begins(socket, wire);
		const timer = setInterval(() => socket.write(line({ have: 0 })), 50);
		await sleep(60_000, undefined, { ref: false }).catch(() => {});
		clearInterval(timer);
	},
	'has a byte more each time': async (socket, wire) => {
		await begins(socket, wire);
		kept = 0;
		await repeats(socket, () => ({ have: kept += 1 }));
	},
	'has all, and never says that it verified it': async (socket, wire) => {
		const bytes = await begins(socket, wire);
		await wire.fill(Buffer.alloc(bytes));
		await repeats(socket, () => ({ have: bytes }));
	},
	'verifies all, and never keeps it': async (socket, wire) => {
		await all(socket, wire);
		await repeats(socket, () => ({ have: 5 }));
	},
};

for (const [what, act] of Object.entries(RECEIVERS)) {
	linkTest(`a receiver that ${what}`, async (t) => {
		const authority = new Authority(t, '127.0.0.1', 'collector');
		const port = await falseReceiver(t, authority, act);
		const begun = performance.now();
		await t.throwsAsync(
			sendSmall(t, port, authority.credentials('collector'), { patienceMs: 1000 }),
			{ message: /was lost for 1 s \(nothing more of the evidence was kept there\): see to the receiver/ }
		);
		t.true(performance.now() - begun < 40_000);
	});
}

linkTest('a receiver that is honestly busy with its disk, or busy with others, is waited for', async (t) => {
	const authority = new Authority(t, '127.0.0.1', 'collector');
	const said: string[] = [];
	const port = await falseReceiver(
		t, authority, busy('as it is'),
		async (socket, wire) => {
			const bytes = await begins(socket, wire);
			await wire.fill(Buffer.alloc(bytes));
			socket.end();	// a lost link, when all was sent
		},
		busy('no memory'),
		async (socket, wire) => {
			const bytes = await begins(socket, wire);
			await wire.fill(Buffer.alloc(bytes));
			for (let i = 0; i < 20; i++) {
				socket.write(line({ have: bytes }));
				await sleep(100);
			}
			await wire.line();
			socket.write(line({ verified: true }));
			await wire.line();
			socket.write(line({ kept: 'evidence' }));
		}
	);
	const name = await sendSmall(
		t, port, authority.credentials('collector'), { patienceMs: 15_000, say: (text) => said.push(text) }
	);
	t.is(name, 'evidence');
	t.deepEqual(said.map((text) => text.replace(/^(.* )?127\.0\.0\.1:\d+/, '')), [
		': the receiver is busy: as it is: trying again', ' was lost (the receiver closed it): trying again',
		': the receiver is busy: no memory: trying again', 'the link is back: going on from 0 bytes',
	]);
});

linkTest('a collector that takes its time: --patience does not count that', async (t) => {
	const each = await setting(t);
	const late = async <T>(then: () => Promise<T>): Promise<T> => {
		await sleep(5000);
		return then();
	};
	const name = await sendSmall(t, each.receiver.port, each.ours, {
		patienceMs: 2500,
		wrap: (destination) => ({
			transfer: destination.transfer, room: {}, begin: (bytes) => destination.begin(bytes, 0),
			write: (bytes, offset) => destination.write(bytes, offset),
			verified: (root) => late(() => destination.verified(root)), discard: () => destination.discard(false),
			seal: (seal) => late(() => destination.seal(seal)),
		}),
	});
	t.deepEqual(keptIn(each.out), [name]);
});

linkTest('a receiver that is busy for longer than --patience: nothing was taken', async (t) => {
	const authority = new Authority(t, '127.0.0.1', 'collector');
	const port = await falseReceiver(t, authority, busy('no memory'));
	await t.throwsAsync(sendSmall(t, port, authority.credentials('collector'), { patienceMs: 1000 }), {
		message: /the receiver is busy: no memory; nothing was taken, and it was waited for 1 s \(--patience\)$/,
	});
});

test('what is sent or kept makes up for what it takes at 4 KiB a second, and no more than has passed', (t) => {
	t.is(caughtUp(0, 4 << 10, 60_000), 1000);
	t.is(caughtUp(0, 1 << 20, 60_000), 60_000);
	t.is(caughtUp(5000, 0, 60_000), 5000);
	t.is(diskMs(4 << 20), 1000);
});
