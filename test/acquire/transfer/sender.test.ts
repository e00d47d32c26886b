/** A sender and receivers that are not as they should be: it ends in time, with what is wrong, or goes on. */
import test from 'ava';
import { once } from 'node:events';
import { line, Wire } from '../../../acquire/transfer/protocol.ts';
import { Sender } from '../../../acquire/transfer/sender.ts';
import { falseReceiver, ID, takesAll } from './false-receiver.ts';
import { Authority, HOST, linkTest, sendSmall } from './help.ts';

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
