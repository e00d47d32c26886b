/** QEMU as a child that ends with us, however we end. */
import { spawn } from 'node:child_process';
import { messageOf } from '../../../common/errors.ts';

export interface QemuProcess {
	/** When it has ended: its exit code, null after a signal; and what it said. */
	ended: Promise<{ code: number | null; said: string }>;
	kill: () => void;
	/** What it has said so far. */
	said: () => string;
}

/** The kernel kills it when we die, be it by SIGKILL: setpriv asks for that. */
const BOUND_TO_US = ['--pdeathsig', 'KILL', '--'];

export function startQemu(qemu: string, args: string[]): QemuProcess {
	const first = launch('setpriv', [...BOUND_TO_US, qemu, ...args]);
	let current = first;
	const ended = first.ended.catch((error: unknown) => {
		if (!isMissing(error)) {
			throw error;
		}
		// Without setpriv (Debian package util-linux) it still ends with every ordinary end of ours.
		current = launch(qemu, args);
		return current.ended;
	}).catch((error: unknown) => ({ code: 1, said: messageOf(error) }));
	return { ended, kill: () => current.kill(), said: () => current.said() };
}

function launch(program: string, args: string[]): QemuProcess {
	// A process group of its own: the terminal's Ctrl-C is for us to act on.
	const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
	let text = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (more: string) => { text += more; });
	}
	const ended = new Promise<{ code: number | null; said: string }>((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (code) => resolve({ code, said: text }));
	});
	const kill = () => {
		try {
			process.kill(-(child.pid ?? Number.NaN), 'SIGKILL');
		} catch {
			// It has ended.
		}
	};
	return { ended, kill, said: () => text };
}

function isMissing(error: unknown): boolean {
	return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
