/** Running the real command line, as a user does. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import type { ExecutionContext } from 'ava';
import { aMark } from '../../processes.ts';

export interface Run { child: ChildProcess; mark: string; output: () => string; ended: Promise<number | null> }

/** Starts `procsnap ARGS` with a mark in the environment of all that comes of it. */
export function start(args: string[], env: Record<string, string> = {}): Run {
	const mark = aMark();
	const [name = '', value = ''] = mark.split('=');
	const child = spawn(
		process.execPath, ['bench/cli.ts', ...args],
		{ env: { ...process.env, ...env, [name]: value }, stdio: ['ignore', 'pipe', 'pipe'] }
	);
	let said = '';
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding('utf8').on('data', (text: string) => { said += text; });
	return { child, mark, output: () => said, ended: once(child, 'close').then(([code]) => code as number | null) };
}

export async function run(args: string[], env: Record<string, string> = {}): Promise<{
	code: number | null; output: string; mark: string;
}> {
	const { ended, output, mark } = start(args, env);
	return { code: await ended, output: output(), mark };
}

/** A folder of the test's own whose name has a space, removed afterwards. */
export function aFolder(t: ExecutionContext): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap test '));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}
