/**
 * The fastest that a transfer over TLS 1.3 between two Node processes of this machine can be: one writes from memory,
 * the other throws away what it reads. Run as a program: `tls-link.ts DIR BYTES` prints nanoseconds; DIR has what
 * scripts/certificates made for 127.0.0.1.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';

const HOST = '127.0.0.1';
/** As much as the collector writes at once. */
const PIECE_BYTES = 256 << 10;

const credentials = (dir: string) =>
	({
		ca: readFileSync(join(dir, 'ca.crt')), cert: readFileSync(join(dir, 'link.crt')),
		key: readFileSync(join(dir, 'link.key')),
	});

function serve(dir: string, bytes: number): void {
	const server = createServer({ ...credentials(dir), requestCert: true, minVersion: 'TLSv1.3' }, (socket) => {
		let left = bytes;
		socket.on('data', (data: Buffer) => {
			left -= data.length;
			if (left <= 0) socket.end('.');
		});
		socket.on('close', () => server.close());
	});
	server.listen(0, HOST, () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
}

async function send(dir: string, bytes: number): Promise<number> {
	const server = spawn(
		process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), dir, String(bytes), 'serve'],
		{ stdio: ['ignore', 'pipe', 'inherit'] }
	);
	const [port] = await once(server.stdout, 'data') as [Buffer];
	const socket = connect({ host: HOST, port: Number(port), ...credentials(dir) });
	await once(socket, 'secureConnect');
	const piece = Buffer.alloc(PIECE_BYTES, 1);
	const answered = once(socket, 'data');
	const begun = process.hrtime.bigint();
	for (let left = bytes; left > 0; left -= piece.length) {
		if (!socket.write(left < piece.length ? piece.subarray(0, left) : piece)) await once(socket, 'drain');
	}
	await answered;
	const ns = Number(process.hrtime.bigint() - begun);
	socket.destroy();
	return ns;
}

const [dir = '', bytes = '', role] = process.argv.slice(2);
if (role === 'serve') serve(dir, Number(bytes));
else process.stdout.write(`${await send(dir, Number(bytes))}\n`);
