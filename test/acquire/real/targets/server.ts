/**
 * An HTTP server: a POST is answered with the SHA-256 of its body, which a worker thread makes. Its port is its first
 * line of output.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

interface Job { id: number; body: Uint8Array }
interface Result { id: number; digest: string }

function work(): void {
	parentPort?.on(
		'message',
		({ id, body }: Job) => parentPort?.postMessage({ id, digest: createHash('sha256').update(body).digest('hex') })
	);
}

function serve(): void {
	const waiting = new Map<number, (digest: string) => void>();
	const worker = new Worker(fileURLToPath(import.meta.url));
	worker.on('message', ({ id, digest }: Result) => {
		waiting.get(id)?.(digest);
		waiting.delete(id);
	});
	let jobs = 0;
	let connections = 0;
	const digestOf = (body: Uint8Array): Promise<string> => new Promise((resolve) => {
		waiting.set(jobs, resolve);
		worker.postMessage({ id: jobs++, body } satisfies Job);
	});
	const server = createServer((request, response) => {
		const parts: Buffer[] = [];
		request.on('data', (part: Buffer) => parts.push(part));
		request.on('end', () => {
			// By way of the pool of threads that reads files, too.
			void Promise.all([digestOf(Buffer.concat(parts)), readFile('/proc/self/comm')]).then(([digest]) => {
				response.setHeader('x-connections', connections);
				response.end(digest);
			});
		});
	});
	server.on('connection', () => { connections += 1; });
	server.keepAliveTimeout = 0;
	server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
	process.stdin.on('end', () => {
		server.close(() => void worker.terminate());
		server.closeIdleConnections();
	}).resume();
}

if (isMainThread) serve();
else work();
