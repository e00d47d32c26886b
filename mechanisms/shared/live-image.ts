/** What /proc tells of a process that runs on. It is of no moment: what is read first may not fit what is read last. */
import { readdirSync, readFileSync } from 'node:fs';
import { callName, nowNs, type ThreadRegisters, type Tracer } from '../../native/index.ts';
import { ProcessImage } from './process-image.ts';
import type { UnreadThread, Waiting } from './types.ts';

export class LiveImage extends ProcessImage {
	readonly #pid: number;

	/** `thread`: one of the process that lives. Throws Failure where it has ended. */
	constructor(tracer: Tracer, pid: number, thread: number) {
		super(tracer, thread, { momentNs: Number(nowNs()), skewNs: 0 });
		this.#pid = pid;
	}

	/** Only of a thread that is stopped they can be read. */
	override threads(): ThreadRegisters[] {
		return [];
	}

	unreadThreads(): UnreadThread[] {
		return readdirSync(`/proc/${this.#pid}/task`).map(Number).flatMap((tid) => {
			const text = readIfThere(`/proc/${this.#pid}/task/${tid}/syscall`);
			if (text === null && readIfThere(`/proc/${this.#pid}/task/${tid}/comm`) === null) return [];
			const skewNs = Number(nowNs()) - this.momentNs;
			return [{ tid, skewNs, running: text?.trim() === 'running', waiting: waitingIn(text ?? '') }];
		});
	}

	override copiedBytes(): Promise<number> {
		return Promise.resolve(0);
	}
}

/** A line of /proc/PID/task/TID/syscall, proc_pid_syscall(5). null: it has none, or runs. Pure but for the name. */
export function waitingIn(line: string): Waiting | null {
	const [call = '', ...words] = line.trim().split(' ');
	if (!/^-?\d+$/.test(call) || words.length < 2 || !words.every((word) => /^0x[0-9a-f]+$/.test(word))) return null;
	const [stackPointer = '', programCounter = ''] = words.slice(-2);
	const number = Number(call);
	return {
		call: number < 0 ? null : callName(number), arguments: words.slice(0, -2), stackPointer, programCounter,
	};
}

/** null: it has ended, or that is not ours to see. */
function readIfThere(path: string): string | null {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return null;
	}
}
