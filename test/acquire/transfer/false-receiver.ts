/** A receiver that does as a test likes. */
import type { ExecutionContext } from 'ava';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { line, parseSize, Wire } from '../../../acquire/transfer/protocol.ts';
import { HOST, type Authority } from './help.ts';

export const ID = '0123456789abcdef'.repeat(2);

/** What is done with each connection after its first line, in turn; it is closed then. */
export type Act = (socket: TLSSocket, wire: Wire) => Promise<void>;

export async function falseReceiver(t: ExecutionContext, authority: Authority, ...acts: Act[]): Promise<number> {
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
export const takesAll: Act = async (socket, wire) => {
	socket.write(line({ id: ID, have: 0 }));
	const bytes = parseSize(await wire.line() ?? '', Infinity);
	await wire.fill(Buffer.alloc(bytes));
	socket.write(line({ have: bytes }));
	await wire.line();
};
