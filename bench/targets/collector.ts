/** The evidence tool as the harness runs it: the same commands as a user, in a folder of their own. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Ledger } from '../../acquire/evidence/manifest.ts';

/** On a disk, where /tmp may be memory: hier(7). */
const DISK = '/var/tmp';
const HOST = '127.0.0.1';
const LIMIT_MS = 300_000;

const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const NODE = [process.execPath, ...process.execArgv];
const CACHE = { NODE_COMPILE_CACHE: path('node_modules/.cache/procsnap') };

export interface TakenEvidence { bytes: number; ledger: Ledger }

/** Has this program been installed? */
export const hasProgram = (name: string): boolean =>
	spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status === 0;

export class Collector {
	readonly folder = mkdtempSync(join(DISK, 'procsnap-bench-'));
	readonly #cpus: string;
	#receiver: ChildProcess | undefined;
	#port = 0;

	/** `cpus`: what its commands may use, whatever this process is bound to. */
	constructor(cpus: readonly number[]) {
		this.#cpus = [...new Set(cpus)].join(',');
	}

	/** Run a command to its end; what it prints. Throws what it says if it fails. */
	run(program: string, ...args: string[]): string {
		const { status, stdout, stderr, error } = spawnSync('taskset', ['-c', this.#cpus, program, ...args], {
			encoding: 'utf8', cwd: this.folder, timeout: LIMIT_MS, env: { ...process.env, ...CACHE },
		});
		if (error !== undefined) throw error;
		if (status !== 0)
			throw new Error(`${program} ended with ${status}: ${stderr.trim().split('\n').slice(-3).join('; ')}`);
		return stdout;
	}

	/** Let a process run wherever its commands may: it inherits what this process is bound to. */
	unbind(pid: number): void {
		this.run('taskset', '--all-tasks', '--cpu-list', '--pid', this.#cpus, String(pid));
	}

	/** Of a file or folder in its folder. */
	discard(name: string): void {
		rmSync(join(this.folder, name), { recursive: true, force: true });
	}

	discardReceived(): void {
		for (const name of readdirSync(join(this.folder, 'received'))) if (!name.startsWith('.'))
			this.discard(join('received', name));
	}

	take(pid: number, mechanism: string, ...to: string[]): TakenEvidence {
		const [node = '', ...flags] = NODE;
		return JSON.parse(this.run(
			node, ...flags, path('acquire/cli.ts'), 'take', String(pid), '--mechanism', mechanism, '--key', 'key',
			'--json', ...to
		)) as TakenEvidence;
	}

	/** `take` options for its receiver. */
	get link(): string[] {
		return ['--to', `${HOST}:${this.#port}`, ...this.#credentials()];
	}

	#credentials = (): string[] =>
		[
			'--ca', join(this.certificates, 'ca.crt'), '--cert', join(this.certificates, 'link.crt'), '--link-key',
			join(this.certificates, 'link.key'),
		];

	get certificates(): string {
		return join(this.folder, 'certificates', HOST);
	}

	makeCertificates(): void {
		execFileSync(
			'sh', [path('scripts/certificates'), 'certificates', HOST],
			{ cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] }
		);
	}

	tlsNs(bytes: number): number {
		const [node = '', ...flags] = NODE;
		return Number(this.run(node, ...flags, path('bench/targets/tls-link.ts'), this.certificates, String(bytes)));
	}

	/** On the same machine and disk, as a process of its own. */
	async startReceiver(): Promise<void> {
		mkdirSync(join(this.folder, 'received'));
		const receiver = spawn('taskset', [
			'-c', this.#cpus, ...NODE, path('acquire/cli.ts'), 'receive', '--listen', `${HOST}:0`, '--out', 'received',
			'--json', '--key', 'receiver.key', ...this.#credentials(),
		],
			{ cwd: this.folder, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...CACHE } });
		this.#receiver = receiver;
		const [said] = await Promise.race([
			once(createInterface({ input: receiver.stdout }), 'line'), once(receiver, 'exit').then(() => ['{}']),
		]) as [string];
		const { listening } = JSON.parse(said) as { listening?: number };
		if (listening === undefined) throw new Error('the receiver did not start');
		this.#port = listening;
		receiver.stdout.resume();
	}

	async close(): Promise<void> {
		if (this.#receiver?.exitCode === null) {
			this.#receiver.kill('SIGTERM');
			await once(this.#receiver, 'exit');
		}
		rmSync(this.folder, { recursive: true, force: true });
	}
}
