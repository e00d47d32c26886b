/** Whoever has shown nothing yet takes nothing from those who have: places, time, or the receiver's patience. */
import test, { type ExecutionContext } from 'ava';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { networksOf, Places } from '../../../acquire/transfer/places.ts';
import { eventually } from '../../processes.ts';
import { HOST, linkTest } from './help.ts';
import { lives, setting, tls } from './peers.ts';

/** Connected, and silent. */
async function silent(t: ExecutionContext, port: number, localAddress: string): Promise<Socket> {
	const socket = connectTcp({ port, host: HOST, localAddress }).on('error', () => {});
	t.teardown(() => socket.destroy());
	await once(socket, 'connect');
	return socket.resume();
}

const open = (sockets: readonly Socket[]): number => sockets.filter((socket) => !socket.closed).length;

linkTest('300 silent connections, of an address, a network and many: who has a certificate gets in', async (t) => {
	const each = await setting(t, { patience: { helloMs: 600_000 } });
	const other = await silent(t, each.receiver.port, '127.0.0.99');
	const ofOne: Socket[] = [];
	for (let i = 0; i < 300; i++) ofOne.push(await silent(t, each.receiver.port, HOST));
	await eventually(() => (open(ofOne) <= 16 ? true : undefined), 'one address has no more than its share');
	await lives(t, each);
	t.false(other.closed, 'a stranger at another address was not in their way');
	const ofNetwork: Socket[] = [];
	for (let i = 0; i < 300; i++) ofNetwork.push(await silent(t, each.receiver.port, `127.0.1.${1 + i % 250}`));
	await eventually(() => (open(ofNetwork) <= 32 ? true : undefined), 'one network has no more than its share');
	t.is(open(ofNetwork.slice(-30)), 30, 'who came last is there');
	t.is(open(ofOne), 15, 'of others none went for it, but one before, for who has a certificate');
	await lives(t, each);
	const ofMany: Socket[] = [];
	for (let i = 0; i < 300; i++) ofMany.push(await silent(t, each.receiver.port, `127.1.${i % 250}.1`));
	const all = [...ofOne, ...ofNetwork, ...ofMany, other];
	await eventually(() => (open(all) <= 64 ? true : undefined), 'there are no more than 64');
	t.is(open(ofMany.slice(-30)), 30, 'who came last is there');
	await lives(t, each);
});

linkTest('a known peer with 100 silent connections: others get in', async (t) => {
	const each = await setting(t, { patience: { helloMs: 600_000 } });
	const theirs: Socket[] = [];
	for (let i = 0; i < 100; i++) {
		const socket = await tls(each.receiver.port, each.authority.credentials('other'));
		t.teardown(() => socket.destroy());
		theirs.push(socket.resume());
	}
	await eventually(() => (open(theirs) <= 32 ? true : undefined), 'it has no more than its share', 20_000);
	await lives(t, each);
});

/** What a TLS client says first. */
async function clientHello(t: ExecutionContext): Promise<Buffer> {
	const server = createServer().listen(0, HOST);
	await once(server, 'listening');
	t.teardown(() => { server.close(); });
	const client = connectTls({ host: HOST, port: (server.address() as AddressInfo).port }).on('error', () => {});
	const [socket] = await once(server, 'connection') as [Socket];
	const [bytes] = await once(socket, 'data') as [Buffer];
	client.destroy();
	socket.destroy();
	return bytes;
}

linkTest('a handshake that comes byte by byte, or not to its end, is not waited for longer than any', async (t) => {
	const helloMs = 3000;
	const each = await setting(t, { patience: { helloMs } });
	const hello = await clientHello(t);
	t.true(hello.length > 200);
	const begun = performance.now();
	const half = await silent(t, each.receiver.port, HOST);
	half.write(hello);
	const dripping = await silent(t, each.receiver.port, HOST);
	let at = 0;
	const timer = setInterval(() => dripping.write(hello.subarray(at, ++at)), 200);
	t.teardown(() => clearInterval(timer));
	await eventually(() => (open([half, dripping]) === 0 ? true : undefined), 'both are let go', 10 * helloMs);
	t.true(at < hello.length, `${at} of ${hello.length} bytes were waited for`);
	t.true(performance.now() - begun > helloMs / 2);
	await lives(t, each);
});

test('places: the newest gets one, and the oldest of whoever has the most goes', (t) => {
	const places = new Places({ most: 4, mostOf: [3] });
	const ended: string[] = [];
	const enter = (who: string, name: string) => places.enter([who], () => ended.push(name));
	enter('a', 'a1');
	const leave = enter('a', 'a2');
	enter('a', 'a3');
	enter('a', 'a4');
	t.deepEqual(ended, ['a1'], 'more than one may have');
	enter('b', 'b1');
	enter('c', 'c1');
	t.deepEqual(ended, ['a1', 'a2'], 'more than there are: of a, which has most');
	leave();
	t.is(places.taken, 4, 'what has gone is given back once');
});

test('places: of a network that has too many the oldest of its busiest part goes, and of no other', (t) => {
	const places = new Places({ most: 6, mostOf: [2, 3] });
	const ended: string[] = [];
	const enter = (part: string, name: string) => places.enter([part, part.slice(0, 1)], () => ended.push(name));
	for (const [part, name] of [['x-x', 'x1'], ['n-a', 'n1'], ['n-b', 'n2'], ['n-b', 'n3']] as const)
		enter(part, name);
	enter('n-c', 'n4');
	t.deepEqual(ended, ['n2'], 'the oldest of b, which has two');
	for (let i = 0; i < 20; i++) enter(`n-${i}`, `m${i}`);
	t.false(ended.includes('x1'));
	t.is(places.taken, 4);
	enter('y-1', 'y1');
	enter('z-1', 'z1');
	enter('z-2', 'z2');
	t.is(places.taken, 6);
	t.regex(ended.at(-1) ?? '', /^m/, 'where all are taken the network with most loses one');
});

test('an address is its own and its /24\'s, and of IPv6 its /64\'s and its /48\'s', (t) => {
	for (const [address, narrow, wide] of [
		['10.0.0.1', '10.0.0.1', '10.0.0'], ['::ffff:10.0.0.1', '10.0.0.1', '10.0.0'],
		['2001:db8:1:2:3:4:5:6', '2001:db8:1:2', '2001:db8:1'], ['2001:db8:1:2::9', '2001:db8:1:2', '2001:db8:1'],
		['2001:db8::9', '2001:db8:0:0', '2001:db8:0'], ['::1', '0:0:0:0', '0:0:0'],
		['fe80::1%eth0', 'fe80:0:0:0', 'fe80:0:0'], ['', '', ''],
	] as const) t.deepEqual(networksOf(address), [narrow, wide], address);
});
