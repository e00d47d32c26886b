import test from 'ava';
import { Failure } from '../../../common/errors.ts';
import type { Manifest } from '../../../acquire/evidence/manifest.ts';
import { parseManifest } from '../../../acquire/evidence/manifest-schema.ts';
import { ofVersion, readFrom } from '../older.ts';
import { aSealed, atTheEnd } from '../sealed.ts';

const shared = atTheEnd((end) => test.after.always(end));
let real: Manifest;
test.before(async () => {
	real = (await aSealed(shared)).manifest;
});

type Tree = Record<string, unknown>;

const parsed = (value: unknown): Manifest => parseManifest(Buffer.from(JSON.stringify(value)));

/** The real one with one value put at `a.b.0`; `undefined`: without it. */
function changed(path: string, value: unknown): unknown {
	const copy = structuredClone(real), keys = path.split('.'), last = keys.pop()!;
	let at = copy as unknown as Tree;
	for (const key of keys) at = at[key] as Tree;
	at[last] = value;
	return copy;
}

/** Paths of all values that are neither lists nor objects, and of these themselves. */
function paths(value: unknown, at: string[] = []): string[] {
	if (typeof value !== 'object' || value === null) return [at.join('.')];
	return [at.join('.'), ...Object.entries(value).flatMap(([key, part]) => paths(part, [...at, key]))].filter((path) =>
		path !== '');
}

test('a real manifest passes, and every field of it is there afterwards', (t) => {
	t.deepEqual(parsed(real), real);
	t.deepEqual(
		parsed({ ...real, later: { field: 1 } }) as unknown, { ...real, later: { field: 1 } },
		'and what a later procsnap adds'
	);
});

for (const version of [1, 2, 3, 4, 5] as const)
	test(`a manifest of version ${version} passes: what it does not tell is null, and its own fields are all looked at`, (t) => {
		const old = ofVersion(version, real);
		t.deepEqual(parsed(old), readFrom(version, real));
		const { leaves, ...core } = old.core;
		t.throws(() => parsed({ ...old, core }), { message: `its field core.${leaves} is missing` });
		t.throws(() => parsed({ ...old, ledger: { ...old.ledger, takeNs: null } }), {
			message: /^its field ledger\.takeNs is null/,
		});
		const next = { 1: 'partial', 2: null, 3: 'mechanism.why', 4: null, 5: 'tool.sha256' }[version];
		if (next === null) t.notThrows(() => parsed({ ...old, schemaVersion: version + 1 }));
		else t.throws(() => parsed({ ...old, schemaVersion: version + 1 }), { message: `its field ${next} is missing` });
	});

test('a manifest of version 1 had no end that is not known', (t) => {
	const old = ofVersion(1, real);
	t.throws(
		() => parsed({ ...old, ledger: { ...old.ledger, endPauseNs: null } }),
		{ message: /^its field ledger\.endPauseNs is null/ }
	);
});

test('what cannot be is refused: an empty core, times that run backwards, no thread', (t) => {
	const { before, after, momentNs } = real;
	const region = { ...real.regions[0]!, readBetweenNs: [2, 1] };
	for (const [path, value, message] of [
		['core.bytes', 0, /^its core has 0 bytes, and no core has fewer than 64$/],
		['momentNs', before.monotonicNs - 1, /^its times run backwards: /],
		['after.monotonicNs', momentNs - 1, /^its times run backwards: /],
		['after.wallClock', new Date(Date.parse(before.wallClock) - 1).toISOString(), /^its times run backwards: /],
		['threads', [], /^it has no thread$/],
		['regions.0', region, /ends before it begins, or its reading did$/],
		['regions.0', { ...region, readBetweenNs: null, end: region.start }, /ends before it begins, or its reading did$/],
	] as Array<[string, unknown, RegExp]>)
		t.throws(() => parsed(changed(path, value)), { instanceOf: Failure, message }, path);
	// A clock that was set back while a take lasted: earlier versions read it twice.
	const old = ofVersion(5, real);
	t.notThrows(() => parsed({ ...old, after: { ...after, wallClock: '2000-01-01T00:00:00.000Z' } }));
});

test('what was tried is looked at, field by field', (t) => {
	const [attempt] = real.ledger.attempts!;
	t.like(attempt, { outcome: 'taken', reason: null, pauseNs: real.ledger.pauseNs });
	const refused = { ...attempt, outcome: 'refused', reason: 'it writes too fast', pauseNs: null, calls: null };
	t.notThrows(() => parsed(changed('ledger.attempts', [refused, attempt])));
	const wrong = { mechanism: 'Magic!', outcome: 'won', reason: 7, startedNs: null };
	for (const [name, value] of Object.entries(wrong))
		t.throws(
			() => parsed(changed('ledger.attempts', [{ ...refused, [name]: value }])),
			{ message: new RegExp(`^its field ledger\\.attempts\\.0\\.${name} is `) }
		);
});

test('a region of more than 64 MiB has a SHA-256 in versions 1 and 2, and none since version 3', (t) => {
	const bytes = 65 << 20, index = real.regions.findLastIndex((region) => region.bytes > 0);
	const last = real.regions[index]!;
	const digest = 'a'.repeat(64), { offset } = last.segments[0]!;
	const large = (base: Manifest, sha256: string | null): Manifest => ({
		...base, core: { ...base.core, bytes: offset + bytes },
		regions: base.regions.with(index, {
			...base.regions[index]!, start: '0x10000000', end: '0x20000000', bytes, sha256,
			segments: [{ start: '0x10000000', bytes, offset }],
		}),
	});
	for (const [base, right, wrong, message] of [
		[ofVersion(1, real), digest, null, /has 68157440 bytes, and no SHA-256$/],
		[ofVersion(2, real), digest, null, /and no SHA-256$/],
		[ofVersion(3, real), null, digest, /and a SHA-256$/],
		[real, null, digest, /has 68157440 bytes, and a SHA-256$/],
	] as const) {
		t.notThrows(() => parsed(large(base, right)), `${base.schemaVersion}`);
		t.throws(() => parsed(large(base, wrong)), { message }, `${base.schemaVersion}`);
	}
});

test('each field that is missing or of another type is refused, and named', (t) => {
	let refused = 0;
	for (const path of paths(real)) {
		// What names a namespace, and how many words a command line has, is free, and so are fields of later takes.
		const free = ['filter', 'unlocatedBytes', 'lackingBytes'].includes(path) ||
			/^target\.(?:namespaces\.\w+|commandLine\.\d+)$|^(?:regions|threads|collector\.options)\.\d+$|^regions\.\d+\.segments\.\d+$/.test(path);
		for (const wrong of [...(free ? [] : [undefined]), true, -1.5, { a: 1 }, [[]]]) {
			if (typeof wrong === 'boolean' && /\.(?:running|partial|onlyPrivate|clockSynchronized)$/.test(path)) continue;
			if (typeof wrong === 'number' && path === 'schemaVersion') continue;
			const { message } = t.throws(
				() => parsed(changed(path, wrong)), { instanceOf: Failure }, `${path}: ${JSON.stringify(wrong)}`
			);
			t.true(message.startsWith(`its field ${path}`), `${path}: ${message}`);
			t.true(!message.includes('\n') && message.length < 300, message);
			refused += 1;
		}
	}
	t.true(refused > 300, `${refused}`);
});

const VALUES: Array<[string, unknown, RegExp]> = [
	['core.file', '../../etc/passwd', /^its field core\.file is "\.\.\/\.\.\/etc\/passwd", and should be "core"$/],
	['core.leaves', '/etc/passwd', /should be "leaves"$/],
	['core.chunkBytes', 1, /^its field core\.chunkBytes is 1, and should be 1048576$/],
	['core.bytes', 2 ** 53, /^its field core\.bytes is 9007199254740992, and should be a whole number$/],
	['core.bytes', -1, /is -1, and should be 0 or more$/],
	['core.bytes', '1', /is "1", and should be a number$/],
	['core.merkleRoot', 'A'.repeat(64), /should be a SHA-256 in hexadecimal$/],
	['collector.publicKeySha256', '', /is "", and should be a SHA-256 in hexadecimal$/],
	['mechanism.name', 'Magic!', /is "Magic!", and should be the name of a mechanism$/],
	[
		'before.wallClock', 'yesterday \u001b[2J',
		/^its field before\.wallClock is "yesterday \u001b\[2J", and should be a time as ISO 8601 has it$/,
	],
	['regions.0.start', '0xffffffffffffffffff', /should be a hexadecimal address$/],
	['regions.0.capture', 'stolen', /^its field regions\.0\.capture is "stolen", and should be \("frozen" \| /],
	['regions.0.readBetweenNs', [1], /^its field regions\.0\.readBetweenNs\.1 is missing$/],
	[
		'regions.0.unreadable', [{ start: '0x1', bytes: 1, errno: '\u001b' }],
		/^its field regions\.0\.unreadable\.0\.errno is /,
	],
	['target.command', null, /^its field target\.command is null, and should be text$/],
	['target.commandLine', [1], /^its field target\.commandLine\.0 is 1, and should be text$/],
	['target.namespaces', { '\u001b[2J': 1 }, /^its field target\.namespaces\.\u001b\[2J is 1/],
	['regions', {}, /^its field regions is an object, and should be a list$/],
	['ledger', [], /^its field ledger\.pauseNs is missing$/],
	['ledger', 'x', /^its field ledger is "x", and should be an object$/],
	['core', 'x'.repeat(1000), /^its field core is "x{59}\.\.\., and should be an object$/],
];

for (const [path, value, message] of VALUES) {
	test(`refused: ${path} of ${JSON.stringify(value).slice(0, 40)}`, (t) => {
		t.throws(() => parsed(changed(path, value)), { instanceOf: Failure, message });
	});
}

test('what a machine can have passes: a clock after a year, an inode of 64 bits, the last address', (t) => {
	for (const [path, value] of [
		['after.monotonicNs', 365 * 86_400e9], ['regions.0.file.inode', '18446744073709551615'], ['skewNs', -1],
		['ledger.copiedBytes', null], ['regions.0.name', '\u001b[2J'],
	] as const) {
		t.notThrows(() => parsed(changed(path, value)), path);
	}
	t.throws(
		() =>
			parseManifest(Buffer.from(JSON.stringify(changed('momentNs', 7)).replace(
				'"momentNs":7', '"momentNs":1e999'
			))),
		{ message: /^its field momentNs is null, and should be a whole number$/ }
	);
});

test('what is no manifest at all', (t) => {
	for (const text of [
		'', '{', 'null', '[]', '1', '"x"', '{}', '\u0000', '\u001b[2J', '{"schemaVersion":"1"}', '['.repeat(100_000),
	]) {
		const { message } = t.throws(
			() => parseManifest(Buffer.from(text)), { instanceOf: Failure }, text.slice(0, 20)
		);
		t.regex(
			message,
			/^it is no JSON$|^it is .*, and should be an object$|^its field schemaVersion is |^its field schemaVersion is missing$/
		);
	}
	t.throws(
		() => parsed({ schemaVersion: 7 }),
		{
			instanceOf: Failure,
			message: 'it is of version 7, and this procsnap knows 1 to 6: read it with the one that made it',
		}
	);
});

/** Of all versions; and what was told until version 4, when all contents lay one after the other. */
test('regions that do not lie in the core as they should are refused', (t) => {
	const index = real.regions.findIndex(({ bytes }) => bytes > 0), { start, segments, bytes } = real.regions[index]!;
	const [segment] = segments, next = real.regions.findIndex((region, i) => i > index && region.bytes > 0);
	const offset = `regions.${next}.segments.0.offset`;
	const end = /^its regions end at \d+ in the core, which ends at \d+$/;
	for (const [path, value, message, before] of [
		[offset, segment!.offset, /is at \d+ in the core, before another one that it follows$/, /where \d+ is due$/],
		[offset, 2 ** 52, /is at \d+ in the core, before another one|^its regions end at/, /is at 4503599627370496 in the core, where \d+ is due$/],
		[`regions.${index}.segments`, [...segments, ...segments], /is at \d+ in the core, where \d+ is due$/],
		[`regions.${index}.segments.0.start`, '0x0', /has a segment at 0x0 that is not within it$/],
		[`regions.${index}.segments.0.bytes`, 2 ** 50, new RegExp(`^its region ${start}-\\w+ has a segment at`)],
		[`regions.${index}.segments.0.bytes`, 0, /has a segment at/],
		[`regions.${index}.segments`, [], new RegExp(`has segments of 0 bytes, and should have ${bytes}$`)],
		[`regions.${index}.bytes`, bytes + 1, /has segments of \d+ bytes, and should have/],
		[`regions.${index}.sha256`, null, /bytes, and no SHA-256$/],
		['core.bytes', real.core.bytes - 1, end], ['core.bytes', real.core.bytes * 2, /bytes \d+ are of no region, and \d+ of regions$/, end],
	] as Array<[string, unknown, RegExp, RegExp?]>) {
		const wrong = changed(path, value) as Manifest;
		t.throws(() => parsed(wrong), { instanceOf: Failure, message }, path);
		t.throws(() => parsed(ofVersion(4, wrong)), { message: before ?? message }, `version 4: ${path}`);
	}
	const old = ofVersion(4, real), longer = { ...old, core: { ...old.core, bytes: old.core.bytes + 1 } };
	t.throws(() => parsed(longer), { message: end });
});

/** As where it stays in the copy's file. */
test('since version 5 large regions may lie anywhere, in parts, but not in one place', (t) => {
	const part = 40 << 20, gap = 5 << 20, large = (version: number, ...offsets: [number, number]): Manifest => ({
		...real, schemaVersion: version, core: { ...real.core, bytes: real.core.bytes + 2 * part + 2 * gap },
		regions: [...real.regions, {
			...real.regions.find(({ bytes }) => bytes > 0)!, start: '0x10000000', end: '0x20000000', sha256: null,
			bytes: 2 * part,
			segments: offsets.map((offset, i) =>
				({ start: `0x${(0x10000000 + i * part).toString(16)}`, bytes: part, offset: real.core.bytes + offset })),
		}],
	});
	t.notThrows(() => parsed(large(6, gap, part + 2 * gap)));
	t.notThrows(() => parsed(large(6, part + gap, 0)));
	const sparse = large(6, gap, 2 ** 50);
	t.throws(() => parsed(sparse), { message: /^its regions end at/ });
	t.throws(() => parsed({ ...sparse, core: { ...sparse.core, bytes: 2 ** 51 } }), { message: /are of no region/ });
	t.throws(() => parsed(large(6, gap, gap + 4096)), { message: /^its segment at 0x\w+ lies at \d+ in the core/ });
	t.throws(() => parsed(large(6, gap, -4096)), { message: /lies at \d+ in the core, where another one is$/ });
	t.throws(() => parsed(ofVersion(4, large(4, gap, part + 2 * gap))), { message: /is at \d+ in the core, where \d+ is due$/ });
});
