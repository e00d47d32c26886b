/** A PostgreSQL of the test's own: in a folder that goes, on a socket in it. It refuses to be root's. */
import type { ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from '../../processes.ts';
import { run, temporaryFolder, type Ended } from './taking.ts';

const INSTALLED = '/usr/lib/postgresql';

/** Debian's folder of the newest version's programs; null where there is none. */
export function programsFolder(): string | null {
	try {
		const version = readdirSync(INSTALLED).map(Number)
			.filter((number) => readdirSync(join(INSTALLED, String(number), 'bin')).includes('postgres'))
				.sort((a, b) => a - b).at(-1);
		return version === undefined ? null : join(INSTALLED, String(version), 'bin');
	} catch {
		return null;
	}
}

/** Whom root hands it to. */
function owner(): { uid?: number; gid?: number } {
	if (process.getuid?.() !== 0) return {};
	const found = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
	return { uid: Number(found?.[1] ?? 65534), gid: Number(found?.[2] ?? 65534) };
}

export class Database {
	readonly pid: number;
	readonly folder: string;
	readonly data: string;
	readonly log: () => string;
	readonly #programs: string;
	readonly #ended: Promise<unknown[]>;

	private constructor(
		programs: string, folder: string, started: { pid: number; ended: Promise<unknown[]>; log: () => string }
	) {
		this.#programs = programs;
		this.folder = folder;
		this.data = join(folder, 'data');
		this.pid = started.pid;
		this.log = started.log;
		this.#ended = started.ended;
	}

	/** Serving, with checksums of its pages, and ended with the test. */
	static async start(
		t: Pick<ExecutionContext, 'teardown'>, programs: string, settings: Record<string, string>
	): Promise<Database> {
		const folder = join(temporaryFolder(t), 'postgres');
		mkdirSync(folder, { mode: 0o755 });
		const { uid, gid } = owner();
		if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
		const made = await run(
			join(programs, 'initdb'),
			[
				'-D', join(folder, 'data'), '-U', 'tester', '-A', 'trust', '--data-checksums', '--no-sync',
				'--locale=C', '-E', 'UTF8',
			],
			{ ...owner(), cwd: folder, env: {} }
		);
		if (made.code !== 0) throw new Error(`initdb: ${made.stdout}${made.stderr}`);
		const options = Object.entries({ listen_addresses: '', unix_socket_directories: folder, ...settings })
			.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
		const server = spawn(
			join(programs, 'postgres'), ['-D', join(folder, 'data'), ...options],
			{ ...owner(), cwd: folder, env: {}, stdio: ['ignore', 'ignore', 'pipe'] }
		);
		// Its children end when it has ended.
		t.teardown(() => server.kill('SIGKILL'));
		let log = '';
		server.stderr.setEncoding('utf8').on('data', (text: string) => { log += text; });
		const ended = once(server, 'exit');
		await eventually(
			() => (log.includes('ready to accept connections') || server.exitCode !== null ? true : undefined),
			'PostgreSQL is ready'
		).catch((error: unknown) => { throw new Error(`${String(error)}: ${log}`); });
		return new Database(programs, folder, { pid: server.pid as number, ended, log: () => log });
	}

	/** A program of PostgreSQL's, as the server's user. */
	run(program: string, ...args: string[]): Promise<Ended> {
		return run(join(this.#programs, program), args, { ...owner(), cwd: this.folder, env: {} });
	}

	connect(t: Pick<ExecutionContext, 'teardown'>): Session {
		return new Session(t, join(this.#programs, 'psql'), this.folder);
	}

	/**
	 * With a last checkpoint, when all clients have gone: a backend that has not noticed that its own has would say
	 * FATAL. Its exit code and signal.
	 */
	async stop(): Promise<unknown[]> {
		process.kill(this.pid, 'SIGTERM');
		return this.#ended;
	}
}

/** One psql, and thereby one connection, which psql does not make anew. It ends at the first error. */
export class Session {
	readonly #ask: (text: string) => void;
	readonly #lines: AsyncIterator<string>;
	readonly #ended: Promise<unknown[]>;
	#said = '';

	constructor(t: Pick<ExecutionContext, 'teardown'>, psql: string, folder: string) {
		const child = spawn(
			psql, ['-h', folder, '-U', 'tester', '-d', 'postgres', '-XqAt', '-v', 'ON_ERROR_STOP=1'],
			{ stdio: ['pipe', 'pipe', 'pipe'], env: {} }
		);
		t.teardown(() => child.kill('SIGKILL'));
		child.stderr.setEncoding('utf8').on('data', (text: string) => { this.#said += text; });
		child.stdin.on('error', () => {});	// what it said tells why
		this.#ended = once(child, 'exit');
		this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
		this.#ask = (text) => child.stdin.write(text);
	}

	/** The lines that statements give. Throws what psql said where it ended. */
	async ask(statements: string): Promise<string[]> {
		this.#ask(`${statements}\n\\echo :end\n`);
		const lines: string[] = [];
		for (;;) {
			const next = await this.#lines.next();
			if (next.done === true) throw new Error(`psql ended: ${this.#said}`);
			if (next.value === ':end') return lines;
			lines.push(next.value);
		}
	}

	/** Nothing may have been said but answers. */
	async close(): Promise<void> {
		this.#ask('\\q\n');
		const [code] = await this.#ended;
		if (code !== 0 || this.#said !== '') throw new Error(`psql ended with ${String(code)}: ${this.#said}`);
	}
}
