/** This machine, under the kernel that it runs. */
import { Failure, messageOf } from '../../common/errors.ts';
import { lookWith } from '../runner/look.ts';
import { narrowed, planBlocks, type Chosen } from '../runner/plan.ts';
import { createProgress, type Screen } from '../runner/progress.ts';
import { runPlan } from '../runner/run.ts';
import { SCHEMA_VERSION, type Clock, type Isolation, type Manifest } from '../store/manifest.ts';
import { createRun, createRunId, type Run } from '../store/run.ts';
import type { SampleWriter } from '../store/samples.ts';
import { clock, pinProcess, Tracer, type TracerOptions } from '../../native/index.ts';
import type { Mechanism, Lab, Variant } from '../types.ts';
import type { Environment, MeasuredRun, Request } from './environment.ts';
import { cutRounds, slownessOf } from './emulated.ts';
import { describeHere, type Here } from './here.ts';
import { allowedCpus, planIsolation } from './isolation.ts';
import { describeMachine } from './machine.ts';
import { describeSoftware } from './software.ts';
import { checkTracing } from './tracing.ts';
import { neededBytes, warm } from './warm.ts';

/** Of the native core what measuring needs; tests put a fake in its place. */
export interface Native {
	startTracer: (options: TracerOptions) => Tracer;
	clock: () => Clock;
	pinProcess: (cpus: number[]) => void;
	/** What is done to the machine, and seen of it, around what is measured; left out: nothing. */
	machine?: { warm: typeof warm; lookWith: typeof lookWith };
}

const NATIVE: Native = {
	startTracer: (options) => Tracer.start(options), clock, pinProcess, machine: { warm, lookWith },
};

/** The target's FIFO priority where it is allowed; the tracer's is one higher. */
const PRIORITY = 10;

/** The most that one read may return: the largest that an experiment reads. */
const READ_BYTES = 64 << 20;

export const host: Environment = {
	name: 'host',
	title: 'this machine, under the kernel that it runs',
	heading: 'host',
	folder: 'host',
	unavailable: () => null,
	label: () => describeHere().environment,
	measure: (request, screen, interrupt) => measureOnHost(NATIVE, request, screen, interrupt),
};

export async function measureOnHost(
	native: Native, request: Request, screen: Screen, interrupt: { readonly requested: boolean }
): Promise<MeasuredRun> {
	const usable = usableMechanisms(request);
	const here = describeHere();
	const chosen = chooseVariants(request, usable, here);
	const before = allowedCpus();
	const planned = planIsolation();
	const tracer = native.startTracer({
		cpu: planned.requesterCpu, priority: planned.fifoTracer ? PRIORITY + 1 : 0, dataBytes: READ_BYTES,
	});
	try {
		const isolation = withNotGot(planned, tracer.notGot);
		const draft = describe(request, here, chosen, isolation, native.clock());
		await checkTracing(tracer, request.mechanisms.filter((mechanism) => mechanism.unavailable() === null));
		native.pinProcess([isolation.requesterCpu]);
		const lab: Lab = {
			tracer, mechanisms: usable, targetCpu: isolation.targetCpu,
			targetPriority: isolation.fifoTarget ? PRIORITY : 0, slowness: slownessOf(here.environment.label),
			seed: request.seed,
		};
		const run = createRun(draft.id, request.out);
		// An emulated CPU has no gaps of its own, and would spend minutes on this.
		const machine = here.environment.label === 'emulated' ? undefined : native.machine;
		return await record(run, draft, chosen, lab, screen, interrupt, machine);
	} finally {
		tracer.close();
		// A guest that this process starts next would otherwise have all of its CPUs on this one.
		native.pinProcess(before);
	}
}

/** Manifest first, then the blocks, then the manifest again with how it ended. */
async function record(
	run: Run, begun: Manifest, chosen: Chosen[], lab: Lab, screen: Screen, interrupt: { readonly requested: boolean },
	machine: Native['machine']
): Promise<MeasuredRun> {
	const plan = planBlocks(chosen, begun.seed);
	const samples = begin(run, begun);
	const touch = (bytes: number) => machine?.warm(bytes, lab.targetCpu);
	const memory = await touch(neededBytes(chosen.flatMap(({ variants }) => variants)));
	const draft = memory === undefined ? begun : { ...begun, memory };
	screen.write(
		`${plan.length} blocks of ${draft.experiments.reduce((sum, { variants }) => sum + variants.length, 0)} ` +
			`variants, seed ${draft.seed}, into ${run.dir}\n`
	);
	try {
		const outcome = await runPlan({
			plan, lab, write: samples.append, progress: createProgress(plan, screen), interrupt,
			...(machine === undefined ? {} : { look: machine.lookWith(draft.isolation.requesterCpu) }),
		});
		const atEnd = interrupt.requested ? undefined : await touch(0);
		run.writeManifest({
			...draft,
			...(memory === undefined || atEnd === undefined ? {} : { memory: { ...memory, atEnd: atEnd.warmed } }),
			status: outcome.status, dropped: outcome.dropped, finishedAt: new Date().toISOString(),
		});
		return { dir: run.dir, failure: null, ...outcome };
	} catch (error) {
		noteFailure(run, draft, error);
		throw error;
	} finally {
		samples.close();
	}
}

function begin(run: Run, draft: Manifest): SampleWriter {
	try {
		run.writeManifest(draft);
		return run.openSamples();
	} catch (error) {
		run.discard();
		throw error;
	}
}

/** On a full disk this cannot be written either: then the manifest goes on saying `running`. */
function noteFailure(run: Run, draft: Manifest, error: unknown): void {
	try {
		const finishedAt = new Date().toISOString();
		run.writeManifest({ ...draft, status: 'failed', error: messageOf(error), finishedAt });
	} catch {
		// The first error is the one to tell.
	}
}

function usableMechanisms({ mechanisms, options }: Request): Mechanism[] {
	const usable: Mechanism[] = [];
	for (const mechanism of mechanisms) {
		const reason = mechanism.unavailable();
		if (reason === null) {
			usable.push(mechanism);
		} else if (options.backends.includes(mechanism.name)) {
			throw new Failure(`the mechanism ${mechanism.name} cannot be used here: ${reason}`);
		}
	}
	return usable;
}

function chooseVariants(
	{ experiments, profile, options }: Request, mechanisms: Mechanism[], { environment }: Here
): Chosen[] {
	const cut = (variants: Variant[]) =>
		(environment.label === 'emulated'
			? cutRounds(variants, environment.guest?.countInstructions ?? false)
			: variants);
	const chosen = experiments
		.filter(({ onDevices }) => onDevices !== true || environment.label !== 'emulated')
		.map((experiment) =>
			({ experiment, variants: cut(narrowed(experiment.variants(profile, mechanisms), options)) }))
		.filter(({ variants }) => variants.length > 0);
	if (chosen.length === 0) {
		throw new Failure(
			`there is nothing to measure: none of the chosen experiments has a variant for the chosen mechanisms` +
				`${options.variants === undefined ? '' : ` with ${options.variants.join(' or ')} in its name`}; --list ` +
				`shows them`
		);
	}
	return chosen;
}

/** What the tracer asked for and was refused. */
function withNotGot(planned: Isolation, notGot: readonly string[]): Isolation {
	const refused = notGot.some((reason) => reason.startsWith('sched_setscheduler'));
	return {
		...planned, fifoTracer: planned.fifoTracer && !refused,
		reasons: [...planned.reasons, ...notGot.map((reason) => `tracer: ${reason}`)],
	};
}

function describe(
	request: Request, { environment, id }: Here, chosen: Chosen[], isolation: Isolation, clock: Clock
): Manifest {
	return {
		schemaVersion: SCHEMA_VERSION,
		id: id ?? request.id ?? createRunId(),
		status: 'running',
		error: null,
		startedAt: new Date().toISOString(),
		finishedAt: null,
		profile: request.profile,
		seed: request.seed,
		options: request.options,
		environment,
		experiments: chosen.map(({ experiment, variants }) =>
			({ name: experiment.name, variants: variants.map(({ id }) => id) })),
		backends: request.mechanisms.map((mechanism) =>
			({ name: mechanism.name, title: mechanism.title, unavailable: mechanism.unavailable() })),
		dropped: [],
		isolation,
		clock,
		machine: describeMachine(),
		software: describeSoftware(),
	};
}
