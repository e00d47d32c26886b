/** What fields of a manifest are made of: manifest-schema.ts. Pure. */
import * as v from 'valibot';
import { CHUNK_BYTES } from './merkle.ts';
import { CAPTURES, type Capture } from './provenance.ts';

export const matching = (pattern: RegExp, what: string) => v.pipe(v.string(), v.regex(pattern, what));

const address = matching(/^0x[0-9a-f]{1,16}$/, 'a hexadecimal address');
export const sha256 = matching(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal');
const errno = matching(/^[A-Z][A-Z0-9]*$/, 'the name of an error');
const time = v.pipe(v.string(), v.isoTimestamp('a time as ISO 8601 has it'));
/** Of so many bytes, or things: a number holds them exactly. */
export const count = v.pipe(v.number(), v.safeInteger('a whole number'), v.minValue(0, '0 or more'));
const device = matching(/^[0-9a-f]+:[0-9a-f]+$/, 'a device as fd:01');
/** Of 64 bits, which a number of JSON's does not hold. */
export const decimal = matching(/^(?:0|[1-9][0-9]{0,19})$/, 'a whole number in digits');
/** What the kernel has 64 bits for. A clock that has run for 104 days is no safe integer any more, but a valid one. */
export const integer = v.pipe(
	v.number(), v.integer('a whole number'), v.minValue(-(2 ** 64), 'of 64 bits'), v.maxValue(2 ** 64, 'of 64 bits')
);

export const instant = v.object({ wallClock: time, monotonicNs: integer });

export const regionWith = <T extends v.GenericSchema>(inode: T) => v.object({
	start: address,
	end: address,
	permissions: matching(/^[r-][w-][x-][sp]$/, 'permissions as r-xp'),
	name: v.string(),
	file: v.nullable(v.object({
		device, inode, offset: integer,
	})),
	capture: v.picklist(Object.keys(CAPTURES) as Capture[]),
	readFrom: v.nullable(v.picklist(['duplicate', 'target'])),
	segments: v.array(v.object({ start: address, bytes: count, offset: count })),
	bytes: count,
	sha256: v.nullable(sha256),
	readBetweenNs: v.nullable(v.strictTuple([integer, integer])),
	unreadable: v.array(v.object({ start: address, bytes: count, errno })),
	takenBack: v.exactOptional(v.array(v.object({ start: address, bytes: count }))),
});

const executed = v.object({ command: v.string(), commandLine: v.array(v.string()), program: v.string() });
export const target5 = v.object({
	...executed.entries, pid: integer, ppid: integer, programBytes: integer, programSha256: v.nullable(sha256),
	uid: integer, gid: integer, startTicks: integer,
	namespaces: v.record(v.string(), v.string()), cgroup: v.string(), workingDirectory: v.string(),
});
export const target = v.object({
	...target5.entries, programBytes: v.nullable(integer),
	programFile: v.nullable(v.object({ device, inode: decimal })),
	executedSince: v.nullable(executed),
});

export const ledger1 = v.object({
	pauseNs: integer, takeNs: integer, endPauseNs: integer, minorFaults: integer, majorFaults: integer,
	residentKiBBefore: integer, residentKiBAfter: integer, copiedBytes: v.nullable(integer),
	restartedCalls: v.nullable(integer), lengthenedTimeouts: v.nullable(integer), duplicateLivedNs: integer,
});

const calls = v.array(v.object({ call: v.string(), restarted: integer, lengthened: integer, cut: integer }));

export const ledger2 = v.object({
	...ledger1.entries,
	endPauseNs: v.nullable(integer), minorFaults: v.nullable(integer), majorFaults: v.nullable(integer),
	residentKiBAfter: v.nullable(integer),
	cutCalls: v.nullable(integer),
	calls: v.nullable(calls),
	unburied: v.nullable(v.string()), endedEarly: v.nullable(v.string()), endFailed: v.nullable(v.string()),
});

const mechanismName = matching(/^[a-z][a-z0-9-]{0,63}$/, 'the name of a mechanism');

export const ledger = v.object({
	...ledger2.entries,
	attempts: v.nullable(v.array(v.object({
		mechanism: mechanismName, outcome: v.picklist(['taken', 'refused']), reason: v.nullable(v.string()),
		pauseNs: v.nullable(integer), calls: v.nullable(calls), startedNs: integer, endedNs: integer,
	}))),
});

export const mechanism3 = v.object({ name: mechanismName, description: v.string() });
export const mechanism = v.object({ ...mechanism3.entries, why: v.nullable(v.string()) });

export const partial = v.object({ reason: v.string(), missingBytes: count, sinceNs: integer });

const tool = v.object({ name: v.literal('procsnap'), version: v.string() });
const collector = v.object({ user: v.string(), uid: integer, host: v.string(), publicKeySha256: sha256 });
const machine = v.object({ kernel: v.string(), architecture: v.string(), bootId: v.string(), cpus: integer });
const core = v.object({
	file: v.literal('core'), bytes: count, chunkBytes: v.literal(CHUNK_BYTES), merkleRoot: sha256,
	leaves: v.literal('leaves'),
});

const thread = v.object({ tid: integer, skewNs: integer, running: v.boolean(), partial: v.boolean() });
const waiting = v.object({
	call: v.nullable(v.string()), arguments: v.array(address), stackPointer: address, programCounter: address,
});
const mapped = v.object({
	start: address, end: address, permissions: matching(/^[r-][w-][x-][sp]$/, 'permissions as r-xp'), name: v.string(),
});

/** Of what was read as it ran. */
export const notOfOneMoment = v.object({
	endedNs: integer, appeared: v.nullable(v.array(mapped)), gone: v.nullable(v.array(mapped)),
});

/** What all versions have alike. */
const COMMON = {
	transfer: v.nullable(v.object({ id: matching(/^[0-9a-f]{32}$/, 'a transfer\'s id'), receiver: v.string() })),
	before: instant,
	momentNs: integer,
	after: instant,
	skewNs: integer,
	threads: v.array(thread),
};

/** Of versions 1 to 5. */
export const FIELDS_5 = {
	tool, collector, machine, target: target5, ...COMMON, regions: v.array(regionWith(integer)), core,
};

const hexadecimal = (digits: number, what: string) =>
	v.nullable(matching(new RegExp(`^[0-9a-f]{${digits}}$`), `${what} in hexadecimal`));

export const FIELDS = {
	tool: v.object({ ...tool.entries, sha256: v.nullable(sha256) }),
	collector: v.object({ ...collector.entries, options: v.nullable(v.array(v.string())) }),
	machine: v.object({
		...machine.entries, timeZone: v.nullable(v.string()), clockSynchronized: v.nullable(v.boolean()),
		clockSetByNs: v.nullable(integer),
	}),
	target,
	...COMMON,
	threads: v.array(v.object({ ...thread.entries, waiting: v.exactOptional(v.nullable(waiting)) })),
	regions: v.array(regionWith(decimal)),
	core: v.object({
		...core.entries, sha256: v.nullable(sha256), sha1: hexadecimal(40, 'a SHA-1'), md5: hexadecimal(32, 'an MD5'),
	}),
	program: v.nullable(v.object({ file: v.literal('program'), bytes: count, sha256 })),
};
