/** Evidence that somebody made to harm whoever verifies it: signed well, by a key of his own, and no key is given. */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FILES } from '../../acquire/evidence/folder.ts';
import type { RegionRecord } from '../../acquire/evidence/manifest.ts';
import { CHUNK_BYTES } from '../../acquire/evidence/merkle.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { NODE } from '../processes.ts';
import { aSealed, atTheEnd, copyOf, reseal, resealManifest, type Sealed } from './sealed.ts';

const shared = atTheEnd((end) => test.after.always(end));
let whole: Sealed;
test.before(async () => {
	whole = await aSealed(shared);
});

/** What is said of it when this is its manifest. */
async function faultsOf(t: ExecutionContext, manifest: (sealed: Sealed) => object | string): Promise<string[]> {
	const sealed = copyOf(t, whole), made = manifest(sealed);
	if (typeof made === 'string') reseal(sealed.dir, made);
	else resealManifest(sealed.dir, made);
	return (await verifyFolder(sealed.dir)).faults;
}

test('what is no manifest is said to be none, in one line', async (t) => {
	for (const [text, message] of [
		['', 'it is no JSON'], ['{"a":', 'it is no JSON'], ['\u001b[2J', 'it is no JSON'],
		['['.repeat(1_000_000), 'it is no JSON'],
		['null', 'it is null, and should be an object'], ['7', 'it is 7, and should be an object'],
		['"core"', 'it is "core", and should be an object'],
		['[]', 'its field schemaVersion is missing'], ['{}', 'its field schemaVersion is missing'],
		['{"schemaVersion":1,"tool":null}', 'its field tool is null, and should be an object'],
		[
			'{"schemaVersion":7}',
			'it is of version 7, and this procsnap knows 1 to 6: read it with the one that made it',
		],
		['{"__proto__":{"schemaVersion":1}}', 'its field schemaVersion is missing'],
	] as const) {
		t.deepEqual(await faultsOf(t, () => text), [`manifest.json: ${message}`], text.slice(0, 40));
	}
});

test('absurd places and sizes are refused before anything is read by them', async (t) => {
	const last = whole.manifest.regions.findLastIndex(({ bytes }) => bytes > 0);
	const withRegion = (change: (region: RegionRecord) => Partial<RegionRecord>) => faultsOf(t, ({ manifest }) =>
		({
			...manifest,
			regions: manifest.regions.map((region, index) =>
				(index === last ? { ...region, ...change(region) } : region)),
		}));
	const moved = (offset: number) =>
		withRegion(({ segments }) => ({ segments: segments.map((segment) => ({ ...segment, offset })) }));
	for (const [faults, message] of [
		[await moved(2 ** 52), /^manifest\.json: its region(?:s end at|.* is at) \d+ in the core, /],
		[await moved(-4096), /^manifest\.json: its field .*\.offset is -4096, and should be 0 or more$/],
		[await moved(0), /is at 0 in the core/],
		[
			await withRegion(({ segments }) =>
				({ bytes: 2 ** 52, segments: segments.map((segment) => ({ ...segment, bytes: 2 ** 52 })) })),
			/has a segment at .* that is not within it$/,
		],
		[await withRegion(() => ({ bytes: 2 ** 52 })), /has segments of \d+ bytes, and should have 4503599627370496$/],
		[
			await faultsOf(
				t, ({ manifest }) => ({ ...manifest, core: { ...manifest.core, file: '../evidence/core' } })
			),
			/^manifest\.json: its field core\.file is /,
		],
		[
			await faultsOf(
				t, ({ manifest }) => ({ ...manifest, core: { ...manifest.core, bytes: Number.MAX_SAFE_INTEGER } })
			),
			/^manifest\.json: of its core's 9007199254740991 bytes \d+ are of no region, and \d+ of regions$/,
		],
	] as const) {
		t.is(faults.length, 1);
		t.regex(faults[0]!, message);
	}
});

test('names that would steer a terminal are one fault, which whoever writes it escapes', async (t) => {
	const { dir, manifest } = copyOf(t, whole);
	resealManifest(
		dir,
		{ ...manifest, regions: manifest.regions.map((region) => ({ ...region, name: '\u001b]0;x\u0007\n\u202e' })) }
	);
	const core = readFileSync(join(dir, FILES.core));
	core[manifest.regions[0]!.segments[0]!.offset]! ^= 1;
	writeFileSync(join(dir, FILES.core), core);
	const { start, end } = manifest.regions[0]!;
	t.deepEqual(
		(await verifyFolder(dir)).faults, [`core: bytes 0 to ${core.length} were altered: ${start}-${end} \u001b]0;x\u0007\n\u202e`]
	);
});

test('a list of regions that has no end is named in part', async (t) => {
	const { dir, manifest } = copyOf(t, whole);
	const region = manifest.regions.find(({ bytes }) => bytes > 0)!, { offset } = region.segments[0]!;
	const pages = Array.from({ length: 1000 }, (_, i): RegionRecord => {
		const start = `0x${(0x10000 + i * 0x1000).toString(16)}`;
		return {
			...region, start, end: `0x${(0x11000 + i * 0x1000).toString(16)}`, bytes: 1,
			segments: [{ start, bytes: 1, offset: offset + i }],
		};
	});
	resealManifest(dir, { ...manifest, regions: pages, core: { ...manifest.core, bytes: offset + 1000 } });
	truncateSync(join(dir, FILES.core), offset + 1000);
	const { faults } = await verifyFolder(dir);
	t.is(faults.length, 1);
	t.regex(faults[0]!, /^core: bytes 0 to \d+ were altered: (?:0x\w+-0x\w+ \S+, ){7}0x\w+-0x\w+ \S+ and 9\d\d more$/);
});

/** Peak memory of a process that verifies it, and what it says. */
function verifyApart(dir: string): { faults: string[]; peakMiB: number } {
	const [node, ...flags] = NODE;
	const script =
		`const { verifyFolder } = await import(${JSON.stringify(new URL('../../acquire/verify.ts', import.meta.url).href)});
		const { faults } = await verifyFolder(process.argv[1]);
		process.stdout.write(JSON.stringify({ faults, peakMiB: process.resourceUsage().maxRSS / 1024 }));`;
	const { stdout, stderr } = spawnSync(
		node, [...flags, '--input-type=module', '-e', script, dir], { encoding: 'utf8', timeout: 60_000 }
	);
	if (stdout === '') throw new Error(stderr);
	return JSON.parse(stdout) as { faults: string[]; peakMiB: number };
}

test('sizes that are claimed, or are holes in a file, take no memory', (t) => {
	const { peakMiB: usual } = verifyApart(whole.dir);
	const huge = 2 ** 40;
	for (const name of [FILES.manifest, FILES.publicKey, FILES.signature, FILES.leaves, FILES.core]) {
		const { dir, manifest } = copyOf(t, whole);
		truncateSync(join(dir, name), huge);
		t.is(statSync(join(dir, name)).size, huge);
		const { faults, peakMiB } = verifyApart(dir);
		t.is(faults.length, 1, faults.join('; '));
		t.regex(
			faults[0]!,
			name === FILES.core
				? new RegExp(`^core: ${huge - manifest.core.bytes} bytes were added at its end$`)
				: name === FILES.leaves
					? /^leaves: altered/
					: new RegExp(`^${name.replace('.', '\\.')}: it has ${huge} bytes, and no such file has more than`)
		);
		t.true(peakMiB < usual + 100, `${name}: ${peakMiB} MiB, and usually ${usual} MiB`);
	}
});

test('a core of many chunks that is as large as it says takes the memory of one', (t) => {
	const { dir, manifest } = copyOf(t, whole), bytes = 300 * CHUNK_BYTES;
	truncateSync(join(dir, FILES.core), bytes);
	resealManifest(dir, { ...manifest, regions: [], core: { ...manifest.core, bytes } });
	const { peakMiB: usual } = verifyApart(whole.dir), { faults, peakMiB } = verifyApart(dir);
	t.deepEqual(
		faults,
		[
			'leaves: altered: not what the manifest\'s root is of; what was altered in the core can be told by ' +
				'region only',
			'core: was altered: its header or notes',
		]
	);
	t.true(peakMiB < usual + 100, `${peakMiB} MiB, and usually ${usual} MiB`);
});
