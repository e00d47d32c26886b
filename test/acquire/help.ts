/**
 * What tests of evidence share: targets (targets/*.c), `procsnap take` of them, and the tools that it is held
 * against.
 */
import type { ExecutionContext } from 'ava';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Manifest, RegionRecord } from '../../acquire/evidence/manifest.ts';
import { start, type Target } from '../native/help.ts';
import { NODE } from '../processes.ts';

const folder = fileURLToPath(new URL('targets', import.meta.url));
execFileSync('make', ['-s', '-C', folder], { stdio: ['ignore', 'inherit', 'inherit'] });

export const acquireProgram = (name: string): string => join(folder, 'build', name);

/** Start a target of targets/, ready, and end it with the test. */
export const startTarget = (t: ExecutionContext, name: string, ...args: Array<string | number>): Promise<Target> =>
	start(t, acquireProgram(name), ...args);

/** A folder that goes away with the test. */
export function temporaryFolder(t: ExecutionContext): string {
	const made = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(made, { recursive: true, force: true }));
	return made;
}

export interface Evidence {
	dir: string;
	core: string;
	manifest: Manifest;
}

const cli = fileURLToPath(new URL('../../acquire/cli.ts', import.meta.url));

/** `procsnap take`, as a user calls it. Throws what it says if it fails. */
export async function takeEvidence(t: ExecutionContext, pid: number, ...options: string[]): Promise<Evidence> {
	const base = temporaryFolder(t), dir = join(base, 'evidence');
	const [node, ...flags] = NODE;
	await promisify(execFile)(
		node, [...flags, cli, 'take', String(pid), '--out', dir, '--key', join(base, 'key'), ...options]
	);
	return {
		dir, core: join(dir, 'core'),
		manifest: JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as Manifest,
	};
}

/** What `procsnap VERB DIR` prints. Throws if it fails. */
export function verb(name: string, dir: string, ...options: string[]): string {
	const [node, ...flags] = NODE;
	return execFileSync(node, [...flags, cli, name, dir, ...options], { encoding: 'utf8', maxBuffer: 256 << 20 });
}

export interface Said {
	status: number | null;
	stdout: string;
	stderr: string;
}

/** Run a tool in English, without the user's settings of it. */
export function run(tool: string, args: string[]): Said {
	const { status, stdout, stderr, error } = spawnSync(
		tool, args,
		{
			encoding: 'utf8', maxBuffer: 256 << 20,
			env: { ...process.env, LC_ALL: 'C', HOME: '/nonexistent', DEBUGINFOD_URLS: '' },
		}
	);
	if (error !== undefined) throw error;
	return { status, stdout, stderr };
}

/** Why tests with these tools cannot run here, or null. */
export function noTools(...tools: string[]): string | null {
	const missing = tools.filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
	return missing.length === 0 ? null : `there is no ${missing.join(', ')}: sh scripts/install-test-tools`;
}

/** The region with this address in it. */
export function regionAt({ regions }: Pick<Manifest, 'regions'>, address: number): RegionRecord | undefined {
	return regions.find(({ start: first, end }) => Number(first) <= address && address < Number(end));
}
