/**
 * Redis under load, saving meanwhile: every reply is right, no connection is lost, its files and its own digest are
 * right.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { RedisClient } from './redis.ts';
import { hasProgram, leftAlone, run, takeRepeatedly, temporaryFolder } from './taking.ts';

const CLIENTS = 4;
/** The server's own program, by the name that Debian gives it where it has no service (scripts/install-test-tools). */
const SERVER = 'redis-check-rdb';
const missing = [SERVER, 'redis-check-aof', 'gdb'].find((program) => !hasProgram(program));

/** What Redis tells of itself, by name. */
async function info(client: RedisClient): Promise<Record<string, string>> {
	const text = await client.ask('INFO') as string;
	return Object.fromEntries(text.split('\r\n').filter((line) => /^\w+:/.test(line))
		.map((line) => line.split(':', 2) as [string, string]));
}

testUnless(missing === undefined ? null : `there is no ${missing}`)('Redis goes on serving', async (t) => {
	const folder = temporaryFolder(t);
	const socket = join(folder, 'socket');
	const server = spawn(
		SERVER,
		[
			'--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'yes',
			'--rdb-key-save-delay', '1000', '--enable-debug-command', 'local',
		],
		{ argv0: 'redis-server', stdio: ['ignore', 'pipe', 'pipe'] }
	);
	t.teardown(() => server.kill('SIGKILL'));
	const said: string[] = [];
	for (const stream of [server.stdout, server.stderr])
		stream.setEncoding('utf8').on('data', (text: string) => said.push(text));
	const ended = once(server, 'exit');
	await eventually(() => (existsSync(socket) ? true : undefined), 'Redis listens');

	const failures: string[] = [];
	const counts = Array.from({ length: CLIENTS }, () => 0);
	let stopping = false;
	const expect = (what: string, found: unknown, right: unknown): void => {
		if (found !== right) failures.push(`${what}: ${String(found)} instead of ${String(right)}`);
	};
	const client = async (number: number): Promise<void> => {
		const redis = await RedisClient.connect(socket);
		const id = await redis.ask('CLIENT', 'ID');
		for (let i = 1; !stopping; i++) {
			const value = `${number}:${i}:`.padEnd(i % 2000, 'x');
			const [mine, , got, length, first] = await Promise.all([
				redis.ask('INCR', `count-${number}`), redis.ask('SET', `key-${number}-${i % 100}`, value),
				redis.ask('GET', `key-${number}-${i % 100}`),
				redis.ask('LPUSH', `list-${number}`, i), redis.ask('LINDEX', `list-${number}`, 0),
				redis.ask('INCR', 'all'),
			]);
			expect('INCR', mine, i);
			expect('GET', got, value);
			expect('LPUSH', length, i);
			expect('LINDEX', first, String(i));
			// Blocks in the server until its time is over, which a timer of the server's tells.
			if (i % 100 === 0) expect('BLPOP', await redis.ask('BLPOP', 'nothing', 0.02), null);
			counts[number] = i;
			await sleep(1);
		}
		expect('CLIENT ID', await redis.ask('CLIENT', 'ID'), id);
		redis.close();
	};
	const clients = counts.map((_, number) =>
		client(number).catch((error: unknown) => { failures.push(String(error)); }));
	const control = await RedisClient.connect(socket);
	t.teardown(() => control.close());
	const connections = async (): Promise<unknown> => (await info(control))['total_connections_received'];
	await eventually(() => (counts.every((count) => count > 100) ? true : undefined), 'all clients are served');
	const before = await connections();
	// The server's own fork() and wait() beside ours. Where it writes its log anew, the save is put off until after
	// that; while a save goes on, Redis refuses another.
	const saving = new AbortController();
	t.teardown(() => saving.abort());
	const saved = (async () => {
		while (!saving.signal.aborted) {
			const { rdb_saves: saves } = await info(control);
			await control.ask('BGSAVE', 'SCHEDULE');
			for (let now = await info(control); now['rdb_saves'] === saves || now['rdb_bgsave_in_progress'] !== '0';) {
				await sleep(50);
				now = await info(control);
			}
			await sleep(300);
		}
	})().catch((error: unknown) => { failures.push(String(error)); });

	await takeRepeatedly(t, 5, {
		processes: { redis: server.pid as number }, served: () => [...counts],
		check: () => t.deepEqual([failures.slice(0, 3), server.exitCode], [[], null]),
	});
	saving.abort();
	await saved;
	await leftAlone(t, server.pid as number);
	t.is(await connections(), before);
	stopping = true;
	await Promise.all(clients);
	t.deepEqual(failures, []);

	t.is(
		await control.ask('GET', 'all'), String(counts.reduce((sum, count) => sum + count, 0)),
		'none of INCR was lost or done twice'
	);
	const { rejected_connections, rdb_last_bgsave_status, aof_last_write_status, rdb_saves } = await info(control);
	t.deepEqual([rejected_connections, rdb_last_bgsave_status, aof_last_write_status], ['0', 'ok', 'ok']);
	t.true(Number(rdb_saves) > 0, 'it saved while evidence was taken');
	const digest = await control.ask('DEBUG', 'DIGEST');
	for (const reload of [['RELOAD'], ['LOADAOF']]) {
		t.is(await control.ask('DEBUG', ...reload), 'OK');
		t.is(await control.ask('DEBUG', 'DIGEST'), digest, `after DEBUG ${reload.join(' ')}`);
	}
	process.kill(server.pid as number, 'SIGTERM');
	t.deepEqual(await ended, [0, null]);
	t.deepEqual(
		said.join('').split('\n').filter((line) =>
			/\berror|crash|fail|BUG REPORT|by signal/i.test(line) && !line.includes('overcommit')),
		[]
	);
	for (const [checker, file] of [
		[SERVER, 'dump.rdb'], ['redis-check-aof', 'appendonlydir/appendonly.aof.manifest'],
	] as const) {
		const checked = await run(checker, [join(folder, file)]);
		t.is(checked.code, 0, checked.stdout);
	}
});
