/** What tests of the transfer share: certificates, receivers that can be killed, a link that can be cut. */
import type { ExecutionContext } from 'ava';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readCredentials, type Credentials } from '../../../acquire/transfer/credentials.ts';
import type { Destination } from '../../../acquire/evidence/folder.ts';
import { take } from '../../../acquire/take.ts';
import { Sender, type SenderOptions } from '../../../acquire/transfer/sender.ts';
import { eventually, NODE } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { noTools, startTarget, temporaryFolder } from '../help.ts';

export const HOST = '127.0.0.1';
const CLI = fileURLToPath(new URL('../../../acquire/cli.ts', import.meta.url));
const CERTIFICATES = fileURLToPath(new URL('../../../scripts/certificates', import.meta.url));

export const linkTest = testUnless(noTools('openssl'));

/** An authority of the test's own, and a folder of link.crt, link.key and ca.crt for each name. */
export class Authority {
	readonly dir: string;

	constructor(t: ExecutionContext, ...names: string[]) {
		this.dir = temporaryFolder(t);
		execFileSync('sh', [CERTIFICATES, this.dir, ...names], { stdio: ['ignore', 'ignore', 'inherit'] });
	}

	options(name: string): string[] {
		return [
			'--ca', this.#path(name, 'ca.crt'), '--cert', this.#path(name, 'link.crt'), '--link-key',
			this.#path(name, 'link.key'),
		];
	}

	credentials(name: string): Credentials {
		return readCredentials({
			ca: this.#path(name, 'ca.crt'), cert: this.#path(name, 'link.crt'), key: this.#path(name, 'link.key'),
		});
	}

	#path(name: string, file: string): string {
		return join(this.dir, name, file);
	}
}

interface Ended { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }

/** `startedBy`: a program and its arguments, which runs what follows. */
export interface Start { startedBy?: string[]; environment?: NodeJS.ProcessEnv }

/** `procsnap ...`, while it runs. */
export class Command {
	readonly process: ChildProcess;
	readonly ended: Promise<Ended>;
	/** Where it runs: a folder of its own. */
	readonly cwd: string;
	stdout = '';
	stderr = '';

	constructor(t: ExecutionContext, args: string[], { startedBy = [], environment = {} }: Start = {}) {
		this.cwd = temporaryFolder(t);
		const [program = '', ...all] = [...startedBy, ...NODE, CLI, ...args];
		this.process = spawn(program, all, {
			stdio: ['ignore', 'pipe', 'pipe'], cwd: this.cwd, env: { ...process.env, ...environment },
		});
		this.process.stdout?.setEncoding('utf8').on('data', (text: string) => { this.stdout += text; });
		this.process.stderr?.setEncoding('utf8').on('data', (text: string) => { this.stderr += text; });
		this.ended = new Promise((resolve) => {
			this.process.once(
				'close', (code, signal) => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })
			);
		});
		t.teardown(() => this.process.kill('SIGKILL'));
	}
}

/** `procsnap receive`, on one port for all its lives. */
export class ReceiverProcess {
	readonly #t: ExecutionContext;
	readonly #args: string[];
	/** The receiver's own, which its first life makes. */
	readonly key: string;
	port = 0;
	/** A control group's file of processes. */
	within: string | undefined;
	environment: NodeJS.ProcessEnv = {};
	command: Command | undefined;
	/** Every line that all of its lives said. */
	readonly events: Array<Record<string, unknown>> = [];

	constructor(t: ExecutionContext, args: string[]) {
		this.#t = t;
		this.#args = args;
		this.key = join(temporaryFolder(t), 'receiver.key');
	}

	async start(): Promise<void> {
		const command = new Command(
			this.#t, ['receive', '--listen', `${HOST}:${this.port}`, '--json', '--key', this.key, ...this.#args],
			{
				startedBy: this.within === undefined ? [] : ['sh', '-c', 'echo $$ >"$0"; exec "$@"', this.within],
				environment: this.environment,
			}
		);
		this.command = command;
		if (command.process.stdout === null) throw new Error('no output');
		createInterface({ input: command.process.stdout })
			.on('line', (text) => this.events.push(JSON.parse(text) as Record<string, unknown>));
		const before = this.events.length;
		const said = await eventually(
			() => this.events[before] ?? (command.process.exitCode === null ? undefined : {}), 'the receiver listens'
		);
		if (typeof said['listening'] !== 'number') await command.ended;	// all of what it says
		if (typeof said['listening'] !== 'number')
			throw new Error(`the receiver does not listen: ${command.stderr}${command.stdout}`);
		this.port = said['listening'];
	}

	async kill(): Promise<void> {
		this.command?.process.kill('SIGKILL');
		await this.command?.ended;
	}
}

/** A link in between, whose ends can be cut off. */
export class Link {
	readonly #pairs = new Set<[Socket, Socket]>();
	readonly #server = createServer((near) => this.#join(near));
	readonly #to: () => number;
	/** After so many more bytes towards the receiver, both ends are cut. */
	cutAfter = Infinity;
	/** Towards the receiver, in all. */
	bytes = 0;
	connections = 0;
	cuts = 0;
	/** What the receiver says waits. */
	#held = false;
	onCut: () => void = () => {};

	private constructor(to: () => number) {
		this.#to = to;
	}

	static async open(t: ExecutionContext, to: () => number): Promise<Link> {
		const link = new Link(to);
		await new Promise<void>((resolve) => link.#server.listen(0, HOST, resolve));
		t.teardown(() => {
			link.cut();
			link.#server.close();
		});
		return link;
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	hold(held: boolean): void {
		this.#held = held;
		for (const [near, far] of this.#pairs) if (held) far.pause(); else far.pipe(near);
	}

	cut(): void {
		for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
		this.#pairs.clear();
	}

	#join(near: Socket): void {
		const far = connect(this.#to(), HOST);
		const pair: [Socket, Socket] = [near, far];
		this.connections += 1;
		this.#pairs.add(pair);
		for (const socket of pair) {
			socket.on('error', () => {}).on('close', () => {
				this.#pairs.delete(pair);
				for (const other of pair) other.destroy();
			});
		}
		near.on('data', (data: Buffer) => {
			this.bytes += data.length;
			this.cutAfter -= data.length;
			if (!far.write(data)) {
				near.pause();
				far.once('drain', () => near.resume());
			}
			if (this.cutAfter <= 0) {
				this.cutAfter = Infinity;
				this.cuts += 1;
				// What was written is on its way; then nothing more.
				setImmediate(() => {
					this.cut();
					this.onCut();
				});
			}
		});
		if (!this.#held) far.pipe(near);
	}
}

/** The evidence folders in a receiver's folder. */
export const keptIn = (out: string): string[] => readdirSync(out).filter((name) => !name.startsWith('.'));
export const underWayIn = (out: string): string[] => readdirSync(join(out, '.incoming'));

/** All children that a process ever has, sampled. */
export class Children {
	readonly seen = new Set<number>();
	readonly #timer: NodeJS.Timeout;

	constructor(t: ExecutionContext, pid: number) {
		this.#timer = setInterval(() => {
			for (const child of this.now(pid)) this.seen.add(child);
		}, 1);
		t.teardown(() => clearInterval(this.#timer));
	}

	now(pid: number): number[] {
		return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((text) => text !== '')
			.map(Number);
	}
}

export const aKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

/** Evidence of a small target, within this process, by way of `wrap`; the receiver's name of it. */
export async function sendSmall(
	t: ExecutionContext, port: number, credentials: Credentials,
	{ key = aKey(), wrap = (each: Destination) => each, ...how }: {
		key?: KeyObject; wrap?: (each: Destination) => Destination;
	} & Partial<Pick<SenderOptions, 'patienceMs' | 'say' | 'host' | 'bytesPerSecond'>> = {}
): Promise<string> {
	const target = await startTarget(t, 'reserve', 4, 3, 1);
	const { where } = await take({
		pid: target.pid, key: () => key,
		destination: async () =>
			wrap(
				await Sender.open({
					host: HOST, port, credentials, bytesPerSecond: Infinity, patienceMs: 30_000, say: () => {},
					...how,
				})
			),
	});
	return where.replace(/^.*: /, '');
}
