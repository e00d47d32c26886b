/**
 * Node serves HTTP, with a worker thread: every answer is 200 and right, over the connections that were there at
 * first.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eventually, NODE } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { hasProgram, leftAlone, takeRepeatedly } from './taking.ts';

const CLIENTS = 4;

interface Answer { status: number | undefined; body: string; connections: number }

/** Throws when the connection is lost: an agent of one socket opens no other one unseen, as the server counts them. */
function post(port: number, agent: Agent, body: Buffer): Promise<Answer> {
	return new Promise((resolve, reject) => {
		request({ port, host: '127.0.0.1', method: 'POST', agent }, (response) => {
			text(response).then(
				(got) =>
					resolve({
						status: response.statusCode, body: got, connections: Number(response.headers['x-connections']),
					}),
				reject
			);
		}).on('error', reject).end(body);
	});
}

testUnless(hasProgram('gdb') ? null : 'there is no gdb')('Node goes on serving', async (t) => {
	const server = spawn(
		NODE[0],
		[...NODE.slice(1), '--max-semi-space-size=1', fileURLToPath(new URL('targets/server.ts', import.meta.url))],
		{ stdio: ['pipe', 'pipe', 'pipe'] }
	);
	t.teardown(() => server.kill('SIGKILL'));
	const said: string[] = [];
	server.stderr.setEncoding('utf8').on('data', (line: string) => said.push(line));
	const ended = once(server, 'exit');
	const [line] = await once(server.stdout, 'data') as [Buffer];
	const port = Number(line);
	const failures: string[] = [];
	const answers = Array.from({ length: CLIENTS }, () => 0);
	let connections = 0;
	let stopping = false;
	const client = async (index: number): Promise<void> => {
		const agent = new Agent({ keepAlive: true, maxSockets: 1 });
		while (!stopping) {
			const body = randomBytes(4 << 10);
			const answer = await post(port, agent, body);
			connections = answer.connections;
			if (answer.status !== 200 || answer.body !== createHash('sha256').update(body).digest('hex'))
				failures.push(JSON.stringify(answer));
			answers[index] = (answers[index] as number) + 1;
			await sleep(5);
		}
		agent.destroy();
	};
	const clients =
		answers.map((_, index) => client(index).catch((error: unknown) => { failures.push(String(error)); }));
	await eventually(() => (answers.every((count) => count > 20) ? true : undefined), 'the clients are served');
	// Its event loop is given one by libuv, for epoll_ctl(2).
	await takeRepeatedly(t, 5, {
		processes: { node: server.pid as number }, served: () => [...answers], refusedFor: 'ioUring',
		check: () => t.deepEqual([failures.slice(0, 3), said, server.exitCode], [[], [], null]),
	});
	await leftAlone(t, server.pid as number);
	stopping = true;
	await Promise.all(clients);
	t.is(connections, CLIENTS, 'connections over all the time');
	server.stdin.end();
	t.deepEqual(await ended, [0, null]);
	t.deepEqual([failures, said], [[], []]);
});
