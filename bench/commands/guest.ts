/** `guest COMMAND`: boots the patched kernel in QEMU and runs the command there. */
import type { Command } from '../discover.ts';
import { chooseAccelerator } from '../environments/guest/accelerator.ts';
import { bootGuest } from '../environments/guest/boot.ts';
import { VERSIONS, readyKernel } from '../environments/guest/kernel.ts';
import { readyQemu } from '../environments/guest/ready.ts';
import { UsageError } from '../../common/errors.ts';
import { countOption, expectOneOf, helpFor, parseOptions, userPath, type Option } from '../../common/options.ts';

const OPTIONS = {
	cpus: { kind: 'one', value: 'N', help: 'virtual CPUs (default: 1)' },
	memory: { kind: 'one', value: 'MiB', help: 'memory (default: 4096)' },
	kernel: {
		kind: 'one', value: 'NAME', help: `${VERSIONS.join(' or ')} (default: ${VERSIONS[0]}); built if it is not yet`,
	},
	debug: { kind: 'flag', help: 'the debug kernel: KASAN, lockdep, kmemleak; slow' },
	'count-instructions': { kind: 'flag', help: 'the guest\'s clock counts instructions, 1 ns each; takes one CPU' },
	timeout: { kind: 'one', value: 'S', help: 'seconds after which it is taken to hang (default: 600)' },
	share: { kind: 'one', value: 'DIR', help: 'folder that the guest may write to, there /run/share' },
	help: { kind: 'flag', help: 'this text' },
} as const satisfies Record<string, Option>;

const HELP = `npm run guest -- [options] [--] COMMAND [ARGS]

Runs COMMAND in a guest under the patched kernel: the host's files read-only, in
this folder and with this environment, /tmp, /var/tmp, /run and /dev/shm empty and
its own. Prints what it prints and exits with its status. With KVM where that
works, otherwise emulated, which is ten to twenty times slower. Node on several
emulated CPUs may die in WebAssembly: start it as node --liftoff-only.

${helpFor(OPTIONS)}
Exit code: the command's; 1 also if the guest died, hung or could not be started;
2 wrong usage; 130 after Ctrl-C. Lines of the kernel's log that no sound kernel
writes are repeated on standard error, and the exit code is then not 0.
`;

export const command: Command = {
	summary: 'run a command in a guest under the patched kernel',
	run: async (args) => {
		const { own, rest } = split(args);
		const { flags, values } = parseOptions(own, OPTIONS);
		if (flags.has('help')) {
			process.stdout.write(HELP);
			return 0;
		}
		if (rest.length === 0) {
			throw new UsageError('guest needs a command: npm run guest -- uname -a');
		}
		const countInstructions = flags.has('count-instructions');
		const cpus = countOption('cpus', values.cpus?.at(-1) ?? '1', 1, 16);
		const memoryMiB = countOption('memory', values.memory?.at(-1) ?? '4096', 256, 1 << 20);
		const timeoutS = countOption('timeout', values.timeout?.at(-1) ?? '600', 1, 1 << 20);
		const version = expectOneOf('kernel', values.kernel?.at(-1) ?? VERSIONS[0], VERSIONS);
		if (countInstructions && cpus > 1) {
			throw new UsageError('--count-instructions takes one CPU: leave --cpus out');
		}
		const shareDir = values.share === undefined ? {} : { shareDir: userPath(values.share.at(-1) ?? '.') };
		return untilInterrupted(async (signal) => {
			const screen = process.stderr;
			await readyQemu(screen);
			const kernelDir = await readyKernel({ version, debug: flags.has('debug') }, screen, signal);
			const { accelerator } = countInstructions
				? { accelerator: 'tcg' as const }
				: await chooseAccelerator(kernelDir, signal);
			const end = await bootGuest({
				kernelDir, cpus, memoryMiB, accelerator, countInstructions, timeoutS, signal, ...shareDir,
				command: rest, cwd: userPath('.'), env: process.env,
				onOutput: (stream, data) => { process[stream].write(data); },
				onNote: (text) => { screen.write(`procsnap: ${text}\n`); },
			});
			if (end.clockFault !== null) {
				screen.write(`procsnap: ${end.clockFault}\n`);
			}
			if (end.complaints.length === 0) {
				return end.status;
			}
			screen.write(
				`procsnap: the guest's kernel complained:\n${end.complaints.map((line) => `  ${line}\n`).join('')}`
			);
			return end.status === 0 ? 1 : end.status;
		});
	},
};

/** Our options end at the first word that is none, or at `--`. */
function split(args: string[]): { own: string[]; rest: string[] } {
	let at = 0;
	while (at < args.length && args[at]?.startsWith('-') === true && args[at] !== '--') {
		const name = args[at]?.slice(2) ?? '';
		const takesNext = name in OPTIONS && OPTIONS[name as keyof typeof OPTIONS].kind === 'one';
		at += takesNext ? 2 : 1;
	}
	return { own: args.slice(0, at), rest: args.slice(args[at] === '--' ? at + 1 : at) };
}

/** Ctrl-C and SIGTERM end the guest at once and leave nothing behind. */
async function untilInterrupted(action: (signal: AbortSignal) => Promise<number>): Promise<number> {
	const controller = new AbortController();
	let code = 130;
	const listeners = ([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const).map(([signal, exitCode]) => {
		const listener = () => {
			code = exitCode;
			controller.abort();
		};
		process.on(signal, listener);
		return { signal, listener };
	});
	try {
		return await action(controller.signal);
	} catch (error) {
		if (controller.signal.aborted) {
			return code;
		}
		throw error;
	} finally {
		listeners.forEach(({ signal, listener }) => process.off(signal, listener));
	}
}
