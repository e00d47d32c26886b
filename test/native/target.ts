/** A target (targets/*.c) and a look at it through /proc: for tests, and for what runs as long as tests do not. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Shared } from '../../native/index.ts';

const folder = fileURLToPath(new URL('targets', import.meta.url));
execFileSync('make', ['-s', '-C', folder], { stdio: ['ignore', 'inherit', 'inherit'] });

/** A path is a program elsewhere. */
export const program = (name: string): string => resolve(folder, 'build', name);

/** A test's own end must come even where the core hangs. */
export const PATIENCE_MS = 60_000;

/** Wait until something holds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
	const end = Date.now() + PATIENCE_MS;
	while (!holds()) {
		if (Date.now() > end) throw new Error(`in vain: ${what}`);
		await sleep(2);
	}
}

/** A line "Key: value" of /proc/PID/status; '' where there is no such process. */
export function status(pid: number, key: string): string {
	try {
		return new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
	} catch {
		return '';
	}
}

/** R, S, D, T, t or Z; '' where there is no such process. */
export const state = (pid: number): string => status(pid, 'State').slice(0, 1);

/** All living processes' children of a process, zombies too. */
export const children = (pid: number): number[] => readdirSync('/proc').map(Number)
	.filter((other) => other > 0 && Number(status(other, 'PPid')) === pid);

export class Target {
	readonly process: ChildProcess;
	readonly pid: number;
	/** Memory shared with the target; word 0 is 1 when it is ready. */
	readonly word: BigInt64Array;
	readonly #shared: Shared;
	readonly #lines: AsyncIterator<string>;
	readonly #reader: Interface;

	constructor(name: string, args: Array<string | number>) {
		this.#shared = new Shared(4096);
		this.word = this.#shared.words;
		this.process = spawn(program(name), args.map(String), { stdio: ['pipe', 'pipe', 'inherit', this.#shared.fd] });
		this.#shared.closeFd();
		const { pid, stdout } = this.process;
		if (pid === undefined || !stdout) throw new Error(`${name} did not start`);
		this.pid = pid;
		this.#reader = createInterface({ input: stdout });
		this.#lines = this.#reader[Symbol.asyncIterator]();
	}

	/** Its next line of output; '' at its end. */
	async line(): Promise<string> {
		const next = await Promise.race([this.#lines.next(), sleep(PATIENCE_MS, null, { ref: false })]);
		if (next === null)
			throw new Error(`process ${this.pid} has said nothing for too long (state ${state(this.pid)})`);
		return next.done === true ? '' : next.value;
	}

	tell(text: string): void {
		this.process.stdin?.write(text);
	}

	number(word: number): number {
		return Number(this.word[word]);
	}

	/** It sleeps, in whatever call. */
	async asleep(): Promise<void> {
		await until(`process ${this.pid} sleeps`, () => state(this.pid) === 'S');
	}

	async atLeast(word: number, value: number): Promise<void> {
		await until(`word ${word} is at least ${value}`, () => this.number(word) >= value);
	}

	/** It has moved on from where it was: nobody left it stopped. */
	async runs(word: number): Promise<void> {
		await this.atLeast(word, this.number(word) + 2);
	}

	async ended(): Promise<void> {
		await until(
			`process ${this.pid} ends`, () => this.process.exitCode !== null || this.process.signalCode !== null
		);
	}
}
