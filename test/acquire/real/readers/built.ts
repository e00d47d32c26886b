/** Programs in C of the tests' own: with AddressSanitizer, in a container, of 4 GiB. */
import { cpSync, mkdirSync, realpathSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childrenOf } from '../taking.ts';
import { atRest, compile, halvesOf, startProgram, textOf } from './starting.ts';
import type { Program } from './types.ts';

const SOURCE = fileURLToPath(new URL('targets/holding.c', import.meta.url));
const STACKS = [['read', 'reads', 'holds', 'main'], ['pause', 'pauses', 'start_thread']];
const GIB = 2 ** 30;

export const asan: Program = {
	name: 'ASan', needs: { gcc: 'gcc' }, small: true,
	async start(ends, folder) {
		const executable = join(folder, 'holding');
		compile(SOURCE, executable, '-fsanitize=address');
		const program = startProgram(ends, executable, [...halvesOf('ASan'), '16777216']);
		await program.said;
		await atRest(program.pid);
		return { pid: program.pid, executable, text: textOf('ASan'), stacks: STACKS };
	},
};

/** Its own names: of users, processes, mounts, hosts; a root of its own, which is a folder of ours. */
export const container: Program = {
	name: 'container', needs: { bwrap: 'bubblewrap', gcc: 'gcc' }, small: true,
	async start(ends, folder) {
		const root = join(folder, 'root'), executable = join(root, 'bin/holding');
		mkdirSync(dirname(executable), { recursive: true });
		compile(SOURCE, executable);
		for (const library of librariesOf(executable)) {
			mkdirSync(join(root, dirname(library)), { recursive: true });
			cpSync(realpathSync(library), join(root, library));
		}
		const program = startProgram(ends, 'bwrap', [
			'--unshare-all', '--die-with-parent', '--bind', root, '/', '--proc', '/proc', '--dev', '/dev',
			'/bin/holding', ...halvesOf('container'), '16777216',
		]);
		await program.said;
		const pid = innermost(program.pid);
		await atRest(pid);
		return { pid, executable, root, text: textOf('container'), stacks: STACKS };
	},
};

function librariesOf(program: string): string[] {
	const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
	return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
}

/** bwrap has a child, which is the container's first process, and that has the program. */
function innermost(pid: number): number {
	const child = childrenOf(pid)[0];
	return child === undefined ? pid : innermost(child);
}

export const large: Program = {
	name: '4 GiB', needs: { gcc: 'gcc' }, small: false,
	async start(ends, folder) {
		const executable = join(folder, 'holding');
		compile(SOURCE, executable);
		const program = startProgram(ends, executable, [...halvesOf('large'), String(4 * GIB)]);
		await program.said;
		await atRest(program.pid);
		return {
			pid: program.pid, executable, text: textOf('large'), stacks: STACKS,
			// Each word says which one it is.
			asks: {
				gdb: {
					commands: ['print words[0]', 'print words[268435456]', 'print words[536870911]'],
					says: [/ = 0\n/, / = 268435456\n/, / = 536870911\n/],
				},
			},
		};
	},
};
