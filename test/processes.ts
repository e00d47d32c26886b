/** Finding what a run left behind: its processes carry a mark in their environment, and so do duplicates of them. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// Whatever the tests start need not be compiled again each time.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('../node_modules/.cache/procsnap', import.meta.url));

// Beside whatever else keeps the CPUs busy, a collector that gives way is not done before a test's patience is.
process.env['PROCSNAP_NICE'] ??= '0';

/** Node with the flags of this one: a guest needs some (bench/environments/guest/node.ts). */
export const NODE = [process.execPath, ...process.execArgv] as [string, ...string[]];

export const aMark = (): string => `PROCSNAP_TEST_MARK=${randomUUID()}`;

function read(path: string): string {
	try {
		return readFileSync(path, 'latin1');
	} catch {
		return '';	// it has ended
	}
}

export const commandLine = (pid: number): string => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
export const statusField = (pid: number, name: string): string =>
	new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(read(`/proc/${pid}/status`))?.[1] ?? '';

/** Processes with the mark that have not ended; zombies are the init process's business. */
export function marked(mark: string): number[] {
	return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
		.filter((pid) => read(`/proc/${pid}/environ`).split('\0').includes(mark));
}

/** What is left after at most `ms`: an ended target needs a moment to be gone. */
export async function leftOver(mark: string, ms = 30_000): Promise<string[]> {
	for (const until = Date.now() + ms; Date.now() < until && marked(mark).length > 0;) await setTimeout(50);
	return marked(mark).map((pid) => `${pid} ${commandLine(pid)}`);
}

/** Resolves when `found` gives something; rejects after `ms`. */
export async function eventually<T>(found: () => T | undefined, what: string, ms = 120_000): Promise<T> {
	for (const until = Date.now() + ms; Date.now() < until;) {
		const value = found();
		if (value !== undefined) return value;
		await setTimeout(20);
	}
	throw new Error(`${what}: not within ${ms} ms`);
}

/** State, tracer and threads' states: nothing of ours holds the process. */
export const isFree = (pid: number): boolean =>
	statusField(pid, 'TracerPid') === '0' &&
		!readdirSync(`/proc/${pid}/task`).some((tid) => /^[tT]/.test(statusField(Number(tid), 'State')));
