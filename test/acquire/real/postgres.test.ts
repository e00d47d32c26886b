/**
 * PostgreSQL under load: money goes from account to account, none is lost; connections, indexes, checksums and the
 * log are right.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { Database, programsFolder, type Session } from './postgres.ts';
import { hasProgram, leftAlone, takeRepeatedly } from './taking.ts';

const CLIENTS = 4;
const ACCOUNTS = 20;
const EACH = 1000;

const SCHEMA = `
	CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
	CREATE TABLE transfer (client int, number int, source int, destination int, amount int, PRIMARY KEY (client, number));
	INSERT INTO account SELECT id, ${EACH} FROM generate_series(1, ${ACCOUNTS}) id;`;

/** Who is connected, and since when: a connection made anew is another line. */
/** Of its log; null: none. That the launcher's workers are late is said on any machine that is busy enough. */
const complaints = (log: string): string[] | null =>
	log.match(/^(?!.*WARNING: {2}autovacuum worker (?:took too long|started without)).*(?:FATAL|PANIC|ERROR|WARNING|by signal).*$/gm);

const CONNECTIONS =
	'SELECT pid, backend_start FROM pg_stat_activity WHERE backend_type = \'client backend\' ORDER BY pid;';

const programs = programsFolder();
const missing = programs === null ? 'PostgreSQL' : hasProgram('gdb') ? null : 'gdb';

testUnless(missing === null ? null : `there is no ${missing}`)('PostgreSQL goes on serving', async (t) => {
	// Waits that timers end, and a log that tells of what is unusual.
	const database = await Database.start(t, programs as string, {
		shared_buffers: '16MB', deadlock_timeout: '20ms', log_lock_waits: 'on', lock_timeout: '120s',
		statement_timeout: '120s', autovacuum_naptime: '1s',
	});
	const control = database.connect(t);
	await control.ask(SCHEMA);
	const failures: string[] = [];
	const counts = Array.from({ length: CLIENTS + 2 }, () => 0);
	let stopping = false;
	const repeat = async (index: number, session: Session, turn: (number: number) => Promise<void>): Promise<void> => {
		while (!stopping) {
			await turn((counts[index] as number) + 1);
			counts[index] = (counts[index] as number) + 1;
		}
		await session.close();
	};
	const transfer = (session: Session, client: number) => async (number: number): Promise<void> => {
		const source = 1 + Math.floor(Math.random() * ACCOUNTS), amount = Math.floor(Math.random() * 10);
		const destination = 1 + (source + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS;
		// In the order of the accounts, so that none waits for the other.
		const updates = [[source, -amount], [destination, amount]].sort((a, b) => (a[0] as number) - (b[0] as number))
			.map(([id, change]) => `UPDATE account SET balance = balance + (${change}) WHERE id = ${id} RETURNING id;`);
		const answer =
			await session.ask(
				`BEGIN; ${updates.join(' SELECT pg_sleep(0.001);')} INSERT INTO transfer VALUES (${client}, ` +
					`${number}, ${source}, ${destination}, ${amount}); COMMIT;`
			);
		if (answer.join(' ') !== [source, destination].sort((a, b) => a - b).join('  '))
			failures.push(`transfer: ${answer.join(' ')}`);
		await sleep(5);
	};
	const sum = (session: Session) => async (): Promise<void> => {
		const answer = await session.ask('SELECT sum(balance), count(*) FROM account; SELECT pg_sleep(0.02);');
		if (answer[0] !== `${ACCOUNTS * EACH}|${ACCOUNTS}`) failures.push(`sum: ${answer.join(' ')}`);
	};
	const sessions = counts.map(() => database.connect(t));
	const pids = await Promise.all(sessions.map(async (session) =>
		Number((await session.ask('SELECT pg_backend_pid();'))[0])));
	const checkpoint = (session: Session) => async (): Promise<void> => {
		await session.ask('CHECKPOINT; SELECT pg_sleep(0.1);');
	};
	const clients = sessions.map((session, index) =>
		repeat(
			index, session,
			index < CLIENTS ? transfer(session, index) : index === CLIENTS ? sum(session) : checkpoint(session)
		)
		.catch((error: unknown) => { failures.push(String(error)); }));
	const connections = await control.ask(CONNECTIONS);
	t.is(connections.length, CLIENTS + 3);
	const checkpointer = Number(
		(await control.ask('SELECT pid FROM pg_stat_activity WHERE backend_type = \'checkpointer\';'))[0]
	);
	await eventually(() => (counts.every((count) => count > 1) ? true : undefined), 'all clients are served');

	await takeRepeatedly(t, 5, {
		processes: { postmaster: database.pid, backend: pids[0] as number, checkpointer },
		served: () => [...counts],
		check: () =>
			t.deepEqual(
				[failures.slice(0, 3), complaints(database.log())],
				[[], null]
			),
	});

	t.deepEqual(await control.ask(CONNECTIONS), connections);
	await leftAlone(t, pids[0] as number);
	await leftAlone(t, checkpointer);
	stopping = true;
	await Promise.all(clients);
	t.deepEqual(failures, []);
	t.deepEqual(
		await control.ask('SELECT client, count(*), max(number) FROM transfer GROUP BY client ORDER BY client;'),
		counts.slice(0, CLIENTS).map((count, client) => `${client}|${count}|${count}`)
	);
	t.deepEqual(await control.ask(`SELECT id FROM account WHERE balance <> ${EACH}
		- coalesce((SELECT sum(amount) FROM transfer WHERE source = id), 0) + coalesce((SELECT sum(amount) FROM transfer WHERE destination = id), 0);`), []);
	const checked = await database.run(
		'pg_amcheck', '-h', database.folder, '-U', 'tester', '--install-missing', '--heapallindexed', 'postgres'
	);
	t.is(checked.code, 0, checked.stdout + checked.stderr);
	// What it knows itself of its children: autovacuum's come and go.
	let known: number[] = [];
	const asking = setInterval(
		() => void control.ask('SELECT pid FROM pg_stat_activity;').then((lines) => { known = lines.map(Number); }), 50
	);
	await leftAlone(t, database.pid, () => known).finally(() => clearInterval(asking));
	await control.close();
	t.deepEqual(await database.stop(), [0, null]);
	const sums = await database.run('pg_checksums', '--check', '-D', database.data);
	t.is(sums.code, 0, sums.stdout + sums.stderr);
	// A worker of autovacuum's that it ended as it shut down says so.
	const last = /^.*FATAL: {2}terminating autovacuum process due to administrator command$/gm;
	t.is(complaints(database.log().replace(last, '')), null);
});
