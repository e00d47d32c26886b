/** A process with much memory that goes on counting, and takes of it that are interrupted. */
import type { ExecutionContext } from 'ava';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { aMark, eventually, isFree, leftOver, marked, NODE } from '../processes.ts';
import { childrenOf } from './real/taking.ts';

export const HEAVY_BYTES = 160 << 20;

const CLI = fileURLToPath(new URL('../../acquire/cli.ts', import.meta.url));
const PROGRAM = `const memory = Buffer.alloc(${HEAVY_BYTES}, 'procsnap'); let turn = 0;
	setInterval(() => { memory[turn % memory.length] ^= 1; process.stdout.write(++turn + '\\n'); }, 2);
	process.stdin.resume().on('end', () => process.exit(0));`;

export interface Interrupted {
	code: number | null;
	signal: NodeJS.Signals | null;
	stderr: string;
	/** What there is in the folder of evidence. */
	names: string[];
}

const sizeOf = (file: string): number => {
	try {
		return statSync(file).size;
	} catch {
		return -1;
	}
};

export class Heavy {
	readonly target: ChildProcess;
	readonly pid: number;
	readonly folder = mkdtempSync(join(tmpdir(), 'procsnap-heavy-'));
	readonly key = join(this.folder, 'key');
	turns = 0;
	readonly #marks = { target: aMark(), take: aMark() };
	#takes = 0;

	/** Ready, and ended with the test. */
	static async start(t: ExecutionContext): Promise<Heavy> {
		const heavy = new Heavy();
		t.teardown(() => {
			heavy.target.kill('SIGKILL');
			rmSync(heavy.folder, { recursive: true, force: true });
		});
		await eventually(() => (heavy.turns > 0 ? true : undefined), 'the target counts');
		return heavy;
	}

	private constructor() {
		this.target = spawn(
			NODE[0], [...NODE.slice(1), '-e', PROGRAM],
			{ stdio: ['pipe', 'pipe', 'inherit'], env: this.#environment('target') }
		);
		this.pid = this.target.pid as number;
		if (this.target.stdout !== null)
			createInterface({ input: this.target.stdout }).on('line', (line) => { this.turns = Number(line); });
	}

	#environment(whose: 'target' | 'take'): NodeJS.ProcessEnv {
		const [name, value] = this.#marks[whose].split('=') as [string, string];
		return { ...process.env, [name]: value };
	}

	/** Where the next take puts its evidence. */
	nextOut(): string {
		this.#takes += 1;
		return join(this.folder, `out-${this.#takes}`);
	}

	/** What `take --dry-run` says. */
	dryRun(out: string): { status: number | null; stdout: string } {
		const { status, stdout } = spawnSync(
			NODE[0], [...NODE.slice(1), CLI, 'take', String(this.pid), '--out', out, '--dry-run'], { encoding: 'utf8' }
		);
		return { status, stdout };
	}

	/** Take, and do something when `when` says so of the take. */
	async interrupted(
		out: string, when: (take: ChildProcess) => Promise<unknown>, action: (take: ChildProcess) => void
	): Promise<Interrupted> {
		const take = spawn(NODE[0], [...NODE.slice(1), CLI, 'take', String(this.pid), '--out', out, '--key', this.key],
			// A group of its own, as a shell gives one to a job.
			{ stdio: ['ignore', 'ignore', 'pipe'], env: this.#environment('take'), detached: true });
		let stderr = '';
		take.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
		const ended = once(take, 'close');
		await Promise.race([when(take), ended]);
		action(take);
		const [code, signal] = await ended as [number | null, NodeJS.Signals | null];
		return { code, signal, stderr, names: readdirSync(this.folder).filter((name) => !name.startsWith('key')) };
	}

	/** The evidence's folder, whatever it is called until it is whole, has so many bytes of a core. */
	async coreHas(out: string, bytes: number): Promise<void> {
		await eventually(
			() =>
				(Math.max(sizeOf(join(out, 'core')), sizeOf(join(`${out}.partial`, 'core'))) >= bytes ? true : undefined),
			`${bytes} bytes are taken`
		);
	}

	/** It goes on, with nothing of ours in it, beside it or in its way. */
	async leftAlone(t: ExecutionContext, what: string): Promise<void> {
		t.deepEqual(await leftOver(this.#marks.take), [], `${what}: of the take are left`);
		for (const until = Date.now() + 30_000; Date.now() < until && marked(this.#marks.target).length > 1;)
			await sleep(20);
		t.deepEqual(marked(this.#marks.target), [this.pid], `${what}: beside the target is a duplicate`);
		t.deepEqual(childrenOf(this.pid), [], `${what}: the target has a child, or what is left of one`);
		t.true(isFree(this.pid), `${what}: the target is stopped or traced`);
		const { turns } = this;
		await eventually(() => (this.turns > turns + 2 ? true : undefined), `${what}: the target counts`);
	}

	/** Of a target that has ended. */
	async nothingLeft(t: ExecutionContext, what: string): Promise<void> {
		t.deepEqual([...await leftOver(this.#marks.take), ...await leftOver(this.#marks.target)], [], what);
	}

	/** What of a take's folder there is; it goes away. */
	cleared(out: string): string[] {
		const found = [out, `${out}.partial`].filter((dir) => existsSync(dir));
		for (const dir of found) rmSync(dir, { recursive: true });
		return found.map((dir) => dir.slice(out.length));
	}
}
