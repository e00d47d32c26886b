/**
 * manifest.json: what was measured, where, with what and by which code. It will
 * be published beside the results, so it holds no host name and no user name.
 */
import * as v from 'valibot';
import { Failure, messageOf } from '../../common/errors.ts';
import { fields, mapOf, mismatch } from './shape.ts';

export const SCHEMA_VERSION = 1;

/** What each environment can turn out to be; see environments/label.ts. */
export const LABELS = ['bare-metal', 'vm', 'nested-vm', 'emulated', 'unknown'] as const;
export type Label = (typeof LABELS)[number];

const machine = fields({
	cpuModel: v.string(),
	cores: v.number(),
	memoryBytes: v.number(),
	/** The CPU says that it runs under a hypervisor. */
	hypervisorFlag: v.boolean(),
	kernel: fields({ release: v.string(), version: v.string(), commandLine: v.string() }),
	/** /sys/devices/system/cpu/vulnerabilities: name to state. */
	mitigations: mapOf(v.string()),
	governor: v.nullable(v.string()),
	transparentHugePages: v.nullable(v.string()),
	swapBytes: v.number(),
	clockSource: v.nullable(v.string()),
	schedRtRuntimeUs: v.nullable(v.number()),
	/** null: the kernel has no Yama. */
	yamaPtraceScope: v.nullable(v.number()),
	overcommitMemory: v.nullable(v.number()),
});

const software = fields({
	procsnap: fields({ version: v.string(), commit: v.nullable(v.string()), dirty: v.nullable(v.boolean()) }),
	node: v.string(),
	compiler: v.nullable(v.string()),
	/** From the lock file: direct dependencies to their versions. */
	libraries: mapOf(v.string()),
});

const guest = fields({
	/** kvm, or tcg: every instruction emulated. */
	accelerator: v.string(),
	/** Why it was not kvm. */
	reason: v.nullable(v.string()),
	qemu: v.string(),
	/** The key of the kernel's build: of its source, patches and configuration. */
	kernel: v.string(),
	cpus: v.number(),
	memoryMiB: v.number(),
	/** Every time in the samples is a number of instructions, one a nanosecond. */
	countInstructions: v.boolean(),
});

/** Of pages of 4 KiB, each touched once, and as many at once again. */
const firstTouch = fields({
	bytes: v.number(),
	freshMeanNs: v.number(),
	freshMedianNs: v.number(),
	againMeanNs: v.number(),
	againMedianNs: v.number(),
});

const manifest = fields({
	schemaVersion: v.number(),
	id: v.string(),
	/** `running` in a file at rest: the run was killed, or its machine went down. */
	status: v.picklist(['running', 'complete', 'interrupted', 'failed']),
	/** Why the status is `failed`. */
	error: v.nullable(v.string()),
	startedAt: v.string(),
	finishedAt: v.nullable(v.string()),
	profile: v.picklist(['smoke', 'paper']),
	seed: v.number(),
	/** What was chosen on the command line; an empty list is everything. */
	options: fields({
		experiments: v.array(v.string()), backends: v.array(v.string()),
		/** Parts of their names. */
		variants: v.exactOptional(v.array(v.string())),
		/** Of each variant, instead of the profile's. */
		rounds: v.exactOptional(v.number()),
	}),
	environment: fields({
		name: v.string(),
		label: v.picklist(LABELS),
		/** What the label was concluded from. */
		evidence: v.array(v.string()),
		/** The guest that it was measured in; null on the host. */
		guest: v.nullable(guest),
	}),
	/** What was planned: variants in the order of their experiment, before shuffling. */
	experiments: v.array(fields({ name: v.string(), variants: v.array(v.string()) })),
	backends: v.array(fields({ name: v.string(), title: v.string(), unavailable: v.nullable(v.string()) })),
	/** Variants given up because their target could not be set up. */
	dropped: v.array(fields({ experiment: v.string(), variant: v.string(), reason: v.string() })),
	isolation: fields({
		targetCpu: v.number(),
		requesterCpu: v.number(),
		fifoTarget: v.boolean(),
		fifoTracer: v.boolean(),
		/** Why something of it could not be had. */
		reasons: v.array(v.string()),
	}),
	clock: fields({ source: v.string(), resolutionNs: v.number(), overheadNs: v.number() }),
	machine,
	/** Memory that was touched before the run. Missing where the CPU is emulated, and in older runs. */
	memory: v.exactOptional(fields({
		/** By the largest variant. */
		neededBytes: v.number(),
		/** null: it could not be done; `why`. */
		warmed: v.nullable(firstTouch),
		why: v.nullable(v.string()),
		/** The same after the last block: as expensive as before again, and the hypervisor has taken it back. */
		atEnd: v.exactOptional(v.nullable(firstTouch)),
	})),
	software,
});

export type Manifest = v.InferOutput<typeof manifest>;
export type Machine = Manifest['machine'];
export type Software = Manifest['software'];
export type Isolation = Manifest['isolation'];
export type Clock = Manifest['clock'];
export type Guest = v.InferOutput<typeof guest>;

/** Reads a manifest's text; `file` is for the error. */
export function parseManifest(text: string, file: string): Manifest {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (error) {
		throw new Failure(
			`${file}: is not JSON (${messageOf(error)}): restore it from a copy; samples alone cannot be reported`,
			{ cause: error }
		);
	}
	checkVersion(value, file);
	const wrong = mismatch(fillIn(value), manifest);
	if (wrong !== undefined) {
		throw new Failure(`${file}: ${wrong}: the file is corrupt, restore it from a copy`);
	}
	return value as Manifest;
}

/** What manifests did not have from the beginning. */
function fillIn(value: unknown): unknown {
	const { environment } = value as { environment?: unknown };
	if (typeof environment === 'object' && environment !== null && !('guest' in environment)) {
		Object.assign(environment, { guest: null });
	}
	return value;
}

/** Refuses what this code does not know how to read. Used for every file that has a `schemaVersion`. */
export function checkVersion(value: unknown, file: string): void {
	const version = typeof value === 'object' && value !== null && 'schemaVersion' in value
		? value.schemaVersion
		: undefined;
	if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
		throw new Failure(`${file}: has no schemaVersion: it was not written by procsnap, or it is corrupt`);
	}
	if (version > SCHEMA_VERSION) {
		throw new Failure(
			`${file}: was written by a newer procsnap (schema ${version}, this one reads ${SCHEMA_VERSION}): update ` +
				`procsnap`
		);
	}
}
