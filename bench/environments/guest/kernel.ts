/** The kernel that a guest boots: built by scripts/kernel where the cache has none. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../../common/errors.ts';

export const VERSIONS = ['6.12', '6.1'] as const;
export type KernelVersion = (typeof VERSIONS)[number];

export interface KernelChoice {
	version: KernelVersion;
	/** With the checks of KASAN, lockdep and their like. */
	debug: boolean;
}

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));

/** Instead of what scripts/kernel builds: the folder of any kernel's bzImage. */
const OVERRIDE = 'PROCSNAP_KERNEL';

/** The folder of a kernel that is there already, or null. */
export function findKernel(choice: KernelChoice, env = process.env): string | null {
	const own = env[OVERRIDE];
	if (own !== undefined && own !== '') {
		if (!existsSync(join(own, 'bzImage'))) {
			throw new Failure(
				`${OVERRIDE}=${own}: there is no bzImage in it: name the folder of a built kernel, or unset it`
			);
		}
		return resolve(own);
	}
	const { status, stdout } = spawnSync(
		'sh', ['scripts/kernel', 'path', ...parameters(choice)],
		{ cwd: PROJECT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
	);
	return status === 0 && stdout.trim() !== '' ? stdout.trim() : null;
}

/** The same, built first where that has to be: minutes, with progress on the screen. */
export async function readyKernel(
	choice: KernelChoice, screen: { write: (text: string) => unknown }, signal?: AbortSignal
): Promise<string> {
	const found = findKernel(choice);
	if (found !== null) {
		return found;
	}
	screen.write(`Building the patched kernel ${choice.version}${choice.debug ? ', debug' : ''}: once, some minutes\n`);
	const { status, said } = await build(choice, screen, signal);
	signal?.throwIfAborted();
	const folder = said.trim().split('\n').at(-1) ?? '';
	if (status !== 0 || folder === '') {
		throw new Failure(
			`the patched kernel ${choice.version} could not be built (exit code ${status ?? 'none'}): see above; by ` +
				`hand: npm run kernel -- build`
		);
	}
	return folder;
}

async function build(
	choice: KernelChoice, screen: { write: (text: string) => unknown }, signal: AbortSignal | undefined
): Promise<{ status: number | null; said: string }> {
	// A group of its own, so that the whole build ends with an abort; its own trap tidies up.
	const child = spawn(
		'sh', ['scripts/kernel', 'build', ...parameters(choice)],
		{ cwd: PROJECT, stdio: ['ignore', 'pipe', 'pipe'], detached: true }
	);
	let said = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => { said += text; });
	child.stderr.setEncoding('utf8').on('data', (text: string) => { screen.write(text); });
	const abort = () => process.kill(-(child.pid ?? Number.NaN), 'SIGTERM');
	signal?.addEventListener('abort', abort);
	try {
		return await new Promise((resolveEnd, reject) => {
			child.once('error', reject);
			child.once('close', (status) => resolveEnd({ status, said }));
		});
	} finally {
		signal?.removeEventListener('abort', abort);
	}
}

function parameters({ version, debug }: KernelChoice): string[] {
	return ['--version', version, ...(debug ? ['--debug'] : [])];
}
