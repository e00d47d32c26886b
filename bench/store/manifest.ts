/**
 * manifest.json: what was measured, where, with what and by which code. It will
 * be published beside the results, so it holds no host name and no user name.
 */
import { Failure, messageOf } from '../../common/errors.ts';
import { mismatch, type Of, type Shape } from './shape.ts';

export const SCHEMA_VERSION = 1;

/** What each environment can turn out to be; see environments/label.ts. */
export const LABELS = ['bare-metal', 'vm', 'nested-vm', 'emulated', 'unknown'] as const;
export type Label = (typeof LABELS)[number];

const machine = { fields: {
	cpuModel: 'string',
	cores: 'number',
	memoryBytes: 'number',
	/** The CPU says that it runs under a hypervisor. */
	hypervisorFlag: 'boolean',
	kernel: { fields: { release: 'string', version: 'string', commandLine: 'string' } },
	/** /sys/devices/system/cpu/vulnerabilities: name to state. */
	mitigations: { map: 'string' },
	governor: { maybe: 'string' },
	transparentHugePages: { maybe: 'string' },
	swapBytes: 'number',
	clockSource: { maybe: 'string' },
	schedRtRuntimeUs: { maybe: 'number' },
	/** null: the kernel has no Yama. */
	yamaPtraceScope: { maybe: 'number' },
	overcommitMemory: { maybe: 'number' },
} } as const satisfies Shape;

const software = { fields: {
	procsnap: { fields: { version: 'string', commit: { maybe: 'string' }, dirty: { maybe: 'boolean' } } },
	node: 'string',
	compiler: { maybe: 'string' },
	/** From the lock file: direct dependencies to their versions. */
	libraries: { map: 'string' },
} } as const satisfies Shape;

const guest = { fields: {
	/** kvm, or tcg: every instruction emulated. */
	accelerator: 'string',
	/** Why it was not kvm. */
	reason: { maybe: 'string' },
	qemu: 'string',
	/** The key of the kernel's build: of its source, patches and configuration. */
	kernel: 'string',
	cpus: 'number',
	memoryMiB: 'number',
	/** Every time in the samples is a number of instructions, one a nanosecond. */
	countInstructions: 'boolean',
} } as const satisfies Shape;

const manifest = { fields: {
	schemaVersion: 'number',
	id: 'string',
	/** `running` in a file at rest: the run was killed, or its machine went down. */
	status: { oneOf: ['running', 'complete', 'interrupted', 'failed'] },
	/** Why the status is `failed`. */
	error: { maybe: 'string' },
	startedAt: 'string',
	finishedAt: { maybe: 'string' },
	profile: { oneOf: ['smoke', 'paper'] },
	seed: 'number',
	/** What was chosen on the command line; an empty list is everything. */
	options: { fields: { experiments: { list: 'string' }, backends: { list: 'string' } } },
	environment: { fields: {
		name: 'string',
		label: { oneOf: LABELS },
		/** What the label was concluded from. */
		evidence: { list: 'string' },
		/** The guest that it was measured in; null on the host. */
		guest: { maybe: guest },
	} },
	/** What was planned: variants in the order of their experiment, before shuffling. */
	experiments: { list: { fields: { name: 'string', variants: { list: 'string' } } } },
	backends: { list: { fields: { name: 'string', title: 'string', unavailable: { maybe: 'string' } } } },
	/** Variants given up because their target could not be set up. */
	dropped: { list: { fields: { experiment: 'string', variant: 'string', reason: 'string' } } },
	isolation: { fields: {
		targetCpu: 'number',
		requesterCpu: 'number',
		fifoTarget: 'boolean',
		fifoTracer: 'boolean',
		/** Why something of it could not be had. */
		reasons: { list: 'string' },
	} },
	clock: { fields: { source: 'string', resolutionNs: 'number', overheadNs: 'number' } },
	machine,
	software,
} } as const satisfies Shape;

export type Manifest = Of<typeof manifest>;
export type Machine = Manifest['machine'];
export type Software = Manifest['software'];
export type Isolation = Manifest['isolation'];
export type Clock = Manifest['clock'];
export type Guest = Of<typeof guest>;

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
