/** Evidence of programs that serve meanwhile: taken by the command line, verified, opened by gdb. */
import type { ExecutionContext } from 'ava';
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Manifest } from '../../../acquire/evidence/manifest.ts';
import { forEvidence } from '../../../mechanisms/shared/all.ts';
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
export function temporaryFolder(t: Pick<ExecutionContext, 'teardown'>): string {
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
	/** What it has, for which a mechanism may refuse it, saying so; one at least has to take it. */
	refusedFor?: keyof typeof REFUSED_FOR;
	/** After each take: by what, and what `served` gave before it. */
	taken?: (mechanism: string, before: number[]) => void;
}

const opens = (pid: number, what: string): boolean =>
	readdirSync(`/proc/${pid}/fd`).some((fd) => {
		try {
			return readlinkSync(`/proc/${pid}/fd/${fd}`) === what;
		} catch {
			return false;	// closed meanwhile
		}
	});

/** What may be said of what a process has, where it has that indeed. */
const REFUSED_FOR = {
	ioUring: {
		isThere: (pid: number) => opens(pid, 'anon_inode:[io_uring]'),
		text: (pid: number) =>
			`process ${pid} has an io_uring: what a device writes into its memory for that is not seen; take a copy by ` +
				`inject`,
	},
};

/**
 * `npm run test:real`: so many takes of each program by each mechanism (PROCSNAP_TEST_TAKES), instead of the rounds
 * that a test asks for.
 */
export const FULL =
	process.env['PROCSNAP_TEST_AMOUNT'] === 'full' ? Number(process.env['PROCSNAP_TEST_TAKES'] ?? 100) : null;

/** One after the other by each mechanism that this machine has. */
const BY_TURNS = forEvidence().filter(({ unavailable }) => unavailable() === null).map(({ name }) => name);

/** Of one mechanism: the pauses that its ledgers tell of, and what it was refused for. */
interface Told { pausesNs: number[]; refusals: Map<string, number> }

/** Takes evidence of each process in so many rounds, each by another mechanism, and looks at all of it. */
export async function takeRepeatedly(
	t: ExecutionContext, rounds: number, { processes, served, check, refusedFor, ...hooks }: Serving
): Promise<void> {
	const folder = temporaryFolder(t);
	const key = join(folder, 'key');
	const told = new Map(BY_TURNS.map((name): [string, Told] => [name, { pausesNs: [], refusals: new Map() }]));
	const each = Object.keys(processes).length;
	const all = FULL === null ? Math.max(rounds, BY_TURNS.length) : Math.ceil(FULL / each) * BY_TURNS.length;
	if (FULL !== null) t.timeout(all * each * 60_000);
	for (let round = 1; round <= all; round++) {
		const mechanism = BY_TURNS[round % BY_TURNS.length] as string;
		const { pausesNs, refusals } = told.get(mechanism) as Told;
		for (const [name, pid] of Object.entries(processes)) {
			const out = join(folder, `${name}-${round}`), what = `take ${round} of ${name} by ${mechanism}`;
			const before = served();
			const taken =
				await takenInTheEnd(pid, ['--out', out, '--key', key, '--json', '--mechanism', mechanism], refusals);
			const reason = refusedFor === undefined ? undefined : REFUSED_FOR[refusedFor];
			const refused = reason?.isThere(pid) === true && whyNot(taken) === reason.text(pid);
			t.is(taken.code, refused ? 1 : 0, `${what}: ${whyNot(taken)}`);
			t.true(
				refused || served().some((number, i) => number > (before[i] as number)),
				`nobody was served meanwhile: ${what}`
			);
			await allServed(served, check, name);
			await released(pid, name);
			if (refused) {
				t.false(existsSync(out), `${what} was refused, and there is evidence`);
				count(refusals, `it has ${refusedFor}`);
				continue;
			}
			pausesNs.push((JSON.parse(taken.stdout) as { ledger: { pauseNs: number } }).ledger.pauseNs);
			hooks.taken?.(mechanism, before);
			const verified = await procsnap('verify', out, '--key', `${key}.pub`);
			t.is(verified.code, 0, `verify of ${what}: ${verified.stdout}${verified.stderr}`);
			if (round > all - BY_TURNS.length) await backtraced(t, name, out);
			rmSync(out, { recursive: true });
		}
		if (FULL !== null && round % 20 === 0) process.stderr.write(`${t.title}: ${round} of ${all} rounds\n`);
	}
	for (const [name, figures] of told) t.log(`${name}: ${textOf(figures)}`);
	t.true([...told.values()].some(({ pausesNs }) => pausesNs.length > 0), 'each mechanism refuses it');
}

function count(refusals: Map<string, number>, reason: string): void {
	refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
}

function textOf({ pausesNs, refusals }: Told): string {
	const sorted = pausesNs.sort((a, b) => a - b).map((ns) => (ns / 1e6).toFixed(2));
	return [
		`${sorted.length} takes`,
		...(sorted.length === 0
			? []
			: [`pauses of ${sorted[0]} to ${sorted.at(-1)} ms, median ${sorted[sorted.length >> 1]} ms`]),
		...[...refusals].map(([reason, times]) => `refused ${times} times: ${reason}`),
	].join('; ');
}

/** What a busy machine does by itself, once in a while, and what is refused for it, with the target as it was. */
const NOT_NOW = [
	// A clone() that waits in the kernel for longer than other threads may wait (docs/inject.md).
	'does not come back from the kernel',
	// A thread that gets no CPU to stop on.
	'or does not get to run; try again later',
	// A thread that waits for a disk.
	'nothing can stop it there (state D',
	// What it writes to while a collector that gets no CPU is checking (docs/precopy.md).
	'it cannot be told whether they changed before the moment or after it, in 8 tries',
];
const PATIENCE_MS = 60_000;

/** Tried again while it is refused for one of these, which are counted. */
/** Why nothing was taken, by --json, or what was said besides. */
const whyNot = ({ code, stdout, stderr }: Ended): string =>
	(code === 1 && stdout !== '' ? (JSON.parse(stdout) as { error: string }).error : stderr);

async function takenInTheEnd(pid: number, options: string[], refusals: Map<string, number>): Promise<Ended> {
	for (const end = Date.now() + PATIENCE_MS; ;) {
		const taken = await procsnap('take', String(pid), ...options);
		const reason = NOT_NOW.find((text) => whyNot(taken).includes(text));
		if (taken.code !== 1 || reason === undefined || Date.now() > end) return taken;
		count(refusals, reason);
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
