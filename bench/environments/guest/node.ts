/** How Node is started in a guest. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * V8 patches the jump table of WebAssembly (which takes the types out of TypeScript) while other
 * CPUs run it, when its optimizing compiler is done. QEMU 7.2's emulation of several CPUs does not
 * bear that: one start in ten ended with SIGSEGV or a failed check of V8's, with the same trace
 * under Debian's own kernel; of 43 with this flag, none did.
 */
export const NODE_FLAGS = ['--liftoff-only'];

/** Node's cache of compiled code, module.enableCompileCache(): beside the dependencies, where a guest can read it. */
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/procsnap-guest', import.meta.url));

/**
 * The environment of a Node in a guest, whose cache is filled here by one start with the same flags
 * (`program`, its arguments, which must measure nothing): emulated, taking the types out of the
 * harness costs more than half of a start. An entry serves only the very source that it was made
 * from; without the cache, or where this folder cannot be written to, Node compiles as ever.
 */
export function warmNode(program: string[]): Record<string, string> {
	const env = { NODE_COMPILE_CACHE: CACHE };
	spawnSync(
		process.execPath, [...NODE_FLAGS, ...program],
		{ cwd: PROJECT, env: { ...process.env, ...env }, stdio: 'ignore' }
	);
	return env;
}
