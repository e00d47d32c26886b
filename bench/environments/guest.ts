/**
 * A virtual machine that boots the patched kernel and runs there the very same
 * harness as the host does: same files, same addon, same plan of the same seed.
 */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure, messageOf } from '../../common/errors.ts';
import type { Screen } from '../runner/progress.ts';
import type { Guest } from '../store/manifest.ts';
import { createFolder, createRunId, endRun, readRun, type StoredRun } from '../store/run.ts';
import type { Environment, MeasuredRun, Request } from './environment.ts';
import { chooseAccelerator } from './guest/accelerator.ts';
import { bootGuest, type GuestEnd } from './guest/boot.ts';
import { readyKernel } from './guest/kernel.ts';
import { NODE_FLAGS, warmNode } from './guest/node.ts';
import { qemuVersion } from './guest/qemu.ts';
import { readyQemu } from './guest/ready.ts';
import { tailOf } from './guest/complaints.ts';
import { GUEST_SHARE } from './guest/script.ts';
import { GUEST_VARIABLE, type ToldGuest } from './here.ts';
import { host } from './host.ts';
import { labelFrom, readEvidence } from './label.ts';

/** A target of 1 GiB, its duplicate after it was written to, and a copy of all its bytes. */
const MEMORY_MIB = 4096;

const TIMEOUT_S = 3600;
/** Longer than any variant takes, even emulated. */
const QUIET_S = 400;

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

export interface GuestShape {
	cpus: number;
	/** Instead of time. */
	countInstructions: boolean;
}

export function createGuest({ cpus, countInstructions }: GuestShape): Environment {
	const title = `guest with ${cpus} CPU${cpus === 1 ? '' : 's'}${countInstructions ? ', instructions counted' : ''}`;
	return {
		name: 'guest',
		title: `${title}: the patched kernel in QEMU`,
		heading: title,
		folder: `guest-${cpus}cpu`,
		// What is missing is installed and built when it is used; then it is told what could not be.
		unavailable: () => null,
		label: () => null,
		measure: async (request, screen, interrupt) =>
			measureInGuest({ cpus, countInstructions }, request, screen, interrupt),
	};
}

async function measureInGuest(
	{ cpus, countInstructions }: GuestShape, request: Request, screen: Screen,
	interrupt: { readonly requested: boolean }
): Promise<MeasuredRun> {
	const stop = abortWhen(interrupt);
	try {
		return await bootAndMeasure({ cpus, countInstructions }, request, screen, stop.signal);
	} catch (error) {
		throw stop.signal.aborted && !(error instanceof Failure)
			? new Failure('interrupted before anything was measured')
			: error;
	} finally {
		stop.dispose();
	}
}

async function bootAndMeasure(
	{ cpus, countInstructions }: GuestShape, request: Request, screen: Screen, signal: AbortSignal
): Promise<MeasuredRun> {
	const qemu = await readyQemu(screen);
	const kernelDir = await readyKernel({ version: '6.12', debug: false }, screen, signal);
	const { accelerator, reason } = countInstructions
		? { accelerator: 'tcg' as const, reason: 'only emulation can count instructions' }
		: await chooseAccelerator(kernelDir, signal);
	const guest: Guest = {
		accelerator, reason, qemu: qemuVersion(qemu), kernel: basename(kernelDir), cpus, memoryMiB: MEMORY_MIB,
		countInstructions,
	};
	const told: ToldGuest = {
		id: request.id ?? createRunId(), outer: accelerator === 'tcg' ? 'emulated' : labelFrom(readEvidence()).label,
		guest,
	};
	const folder = createFolder(told.id, [], request.out);
	screen.write(
		`Booting a ${accelerator === 'kvm' ? 'guest with KVM' : `guest, emulated${reason === null ? '' : `: ${reason}`}`}\n`
	);
	const said: Buffer[] = [];
	const outcome = await bootGuest({
		kernelDir, cpus, memoryMiB: MEMORY_MIB, accelerator, countInstructions,
		command: [process.execPath, ...NODE_FLAGS, 'bench/cli.ts', 'bench', ...innerOptions(request)],
		cwd: PROJECT,
		env: {
			...process.env, ...warmNode(['bench/cli.ts', 'bench', '--list']), [GUEST_VARIABLE]: JSON.stringify(told),
		},
		shareDir: folder.dir, timeoutS: TIMEOUT_S, quietS: QUIET_S, signal,
		onOutput: (_, data) => {
			said.push(data);
			screen.write(data.toString('utf8').replaceAll(GUEST_SHARE, folder.dir));
		},
		onNote: (text) => screen.write(`${text}\n`),
	}).catch((error: unknown) => {
		if (!signal.aborted && !(error instanceof Failure)) {
			throw error;
		}
		return error as Error;
	});
	const run = readBack(folder.dir);
	if (run === null) {
		folder.discard();
		throw signal.aborted ? signal.reason as Error : explain(outcome, said);
	}
	return conclude(run, outcome, signal.aborted);
}

function innerOptions({ profile, seed, options }: Request): string[] {
	return [
		'--environment', host.name, '--no-report', '--out', GUEST_SHARE, '--profile', profile, '--seed', String(seed),
		...options.experiments.flatMap((name) => ['--experiment', name]),
		...options.backends.flatMap((name) => ['--backend', name]),
		...(options.variants ?? []).flatMap((text) => ['--variant', text]),
		...(options.rounds === undefined ? [] : ['--rounds', String(options.rounds)]),
	];
}

/** The run that the guest left in its share; null if it left none. */
function readBack(dir: string): StoredRun | null {
	try {
		return readRun(dir);
	} catch {
		return null;
	}
}

/** A guest that measured nothing. */
function explain(outcome: GuestEnd | Error, said: Buffer[]): Failure {
	if (outcome instanceof Error) {
		return outcome instanceof Failure ? outcome : new Failure(messageOf(outcome), { cause: outcome });
	}
	const words = Buffer.concat(said).toString('utf8').replace(/^procsnap: /m, '');
	return new Failure(
		`the harness in the guest ended with exit code ${outcome.status} and measured nothing:\n${tailOf(words)}`
	);
}

/** What the guest wrote down counts, however it ended. */
function conclude(run: StoredRun, outcome: GuestEnd | Error, interrupted: boolean): MeasuredRun {
	const { dir, manifest, blocks } = run;
	let status: MeasuredRun['status'] = manifest.status === 'running' ? 'failed' : manifest.status;
	let failure: string | null = manifest.error;
	if (interrupted) {
		status = 'interrupted';
		endRun(run, status, null);
	} else if (outcome instanceof Error) {
		failure = messageOf(outcome);
		status = 'failed';
		endRun(run, status, failure);
	} else if (outcome.complaints.length > 0 || outcome.clockFault !== null) {
		failure = outcome.clockFault ?? `the guest's kernel complained: ${outcome.complaints.join('; ')}`;
		status = 'failed';
		endRun(run, status, failure);
	}
	return {
		dir,
		status,
		failure,
		failedRounds: blocks.reduce((sum, block) => sum + block.failures.length, 0),
		failedBlocks: blocks.filter((block) => block.status === 'failed').length,
		dropped: manifest.dropped,
	};
}

/** How often an interruption is looked for. */
const LOOK_EVERY_MS = 100;

function abortWhen(interrupt: { readonly requested: boolean }): { signal: AbortSignal; dispose: () => void } {
	const controller = new AbortController();
	const timer = setInterval(() => {
		if (interrupt.requested) {
			controller.abort();
		}
	}, LOOK_EVERY_MS);
	return { signal: controller.signal, dispose: () => clearInterval(timer) };
}
