/**
 * Is what was parsed a manifest? Whoever reads one asks here first: it may be anybody's. Loaded only then, since the
 * library takes some memory. Fields that are not known are let through: a later procsnap's.
 */
import * as v from 'valibot';
import { Failure } from '../../common/errors.ts';
import { MOST_GAPS } from './in-place.ts';
import { isDigested, SCHEMA_VERSION, type Manifest } from './manifest.ts';
import { count, FIELDS, integer, ledger, mechanism, notOfOneMoment, partial } from './manifest-fields.ts';
import { OLDER } from './older-manifests.ts';

/** An ELF header. */
const LEAST_CORE_BYTES = 64;

/** A field that is in the types and not here does not compile, nor one of another type. */
const MANIFEST =
	v.object({
		schemaVersion: v.literal(SCHEMA_VERSION), ...FIELDS, mechanism, partial: v.nullable(partial), ledger,
		filter: v.exactOptional(v.object({ coredumpFilter: v.nullable(integer), onlyPrivate: v.boolean() })),
		notOfOneMoment: v.exactOptional(notOfOneMoment),
		unlocatedBytes: v.exactOptional(count), lackingBytes: v.exactOptional(count),
		leftGroups: v.exactOptional(v.object({ sinceNs: count, stays: v.array(v.string()) })),
	}) satisfies v.GenericSchema<unknown, Manifest>;

/** Throws Failure, which names the first field that is wrong. Of an older version: what that did not tell is null. */
export function parseManifest(text: Uint8Array): Manifest {
	const value = parseJson(text);
	// Of another version other fields are right.
	const version = typeof value === 'object' && value !== null && 'schemaVersion' in value
		? value.schemaVersion
		: undefined;
	const older = typeof version === 'number' ? OLDER[version] : undefined;
	const schema = version === undefined || version === SCHEMA_VERSION || typeof version !== 'number'
		? MANIFEST
		: older?.schema;
	if (schema === undefined) {
		throw new Failure(
			`it is of version ${String(version)}, and this procsnap knows 1 to ${SCHEMA_VERSION}: read it with the ` +
				`one that made it`
		);
	}
	const { success, issues } = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true });
	if (!success) throw new Failure(issueText(issues[0]));
	const manifest = older?.read(value) ?? value as Manifest;
	const wrong = impossible(manifest) ?? ofNoMoment(manifest) ?? misplacedRegion(manifest);
	if (wrong !== null) throw new Failure(wrong);
	return manifest;
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
		: typeof input === 'object' && input !== null
			? 'an object'
			: shortened(typeof input === 'string' ? `"${input}"` : JSON.stringify(input)));

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}...` : text);

/** What cannot be, whoever says it. */
function impossible({ schemaVersion, before, momentNs, after, core, regions, threads }: Manifest): string | null {
	if (core.bytes < LEAST_CORE_BYTES)
		return `its core has ${core.bytes} bytes, and no core has fewer than ${LEAST_CORE_BYTES}`;
	if (before.monotonicNs > momentNs || momentNs > after.monotonicNs)
		return `its times run backwards: ${before.monotonicNs}, ${momentNs}, ${after.monotonicNs} ns`;
	// Until version 5 the clock that can be set was read twice.
	if (schemaVersion > 5 && Date.parse(before.wallClock) > Date.parse(after.wallClock))
		return `its times run backwards: ${before.wallClock}, ${after.wallClock}`;
	if (threads.length === 0) return 'it has no thread';
	const backwards = regions.find(({ start, end, readBetweenNs }) =>
		Number(start) >= Number(end) || (readBetweenNs !== null && readBetweenNs[0] > readBetweenNs[1]));
	return backwards === undefined
		? null
		: `its region ${backwards.start}-${backwards.end} ends before it begins, or its reading did`;
}

/** What says that it is of no moment cannot have what only a moment has; nor the other way round. */
function ofNoMoment({ notOfOneMoment, momentNs, after, regions, threads }: Manifest): string | null {
	if (notOfOneMoment === undefined) {
		return threads.every(({ waiting }) => waiting === undefined)
			? null
			: 'it has threads whose registers were not read, and says that it is of one moment';
	}
	if (notOfOneMoment.endedNs < momentNs || notOfOneMoment.endedNs > after.monotonicNs)
		return `its times run backwards: ${momentNs}, ${notOfOneMoment.endedNs}, ${after.monotonicNs} ns`;
	const isOfTarget = regions.every(({ readFrom }) => readFrom !== 'duplicate');
	return isOfTarget && threads.every(({ waiting }) => waiting !== undefined)
		? null
		: 'it has memory of a copy, or registers, and says that it is not of one moment';
}

/**
 * Each segment lies within its region, and in the core, which no other one shares with it; until version 4 one after
 * the other, up to its end. Those of a region with a SHA-256 are neighbours, and such regions lie in their order. Where
 * a manifest says something else, reading it as it says could take any time or memory.
 */
function misplacedRegion({ schemaVersion, regions, core }: Manifest): string | null {
	const allInOrder = schemaVersion < 5;
	let at = 0, last: number | undefined;
	for (const { start, end, segments, bytes, sha256: digest, takenBack = [] } of regions) {
		const what = `its region ${start}-${end}`;
		let sum = 0;
		const outside = takenBack.find((part) =>
			Number(part.start) < Number(start) || Number(part.start) + part.bytes > Number(end));
		if (outside !== undefined) return `${what} has a part that was taken back at ${outside.start}, not within it`;
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
