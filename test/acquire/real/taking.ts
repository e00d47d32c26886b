/** Evidence of programs that serve meanwhile: taken by the command line, verified, opened by gdb. */
import type { ExecutionContext } from 'ava';
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Manifest } from '../../../acquire/evidence/manifest.ts';
import { eventually, isFree, NODE, statusField } from '../../processes.ts';

export const CLI =
	[...NODE, fileURLToPath(new URL('../../../acquire/cli.ts', import.meta.url))] as [string, ...string[]];

export interface Ended { code: number | null; stdout: string; stderr: string }

export function run(
	program: string, args: string[], options: { uid?: number; gid?: number; cwd?: string; env?: NodeJS.ProcessEnv } = {}
): Promise<Ended> {
	return new Promise((resolve) => {
		const child = execFile(program, args, { ...options, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
			resolve({
				code: child.exitCode, stdout,
				stderr: error !== null && child.exitCode === null ? `${stderr}${error.message}` : stderr,
			});
		});
		child.stdin?.end();
	});
}

export const procsnap = (...args: string[]): Promise<Ended> => run(CLI[0], [...CLI.slice(1), ...args]);

/** A folder that goes with the test; all may enter it, for servers that are not root. */
export function temporaryFolder(t: ExecutionContext): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-real-'));
	chmodSync(folder, 0o755);
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

export const hasProgram = (program: string): boolean =>
	spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;

/** Zombies too. */
export const childrenOf = (pid: number): number[] =>
	readdirSync('/proc').map(Number).filter((other) => other > 0 && Number(statusField(other, 'PPid')) === pid);

export interface Serving {
	/** What to take, in turns, and what it is called in messages. */
	processes: Record<string, number>;
	/** Counts, client by client, of what they were served. */
	served: () => number[];
	/** Throws as soon as a client met an error. */
	check: () => void;
}

/** Takes evidence of each process `rounds` times, and looks at all of it. Returns the longest pause. */
export async function takeRepeatedly(
	t: ExecutionContext, rounds: number, { processes, served, check }: Serving
): Promise<void> {
	const folder = temporaryFolder(t);
	const key = join(folder, 'key');
	const pauses: number[] = [];
	for (let round = 1; round <= rounds; round++) {
		for (const [name, pid] of Object.entries(processes)) {
			const out = join(folder, `${name}-${round}`);
			const before = served();
			const taken = await takenInTheEnd(t, pid, ['--out', out, '--key', key, '--json']);
			t.is(taken.code, 0, `take ${round} of ${name}: ${taken.stderr}`);
			t.true(
				served().some((count, i) => count > (before[i] as number)), `nobody was served while ${name} was taken`
			);
			await allServed(served, check, name);
			await released(pid, name);
			pauses.push((JSON.parse(taken.stdout) as { ledger: { pauseNs: number } }).ledger.pauseNs);
			const verified = await procsnap('verify', out, '--key', `${key}.pub`);
			t.is(verified.code, 0, `verify ${round} of ${name}: ${verified.stdout}${verified.stderr}`);
			if (round === rounds) await backtraced(t, name, out);
			rmSync(out, { recursive: true });
		}
	}
	t.log(
		`${pauses.length} takes, pauses of ${(Math.min(...pauses) / 1e6).toFixed(2)} to ` +
			`${(Math.max(...pauses) / 1e6).toFixed(2)} ms`
	);
}

/** What a busy machine does by itself, once in a while, and what is refused for it, with the target as it was. */
const NOT_NOW = [
	// A clone() that waits in the kernel for longer than other threads may wait (docs/inject.md).
	'does not come back from the kernel',
	// A thread that waits for a disk.
	'nothing can stop it there (state D',
];
const PATIENCE_MS = 60_000;

/** Tried again while it is refused for one of these; the test says so. */
async function takenInTheEnd(t: ExecutionContext, pid: number, options: string[]): Promise<Ended> {
	for (const end = Date.now() + PATIENCE_MS; ;) {
		const taken = await procsnap('take', String(pid), ...options);
		const notNow = NOT_NOW.some((text) => taken.stderr.includes(text));
		if (taken.code !== 1 || !notNow || Date.now() > end) return taken;
		t.log(`refused once: ${taken.stderr.trim()}`);
		await released(pid, `process ${pid}`);
		await sleep(100);
	}
}

/** Each client is served once more: none was lost or waits for ever, or has met an error, which is said then. */
async function allServed(served: () => number[], check: () => void, name: string): Promise<void> {
	const before = served();
	await eventually(() => {
		check();
		return served().every((count, i) => count > (before[i] as number)) ? true : undefined;
	}, `all clients are served after ${name} was taken`);
	check();
}

/** The tracer stays for as long as it follows a call to its end (docs/inject.md, "Blocked calls"): a minute at most. */
async function released(pid: number, name: string): Promise<void> {
	await eventually(() => (isFree(pid) ? true : undefined), `${name} is neither stopped nor traced`);
}

/** gdb finds the program, all threads, and how thread 1 came to where it is. */
async function backtraced(t: ExecutionContext, name: string, dir: string): Promise<void> {
	const { target, threads } = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as Manifest;
	const { stdout, stderr } = await run(
		'gdb',
		[
			'-nx', '-batch', '-iex', 'set debuginfod enabled off', '-iex', 'set auto-load off', '-ex', 'info threads',
			'-ex', 'thread 1', '-ex', 'backtrace', target.program, join(dir, 'core'),
		]
	);
	const [listed = '', backtrace = ''] = stdout.split('[Switching to thread 1 ');
	t.is(listed.match(/^[* ] +\d+ +(?:Thread|LWP) /gm)?.length, threads.length, `threads of ${name}:\n${listed}`);
	// The innermost function by its name shows that gdb read the list of libraries, a frame around it that it read
	// the stack.
	t.regex(
		backtrace, /^#0 +(?:0x[0-9a-f]+ in )?\w+[^]*\n#\d+ +0x[0-9a-f]+ in /m,
		`backtrace of ${name}:\n${backtrace}\n${stderr}`
	);
	t.notRegex(stdout + stderr, /Cannot access memory|truncated|not in executable format|Failed to read|mismatch/i);
}

/** A process that never had children has none now: no duplicate, no zombie of one. */
export async function leftAlone(t: ExecutionContext, pid: number, expected: () => number[] = () => []): Promise<void> {
	const sorted = (pids: number[]): string => pids.sort((a, b) => a - b).join(' ');
	let seen = '';
	await eventually(() => {
		seen = sorted(childrenOf(pid));
		return seen === sorted(expected()) ? true : undefined;
	}, 'the children are those the target made', 30_000)
		.catch(() => t.is(seen, sorted(expected()), 'the children are those the target made'));
	await released(pid, `process ${pid}`);
}
