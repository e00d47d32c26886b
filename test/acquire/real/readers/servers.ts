/** Servers: Redis, PostgreSQL, nginx. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from '../../../processes.ts';
import { Database, programsFolder } from '../postgres.ts';
import { RedisClient } from '../redis.ts';
import { childrenOf } from '../taking.ts';
import { found } from './running.ts';
import { atRest, halvesOf, textOf } from './starting.ts';
import type { Program } from './types.ts';

export const redis: Program = {
	// The server's own program, by another name (scripts/install-test-tools).
	name: 'Redis', needs: { 'redis-check-rdb': 'redis-tools' }, small: true,
	async start(ends, folder) {
		const socket = join(folder, 'socket');
		const server = spawn(
			'redis-check-rdb', ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', ''],
			{ argv0: 'redis-server', stdio: 'ignore' }
		);
		ends.teardown(() => server.kill('SIGKILL'));
		await eventually(() => (existsSync(socket) ? true : undefined), 'Redis listens');
		const client = await RedisClient.connect(socket), [first, second] = halvesOf('redis');
		ends.teardown(() => client.close());
		for (let i = 0; i < 1000; i++) await client.ask('APPEND', `key ${i}`, first);
		for (let i = 0; i < 1000; i++) await client.ask('APPEND', `key ${i}`, second);
		const pid = server.pid as number;
		// Its timer goes on: ten times a second.
		return {
			pid, executable: realpathSync(found('redis-check-rdb') ?? ''), text: textOf('redis'),
			stacks: [
				['epoll_wait', 'aeProcessEvents', 'aeMain', 'main'], ['pthread_cond_wait', 'bioProcessBackgroundJobs'],
			],
		};
	},
};

export const postgres: Program = {
	name: 'PostgreSQL', needs: { [`${programsFolder() ?? '/usr/lib/postgresql'}/postgres`]: 'postgresql' }, small: false,
	async start(ends) {
		const database = await Database.start(ends, programsFolder() ?? '', { shared_buffers: '32MB' });
		const session = database.connect(ends), [first, second] = halvesOf('postgres');
		await session.ask(`CREATE TABLE kept (id int PRIMARY KEY, text text);
			INSERT INTO kept SELECT id, '${first}' || '${second}' FROM generate_series(1, 10000) id;
			SELECT count(*) FROM kept WHERE text LIKE '%x'; CHECKPOINT;`);
		const pid = Number((await session.ask('SELECT pg_backend_pid();'))[0]);
		await atRest(pid);
		return {
			pid, executable: realpathSync(join(programsFolder() ?? '', 'postgres')), text: textOf('postgres'),
			stacks: [['epoll_wait', 'WaitEventSetWait', 'secure_read', 'PostgresMain', 'PostmasterMain', 'main']],
		};
	},
};

export const nginx: Program = {
	name: 'nginx', needs: { '/usr/sbin/nginx': 'nginx-light' }, small: true,
	async start(ends, folder) {
		const socket = join(folder, 'socket'), configuration = join(folder, 'nginx.conf');
		mkdirSync(join(folder, 'www'));
		writeFileSync(join(folder, 'www/page'), 'A page.\n'.repeat(1000));
		writeFileSync(configuration, `
			daemon off; master_process on; worker_processes 1; pid ${folder}/pid; error_log ${folder}/errors; user root;
			events { }
			http { access_log off; server { listen unix:${socket}; root ${folder}/www; } }`);
		const options = ['-p', folder, '-c', configuration, '-e', join(folder, 'errors')];
		const server = spawn('/usr/sbin/nginx', options, { stdio: 'ignore' });
		ends.teardown(() => server.kill('SIGTERM'));
		await eventually(() => (existsSync(socket) ? true : undefined), 'nginx listens');
		const client = connect(socket), text = textOf('nginx');
		ends.teardown(() => client.destroy());
		await once(client, 'connect');
		const page = 'GET /page HTTP/1.1\r\nHost: here\r\n\r\n';
		client.write(page.repeat(20));
		client.resume();
		await eventually(() => (client.bytesRead > 20 * 8000 ? true : undefined), 'nginx serves');
		// A request that has not come to its end.
		client.write(`GET /${text}`);
		const pid = await eventually(() => childrenOf(server.pid as number)[0], 'nginx has a worker');
		await atRest(pid);
		return {
			pid, executable: '/usr/sbin/nginx', text,
			stacks: [[
				'epoll_wait', 'ngx_process_events_and_timers', 'ngx_spawn_process', 'ngx_master_process_cycle', 'main',
			]],
		};
	},
};
