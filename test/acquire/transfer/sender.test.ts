/** A sender and receivers that are not as they should be: it ends in time, with what is wrong, or goes on. */
import test, { type ExecutionContext } from 'ava';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { line, parseSize, Wire } from '../../../acquire/transfer/protocol.ts';
import { Sender } from '../../../acquire/transfer/sender.ts';
import { Authority, HOST, linkTest, sendSmall } from './help.ts';

const ID = '0123456789abcdef'.repeat(2);

/** What is done with each connection after its first line, in turn; it is closed then. */
type Act = (socket: TLSSocket, wire: Wire) => Promise<void>;

async function falseReceiver(t: ExecutionContext, authority: Authority, ...acts: Act[]): Promise<number> {
	const sockets: TLSSocket[] = [];
	const server = createServer({ ...authority.credentials(HOST), requestCert: true }, (socket) => {
		sockets.push(socket.on('error', () => {}));
		const wire = new Wire(socket);
		const act = acts.length > 1 ? acts.shift() : acts[0];
		void wire.line().then(async () => act?.(socket, wire)).catch(() => {}).finally(() => socket.end());
	});
	server.listen(0, HOST);
	await once(server, 'listening');
	t.teardown(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	return (server.address() as AddressInfo).port;
}

/** Takes all bytes, says so, and waits for the root. */
const takesAll: Act = async (socket, wire) => {
	socket.write(line({ id: ID, have: 0 }));
	const bytes = parseSize(await wire.line() ?? '', Infinity);
	await wire.fill(Buffer.alloc(bytes));
	socket.write(line({ have: bytes }));
	await wire.line();
};

linkTest('a receiver that loses what it said it had: the sender, which has let it go, does not wait for it',
	async (t) => {
	const authority = new Authority(t, HOST, 'collector');
	const port = await falseReceiver(t, authority, takesAll, async (socket, wire) => {
		socket.write(line({ id: ID, have: 0 }));
		await wire.line();
		await wire.fill(Buffer.alloc(1));	// until the sender gives up, or the test ends
	});
	await t.throwsAsync(
		sendSmall(t, port, authority.credentials('collector')),
		{ message: /the receiver has lost what it had of the evidence: 0 bytes are left/ }
	);
});

linkTest('a receiver that says it has evidence before that is sealed is not believed', async (t) => {
	const authority = new Authority(t, HOST, 'collector');
	const port = await falseReceiver(t, authority, takesAll, async (socket) => {
		socket.write(line({ id: ID, kept: 'x' }));
		await once(socket, 'close');
	});
	await t.throwsAsync(
		sendSmall(t, port, authority.credentials('collector')),
		{ message: /a receiver that says it has evidence that was not sealed yet/ }
	);
});

linkTest('^C while a receiver says nothing', async (t) => {
	const authority = new Authority(t, HOST, 'collector');
	const controller = new AbortController();
	const port = await falseReceiver(t, authority, async (socket) => {
		controller.abort();
		await once(socket, 'close');
	});
	const opened = Sender.open({
		host: HOST, port, credentials: authority.credentials('collector'), bytesPerSecond: Infinity, patienceMs: 5000,
		say: () => {}, signal: controller.signal,
	});
	await t.throwsAsync(opened, { message: /no evidence can be sent to .*: interrupted; nothing was taken/ });
});

test('what came before a link broke is counted, however it broke', async (t) => {
	const broken = async function* () {
		await Promise.resolve();
		yield Buffer.from('abcde');
		throw new Error('ECONNRESET');
	};
	const room = Buffer.alloc(8);
	t.is(await new Wire(broken()).fill(room), 5);
	t.is(room.toString('latin1', 0, 5), 'abcde');
});
