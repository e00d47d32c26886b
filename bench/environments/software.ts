/** Which code measured: our commit, Node, the compiler and the libraries of the lock file. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Software } from '../store/manifest.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

export function describeSoftware(): Software {
	const { version } = readJson('package.json') as { version: string };
	// A copy without .git inside somebody else's repository has no commit of ours.
	const ours = output('git', ['rev-parse', '--show-prefix']) === '';
	const commit = ours ? output('git', ['rev-parse', 'HEAD']) : null;
	// Exit code 0 with no output is a clean tree; no repository at all is neither.
	const changes = commit === null ? null : output('git', ['status', '--porcelain']);
	return {
		procsnap: { version, commit, dirty: changes === null ? null : changes !== '' },
		node: process.versions.node,
		compiler: output('gcc', ['--version'])?.split('\n')[0] ?? null,
		libraries: libraries(),
	};
}

/** The versions that the lock file pins for what package.json asks for. */
function libraries(): Record<string, string> {
	const { packages } = readJson('package-lock.json') as {
		packages: Record<string, { version?: string; dependencies?: Record<string, string> }>;
	};
	const wanted = Object.keys(packages['']?.dependencies ?? {}).sort();
	return Object.fromEntries(wanted.map((name) => [name, packages[`node_modules/${name}`]?.version ?? 'unknown']));
}

function readJson(name: string): unknown {
	return JSON.parse(readFileSync(`${PROJECT}/${name}`, 'utf8'));
}

function output(command: string, args: string[]): string | null {
	const { error, status, stdout } = spawnSync(
		command, args, { cwd: PROJECT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
	);
	return error === undefined && status === 0 ? stdout.trim() : null;
}
