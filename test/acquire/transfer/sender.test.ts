/** A sender and receivers that are not as they should be: it ends in time, with what is wrong, or goes on. */
import test from 'ava';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
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
	t.is(await new Wire(Readable.from(broken(), { objectMode: false })).fill(room), 5);
	t.is(room.toString('latin1', 0, 5), 'abcde');
});

test('lines and bytes come as they were sent, in whatever pieces, and no more is taken than is wanted', async (t) => {
	const text = Buffer.from(`first\n${'x'.repeat(1000)}second\nthird`);
	for (const piece of [1, 3, 7, 999, 5000]) {
		const stream = new PassThrough({ highWaterMark: 16 }), wire = new Wire(stream);
		const written = (async () => {
			for (let at = 0; at < text.length; at += piece)
				if (!stream.write(text.subarray(at, at + piece))) await once(stream, 'drain');
			stream.end();
		})();
		t.is(await wire.line(), 'first');
		t.true(stream.isPaused());
		const room = Buffer.alloc(1000);
		t.is(await wire.fill(room), 1000);
		t.is(room.toString(), 'x'.repeat(1000));
		t.true(stream.isPaused());
		t.is(await wire.line(), 'second');
		await t.throwsAsync(wire.line(), { message: /closed in the middle of a line/ });
		await written;
		t.is(await wire.line(), null);
	}
	const gone = new PassThrough(), wire = new Wire(gone), asked = wire.line();
	gone.destroy(new Error('too slow'));
	await t.throwsAsync(asked, { message: 'too slow' });
	await t.throwsAsync(wire.line(), { message: 'too slow' }, 'and whoever asks later');
	t.is(await new Wire(gone).fill(Buffer.alloc(3)), 0, 'it was gone before');
});
