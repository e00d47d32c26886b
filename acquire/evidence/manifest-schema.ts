/**
 * Is what was parsed a manifest? Whoever reads one asks here first: it may be anybody's. Loaded only then, since the
 * library takes some memory. Fields that are not known are let through: a later procsnap's.
 */
import * as v from 'valibot';
import { Failure } from '../../common/errors.ts';
import { printable } from '../../common/format.ts';
import { MOST_GAPS } from './in-place.ts';
import { isDigested, SCHEMA_VERSION, type Manifest } from './manifest.ts';
import { CHUNK_BYTES } from './merkle.ts';
import { CAPTURES, type Capture } from './provenance.ts';

const matching = (pattern: RegExp, what: string) => v.pipe(v.string(), v.regex(pattern, what));

const address = matching(/^0x[0-9a-f]{1,16}$/, 'a hexadecimal address');
const sha256 = matching(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal');
const errno = matching(/^[A-Z][A-Z0-9]*$/, 'the name of an error');
const time = v.pipe(v.string(), v.isoTimestamp('a time as ISO 8601 has it'));
/** Of so many bytes, or things: a number holds them exactly. */
const count = v.pipe(v.number(), v.safeInteger('a whole number'), v.minValue(0, '0 or more'));
/** What the kernel has 64 bits for. A clock that has run for 104 days is no safe integer any more, but a valid one. */
const integer = v.pipe(
	v.number(), v.integer('a whole number'), v.minValue(-(2 ** 64), 'of 64 bits'), v.maxValue(2 ** 64, 'of 64 bits')
);

const instant = v.object({ wallClock: time, monotonicNs: integer });

const region = v.object({
	start: address,
	end: address,
	permissions: matching(/^[r-][w-][x-][sp]$/, 'permissions as r-xp'),
	name: v.string(),
	file: v.nullable(v.object({
		device: matching(/^[0-9a-f]+:[0-9a-f]+$/, 'a device as fd:01'), inode: integer, offset: integer,
	})),
	capture: v.picklist(Object.keys(CAPTURES) as Capture[]),
	readFrom: v.nullable(v.picklist(['duplicate', 'target'])),
	segments: v.array(v.object({ start: address, bytes: count, offset: count })),
	bytes: count,
	sha256: v.nullable(sha256),
	readBetweenNs: v.nullable(v.strictTuple([integer, integer])),
	unreadable: v.array(v.object({ start: address, bytes: count, errno })),
});

const target = v.object({
	pid: integer, ppid: integer, command: v.string(), commandLine: v.array(v.string()),
	program: v.string(), programBytes: integer, programSha256: v.nullable(sha256),
	uid: integer, gid: integer, startTicks: integer,
	namespaces: v.record(v.string(), v.string()), cgroup: v.string(), workingDirectory: v.string(),
});

const ledger1 = v.object({
	pauseNs: integer, takeNs: integer, endPauseNs: integer, minorFaults: integer, majorFaults: integer,
	residentKiBBefore: integer, residentKiBAfter: integer, copiedBytes: v.nullable(integer),
	restartedCalls: v.nullable(integer), lengthenedTimeouts: v.nullable(integer), duplicateLivedNs: integer,
});

const calls = v.array(v.object({ call: v.string(), restarted: integer, lengthened: integer, cut: integer }));

const ledger2 = v.object({
	...ledger1.entries,
	endPauseNs: v.nullable(integer), minorFaults: v.nullable(integer), majorFaults: v.nullable(integer),
	residentKiBAfter: v.nullable(integer),
	cutCalls: v.nullable(integer),
	calls: v.nullable(calls),
	unburied: v.nullable(v.string()), endedEarly: v.nullable(v.string()), endFailed: v.nullable(v.string()),
});

const mechanismName = matching(/^[a-z][a-z0-9-]{0,63}$/, 'the name of a mechanism');

const ledger = v.object({
	...ledger2.entries,
	attempts: v.nullable(v.array(v.object({
		mechanism: mechanismName, outcome: v.picklist(['taken', 'refused']), reason: v.nullable(v.string()),
		pauseNs: v.nullable(integer), calls: v.nullable(calls), startedNs: integer, endedNs: integer,
	}))),
});

const mechanism3 = v.object({ name: mechanismName, description: v.string() });
const mechanism = v.object({ ...mechanism3.entries, why: v.nullable(v.string()) });

const partial = v.object({ reason: v.string(), missingBytes: count, sinceNs: integer });

/** What all versions have. */
const FIELDS = {
	tool: v.object({ name: v.literal('procsnap'), version: v.string() }),
	collector: v.object({ user: v.string(), uid: integer, host: v.string(), publicKeySha256: sha256 }),
	machine: v.object({ kernel: v.string(), architecture: v.string(), bootId: v.string(), cpus: integer }),
	target,
	transfer: v.nullable(v.object({ id: matching(/^[0-9a-f]{32}$/, 'a transfer\'s id'), receiver: v.string() })),
	before: instant,
	momentNs: integer,
	after: instant,
	skewNs: integer,
	threads: v.array(v.object({ tid: integer, skewNs: integer, running: v.boolean(), partial: v.boolean() })),
	regions: v.array(region),
	core: v.object({
		file: v.literal('core'), bytes: count, chunkBytes: v.literal(CHUNK_BYTES), merkleRoot: sha256,
		leaves: v.literal('leaves'),
	}),
};

/** A field that is in the types and not here does not compile, nor one of another type. */
const MANIFEST =
	v.object({
		schemaVersion: v.literal(SCHEMA_VERSION), ...FIELDS, mechanism, partial: v.nullable(partial), ledger,
	}) satisfies v.GenericSchema<unknown, Manifest>;
const MANIFEST_3 = v.object({
	schemaVersion: v.picklist([2, 3]), ...FIELDS, mechanism: mechanism3, partial: v.nullable(partial), ledger: ledger2,
});
const MANIFEST_1 = v.object({ schemaVersion: v.literal(1), ...FIELDS, mechanism: mechanism3, ledger: ledger1 });

const MANIFEST_4 = v.object({ ...MANIFEST.entries, schemaVersion: v.literal(4) });

const VERSIONS: Record<number, v.GenericSchema> =
	{ 1: MANIFEST_1, 2: MANIFEST_3, 3: MANIFEST_3, 4: MANIFEST_4, [SCHEMA_VERSION]: MANIFEST };

/** What it did not tell is not known. */
const fromVersion1 = (manifest: v.InferOutput<typeof MANIFEST_1>): v.InferOutput<typeof MANIFEST_3> => ({
	...manifest, schemaVersion: 1 as never, partial: null,
	ledger: { ...manifest.ledger, cutCalls: null, calls: null, unburied: null, endedEarly: null, endFailed: null },
});
const fromVersion3 = (manifest: v.InferOutput<typeof MANIFEST_3>): Manifest => ({
	...manifest, mechanism: { ...manifest.mechanism, why: null }, ledger: { ...manifest.ledger, attempts: null },
});

/** Throws Failure, which names the first field that is wrong. Of an older version: what that did not tell is null. */
export function parseManifest(text: Uint8Array): Manifest {
	const value = parseJson(text);
	// Of another version other fields are right.
	const version = typeof value === 'object' && value !== null && 'schemaVersion' in value
		? value.schemaVersion
		: undefined;
	const schema = typeof version === 'number' ? VERSIONS[version] : MANIFEST;
	if (schema === undefined) {
		throw new Failure(
			`it is of version ${String(version)}, and this procsnap knows 1 to ${SCHEMA_VERSION}: read it with the ` +
				`one that made it`
		);
	}
	const { success, issues } = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true });
	if (!success) throw new Failure(issueText(issues[0]));
	const manifest = inOurs(version, value);
	const misplaced = misplacedRegion(manifest);
	if (misplaced !== null) throw new Failure(misplaced);
	return manifest;
}

function inOurs(version: unknown, value: unknown): Manifest {
	if (version === SCHEMA_VERSION || version === 4) return value as Manifest;
	return fromVersion3(version === 1
		? fromVersion1(value as v.InferOutput<typeof MANIFEST_1>)
		: value as v.InferOutput<typeof MANIFEST_3>);
}

function parseJson(text: Uint8Array): unknown {
	try {
		return JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('utf8'));
	} catch {
		// What the parser says quotes the text, which may be anything.
		throw new Failure('it is no JSON');
	}
}

const NAMES: Record<string, string> = {
	Object: 'an object', Array: 'a list', number: 'a number', string: 'text', boolean: 'true or false',
};

function issueText({ kind, expected, message, input, path }: v.BaseIssue<unknown>): string {
	const where = path === undefined ? 'it' : `its field ${shortened(path.map(({ key }) => String(key)).join('.'))}`;
	if (input === undefined) return `${where} is missing`;
	const right = kind === 'schema' ? NAMES[expected ?? ''] ?? expected ?? '' : message;
	return `${where} is ${described(input)}, and should be ${right}`;
}

const described = (input: unknown): string =>
	(Array.isArray(input)
		? 'a list'
		: typeof input === 'object' && input !== null ? 'an object' : shortened(JSON.stringify(input)));

const shortened = (text: string): string => printable(text.length > 60 ? `${text.slice(0, 60)}...` : text);

/**
 * Each segment lies within its region, and in the core, which no other one shares with it; until version 4 one after
 * the other, up to its end. Those of a region with a SHA-256 are neighbours, and such regions lie in their order. Where
 * a manifest says something else, reading it as it says could take any time or memory.
 */
function misplacedRegion({ schemaVersion, regions, core }: Manifest): string | null {
	const allInOrder = schemaVersion < 5;
	let at = 0, last: number | undefined;
	for (const { start, end, segments, bytes, sha256: digest } of regions) {
		const what = `its region ${start}-${end}`;
		let sum = 0;
		for (const segment of segments) {
			const first = Number(segment.start);
			if (segment.bytes === 0 || first < Number(start) || first + segment.bytes > Number(end))
				return `${what} has a segment at ${segment.start} that is not within it`;
			const due = allInOrder || (digest !== null && sum > 0) ? last : undefined;
			if (segment.offset !== (due ?? segment.offset))
				return `${what} is at ${segment.offset} in the core, where ${due ?? 0} is due`;
			if (digest !== null && segment.offset < at)
				return `${what} is at ${segment.offset} in the core, before another one that it follows`;
			last = segment.offset + segment.bytes;
			sum += segment.bytes;
			if (digest !== null) at = last;
		}
		if (sum !== bytes) return `${what} has segments of ${sum} bytes, and should have ${bytes}`;
		if ((digest !== null) !== isDigested(bytes, schemaVersion))
			return `${what} has ${bytes} bytes, and ${digest === null ? 'no' : 'a'} SHA-256`;
	}
	if (!allInOrder) return sharedPart(regions, core.bytes);
	return last === undefined || last === core.bytes
		? null
		: `its regions end at ${last} in the core, which ends at ${core.bytes}`;
}

/**
 * From the first one on, as little is of no region as in-place.ts lets be: a core that has more would be read for
 * nothing.
 */
function sharedPart(regions: Manifest['regions'], coreBytes: number): string | null {
	const segments = regions.flatMap((region) => region.segments).sort((a, b) => a.offset - b.offset);
	const [first] = segments;
	let at = 0, sum = 0;
	for (const { start, offset, bytes } of segments) {
		if (offset < at) return `its segment at ${start} lies at ${offset} in the core, where another one is`;
		at = offset + bytes;
		sum += bytes;
	}
	if (first === undefined) return null;
	if (at > coreBytes) return `its regions end at ${at} in the core, which ends at ${coreBytes}`;
	const unused = coreBytes - first.offset - sum;
	return unused <= sum * MOST_GAPS
		? null
		: `of its core's ${coreBytes} bytes ${unused} are of no region, and ${sum} of regions`;
}
