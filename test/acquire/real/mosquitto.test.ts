/**
 * Mosquitto under load, saving all the time: each message comes once and in order, at both levels of service that
 * promise that it comes; nobody connects anew.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { hasProgram, leftAlone, takeRepeatedly, temporaryFolder } from './taking.ts';

const missing = ['mosquitto', 'mosquitto_pub', 'mosquitto_sub', 'gdb'].find((program) => !hasProgram(program));

/** How the broker and its clients promise to hand a message on: at least once, and once. */
const LEVELS = [1, 2];
/** So many messages of a publisher are under way at most. */
const UNDER_WAY = 20;

const settings = (folder: string): string => `
listener 0 ${folder}/socket
allow_anonymous true
user nobody
persistence true
persistence_location ${folder}/
autosave_on_changes true
autosave_interval 200
max_queued_messages 0
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
log_type subscribe
sys_interval 1
`;

/** What the broker says of clients; one connection each, from its beginning to its end. */
const connections = (log: string): number => log.match(/New client connected/g)?.length ?? 0;
const complaints = (log: string): string[] | null =>
	log.match(/^.*(?:error|warning|timeout|already connected|bad |denied|dropp|exceeded).*$/gim);

const textOf = (number: number): string => `${number} `.padEnd(number * 37 % 3000, 'x').trim();

/** What goes to one topic, and comes of it; whether that is right. */
class Flow {
	sent = 0;
	received = 0;
	readonly wrong: string[] = [];
	readonly #timer: NodeJS.Timeout;

	constructor(publisher: ChildProcess, subscriber: ChildProcess) {
		createInterface({ input: subscriber.stdout! }).on('line', (line) => {
			this.received += 1;
			if (line !== textOf(this.received)) this.wrong.push(`message ${this.received} is ${line.slice(0, 80)}`);
		});
		this.#timer = setInterval(() => {
			while (this.sent - this.received < UNDER_WAY) publisher.stdin!.write(`${textOf(this.sent += 1)}\n`);
		}, 10);
	}

	stop(): void {
		clearInterval(this.#timer);
	}
}

testUnless(missing === undefined ? null : `there is no ${missing}`)('Mosquitto goes on serving', async (t) => {
	const folder = temporaryFolder(t);
	chmodSync(folder, 0o777);
	writeFileSync(join(folder, 'conf'), settings(folder));
	const said = new Map<string, string>();
	const start = (name: string, program: string, ...args: string[]): ChildProcess => {
		const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
		t.teardown(() => child.kill('SIGKILL'));
		said.set(name, '');
		child.stderr.setEncoding('utf8').on('data', (text: string) => said.set(name, `${said.get(name) ?? ''}${text}`));
		return child;
	};
	const broker = start('broker', 'mosquitto', '-c', join(folder, 'conf'));
	const socket = join(folder, 'socket');
	await eventually(() => {
		if (broker.exitCode !== null) throw new Error(`Mosquitto has ended: ${said.get('broker')}`);
		return existsSync(socket) ? true : undefined;
	}, 'Mosquitto listens');
	const clients: ChildProcess[] = [];
	const client = (program: string, topic: string, ...args: string[]): ChildProcess => {
		const child = start(
			`${program} ${topic}`, program, '--unix', socket, '-i', `${program}-${topic}`, '-t', topic, ...args
		);
		clients.push(child);
		return child;
	};
	const subscribers = LEVELS.map((level) => client('mosquitto_sub', `level-${level}`, '-q', String(level)));
	await eventually(
		() => (said.get('broker')!.match(/mosquitto_sub\S+ \d level/g)?.length === LEVELS.length ? true : undefined), 'they subscribe'
	);
	const flows = subscribers.map((subscriber, i) =>
		new Flow(client('mosquitto_pub', `level-${LEVELS[i]}`, '-q', String(LEVELS[i]), '-l'), subscriber));
	t.teardown(() => flows.forEach((flow) => flow.stop()));
	const check = (): void => {
		t.deepEqual(flows.flatMap(({ wrong }) => wrong.slice(0, 3)), []);
		t.deepEqual(complaints([...said.values()].join('')), null);
		t.deepEqual([broker, ...clients].map(({ exitCode }) => exitCode), [broker, ...clients].map(() => null));
	};
	await eventually(() => (flows.every(({ received }) => received > 100) ? true : undefined), 'messages come');

	await takeRepeatedly(t, 2, {
		processes: { broker: broker.pid as number, subscriber: subscribers[1]!.pid as number },
		served: () => flows.map(({ received }) => received), check,
	});

	check();
	await leftAlone(t, broker.pid as number);
	flows.forEach((flow) => flow.stop());
	await eventually(() => (flows.every(({ sent, received }) => sent === received) ? true : undefined), 'all has come');
	t.is(connections(said.get('broker')!), clients.length, 'connections over all the time');
	const ended = clients.map((child) => once(child, 'exit'));
	clients.forEach((child) => (child.spawnfile === 'mosquitto_pub' ? child.stdin!.end() : child.kill('SIGTERM')));
	t.deepEqual(await Promise.all(ended), clients.map(() => [0, null]));
	const over = once(broker, 'exit');
	broker.kill('SIGTERM');
	t.deepEqual(await over, [0, null]);
	t.deepEqual(flows.flatMap(({ wrong }) => wrong.slice(0, 3)), []);
	t.is(complaints([...said.values()].join('')), null);
	t.log(`${flows.map(({ received }) => received).join(' and ')} messages`);
});
