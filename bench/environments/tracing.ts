/** Finds out before anything is measured whether this process may trace another. */
import { spawn } from 'node:child_process';
import { Failure, codeOf, messageOf } from '../../common/errors.ts';
import type { Tracer } from '../../native/index.ts';
import type { Mechanism } from '../types.ts';
import { systemReader, type Reader } from './label.ts';

/** Takes a copy of a child with the mechanisms in turn; one that works is enough. Throws Failure if none does. */
export async function checkTracing(
	tracer: Tracer, mechanisms: Mechanism[], reader: Reader = systemReader
): Promise<void> {
	const fromOutside = mechanisms.filter((mechanism) => !mechanism.cooperative);
	if (fromOutside.length === 0) {
		return;
	}
	const child = spawn('sleep', ['600'], { stdio: 'ignore' });
	try {
		const pid = await new Promise<number>((resolve, reject) => {
			child.once('error', reject);
			child.once('spawn', () => resolve(child.pid ?? 0));
		});
		let last: unknown;
		for (const mechanism of fromOutside) {
			try {
				mechanism.open(tracer, { pid }).end();
				return;
			} catch (error) {
				last = error;
			}
		}
		throw refusal(last, reader);
	} finally {
		child.kill('SIGKILL');
	}
}

function refusal(error: unknown, reader: Reader): Failure {
	const message = messageOf(error);
	const forbidden = ['EPERM', 'EACCES'].includes(codeOf(error) ?? '') ||
		/\b(?:EPERM|EACCES|not permitted|permission)\b/i.test(message);
	if (!forbidden) {
		return new Failure(
			`no mechanism works on a child process of ours, so nothing was measured: ${message}`, { cause: error }
		);
	}
	const scope = Number(reader.file('/proc/sys/kernel/yama/ptrace_scope') ?? 0);
	const yama = scope > 0 ? `, or sysctl kernel.yama.ptrace_scope=0 (it is ${scope})` : '';
	return new Failure(
		`no permission to trace other processes (${message}): run as root or with CAP_SYS_PTRACE${yama}; in a ` +
			`container start it with --cap-add SYS_PTRACE`,
		{ cause: error }
	);
}
