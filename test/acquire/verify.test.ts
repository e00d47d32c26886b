/** What verify says of evidence that is not what was sealed: which file, which bytes, which region. */
import {
	appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Failure } from '../../common/errors.ts';
import { createFolder, FILES } from '../../acquire/evidence/folder.ts';
import { ofVersion } from './older.ts';
import type { RegionRecord } from '../../acquire/evidence/manifest.ts';
import { CHUNK_BYTES } from '../../acquire/evidence/merkle.ts';
import { collectorKey, fingerprint, publicKeyFrom } from '../../acquire/evidence/seal.ts';
import { take } from '../../acquire/take.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { mechanism as inject } from '../../mechanisms/inject.ts';
import { Workload } from '../../bench/targets/workload.ts';
import { aFolder, aSealed, atTheEnd, copyOf, reseal, resealManifest, type Sealed } from './sealed.ts';

const shared = atTheEnd((end) => test.after.always(end));
let whole: Sealed;
test.before(async () => {
	whole = await aSealed(shared, true);
});

/** No evidence is without them. */
const ALWAYS = ['core', 'leaves', 'manifest', 'publicKey', 'signature'] as const;

/** What is said of a copy that is spoilt so, without more said of it. */
async function faultsOf(
	t: ExecutionContext, spoil: (sealed: Sealed, path: (name: keyof typeof FILES) => string) => void, withKey = true
): Promise<string[]> {
	const sealed = copyOf(t, whole);
	spoil(sealed, (name) => join(sealed.dir, FILES[name]));
	return (await verifyFolder(sealed.dir, withKey ? sealed.key : undefined)).faults;
}

test('evidence of version 1 is still verified, whole and spoilt', async (t) => {
	const { dir, manifest } = copyOf(t, whole);
	resealManifest(dir, ofVersion(1, manifest));
	const { faults, manifest: read } = await verifyFolder(dir);
	t.deepEqual([faults, read?.schemaVersion, read?.partial], [[], 1, null]);
	flip(join(dir, FILES.core), large().offset);
	t.is((await verifyFolder(dir)).faults.length, 1);
});

test('a region of more than 64 MiB has no SHA-256 of its own: its chunks tell of it', async (t) => {
	const target = await Workload.start('resident', ['--rss', '72M']);
	t.teardown(() => target.close());
	const base = aFolder(t);
	const { where: dir, manifest } = await take({
		pid: target.pid, key: () => collectorKey(join(base, 'key')).key,
		destination: () => createFolder(join(base, 'evidence')), mechanisms: [inject],
	});
	const core = readFileSync(join(dir, FILES.core)), withContent = manifest.regions.filter(({ bytes }) => bytes > 0);
	const [region, ...others] = withContent.filter(({ sha256 }) => sha256 === null);
	t.true(region!.bytes > 64 << 20);
	t.deepEqual(others, []);
	for (const { segments, bytes, sha256 } of withContent.filter((each) => each !== region)) {
		const offset = segments[0]!.offset;
		t.is(sha256, createHash('sha256').update(core.subarray(offset, offset + bytes)).digest('hex'));
	}
	t.deepEqual((await verifyFolder(dir)).faults, []);
	const name = `${region!.start}-${region!.end}`;
	const at = (Math.floor(region!.segments[0]!.offset / CHUNK_BYTES) + 9) * CHUNK_BYTES;
	const path = join(dir, FILES.core), first = region!.segments[0]!.offset;
	const before = Math.floor(first / CHUNK_BYTES) * CHUNK_BYTES;
	t.not(before, first, 'its first chunk is shared with what lies before it');
	// What lies before it in its first chunk has a SHA-256, or is the head: that tells which of them it is.
	const neighbour = withContent[withContent.indexOf(region!) - 1]!, last = neighbour.segments.at(-1)!;
	for (const [where, expected] of [
		[last.offset + last.bytes - 1, `${neighbour.start}-${neighbour.end} ${neighbour.name}, perhaps ${name}`],
		[first, before === 0 ? `its header or notes, or ${name}` : name],
	] as const) {
		flip(path, where);
		t.deepEqual(
			(await verifyFolder(dir)).faults, [`core: bytes ${before} to ${before + CHUNK_BYTES} were altered: ${expected}`]
		);
		flip(path, where);
	}
	flip(path, at + 7);
	t.deepEqual((await verifyFolder(dir)).faults, [`core: bytes ${at} to ${at + CHUNK_BYTES} were altered: ${name}`]);
	flip(join(dir, FILES.leaves), 0);
	t.is((await verifyFolder(dir)).faults[1], `core: was altered: its header or notes, or ${name}`);
});

test('evidence of version 2 is still verified: there each region with content has a SHA-256', async (t) => {
	const { dir, manifest } = copyOf(t, whole);
	resealManifest(dir, ofVersion(2, manifest));
	t.deepEqual((await verifyFolder(dir)).faults, []);
});

/** The region of 3 MiB, and how it is named. */
function large(): { name: string; offset: number; bytes: number } {
	const { start, end, segments, bytes } = whole.manifest.regions.find((region) => region.bytes === 3 << 20)!;
	return { name: `${start}-${end}`, offset: segments[0]!.offset, bytes };
}

function flip(path: string, at: number): void {
	const bytes = readFileSync(path);
	bytes[at]! ^= 1;
	writeFileSync(path, bytes);
}

test('whole: with the key that was given another way, and without', async (t) => {
	const signedBy = fingerprint(publicKeyFrom(whole.key, 'it'));
	t.like(
		await verifyFolder(whole.dir, whole.key),
		{ faults: [], trusted: true, signedBy, bytes: whole.manifest.core.bytes }
	);
	t.like(await verifyFolder(whole.dir), { faults: [], trusted: null, signedBy });
	t.deepEqual((await verifyFolder(whole.dir)).manifest, whole.manifest);
	t.deepEqual(await faultsOf(t, () => {}), [], 'a copy is as good');
});

test('altered: which bytes, of which region; neighbours are one range', async (t) => {
	const { name, offset } = large();
	t.deepEqual(
		await faultsOf(t, (_, path) => flip(path('core'), 100)),
		['core: bytes 0 to 1048576 were altered: its header or notes']
	);
	t.deepEqual(
		await faultsOf(t, (_, path) => flip(path('core'), CHUNK_BYTES + 5)),
		[`core: bytes 1048576 to 2097152 were altered: ${name}`]
	);
	t.deepEqual(
		await faultsOf(t, (_, path) => [offset, CHUNK_BYTES].map((at) => flip(path('core'), at))),
		[`core: bytes 0 to 2097152 were altered: ${name}`]
	);
	t.deepEqual(await faultsOf(t, (_, path) => [offset, 2 * CHUNK_BYTES].map((at) => flip(path('core'), at))),
		[`core: bytes 0 to 1048576 were altered: ${name}`, `core: bytes 2097152 to 3145728 were altered: ${name}`]);
	const [first, second] = whole.manifest.regions.filter(({ bytes }) => bytes > 0);
	t.deepEqual(await faultsOf(
		t, (_, path) => [first, second].map((region) => flip(path('core'), region!.segments[0]!.offset))
	),
		[
			`core: bytes 0 to 1048576 were altered: ` +
				[first, second].map((region) => `${region!.start}-${region!.end} ${region!.name}`).join(', '),
		]);
});

test('a region that ends where another chunk begins is not named for that', async (t) => {
	const { dir, manifest } = copyOf(t, whole), path = join(dir, FILES.core), core = readFileSync(path);
	const large = manifest.regions.findIndex(({ bytes }) => bytes === 3 << 20), region = manifest.regions[large]!;
	const { offset, start } = region.segments[0]!, first = 2 * CHUNK_BYTES - offset;
	const parts = [[0, first], [first, region.bytes]].map(([from = 0, to = 0]): RegionRecord => {
		const [at, end] = [from, to].map((bytes) => `0x${(Number(start) + bytes).toString(16)}`) as [string, string];
		return {
			...region, start: at, end, bytes: to - from,
			segments: [{ start: at, bytes: to - from, offset: offset + from }],
			sha256: createHash('sha256').update(core.subarray(offset + from, offset + to)).digest('hex'),
		};
	});
	resealManifest(dir, { ...manifest, regions: manifest.regions.toSpliced(large, 1, ...parts) });
	t.regex((await verifyFolder(dir)).faults.join(), /^core: its header says something else than/, 'and of bytes nothing');
	for (const at of [offset, 3 * CHUNK_BYTES - 1]) core[at]! ^= 1;
	writeFileSync(path, core);
	const [one, two] = parts.map((part) => `${part.start}-${part.end}`);
	t.deepEqual(
		(await verifyFolder(dir)).faults,
		[`core: bytes 0 to 1048576 were altered: ${one}`, `core: bytes 2097152 to 3145728 were altered: ${two}`]
	);
});

test('two chunks that changed places are told where they belong', async (t) => {
	const swapped = await faultsOf(t, (_, path) => {
		const core = readFileSync(path('core')), [second, third] = [1, 2].map((chunk) =>
			Buffer.from(core.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES)));
		third!.copy(core, CHUNK_BYTES);
		second!.copy(core, 2 * CHUNK_BYTES);
		writeFileSync(path('core'), core);
	});
	t.deepEqual(swapped, [
		`core: bytes 1048576 to 2097152 are those of 2097152, swapped or copied: ${large().name}`,
		`core: bytes 2097152 to 3145728 are those of 1048576, swapped or copied: ${large().name}`,
	]);
});

test('cut off: how much is left, and from which region on; the rest of it is not called altered', async (t) => {
	const { name, offset, bytes } = large(), { core } = whole.manifest;
	for (const left of [CHUNK_BYTES, offset + bytes - 1, 2 * CHUNK_BYTES + 17]) {
		t.deepEqual(
			await faultsOf(t, (_, path) => truncateSync(path('core'), left)),
			[`core: cut off: ${left} of ${core.bytes} bytes are left, up to region ${name}`]
		);
	}
	const [first] = whole.manifest.regions;
	t.deepEqual(
		await faultsOf(t, (_, path) => truncateSync(path('core'), 0)),
		[`core: cut off: 0 of ${core.bytes} bytes are left, up to region ${first!.start}-${first!.end} ${first!.name}`]
	);
	const both = await faultsOf(t, (_, path) => {
		flip(path('core'), offset + 1);
		truncateSync(path('core'), 2 * CHUNK_BYTES);
	});
	t.deepEqual(
		both,
		[
			`core: cut off: ${2 * CHUNK_BYTES} of ${core.bytes} bytes are left, up to region ${name}`,
			`core: bytes 0 to 1048576 were altered: ${name}`,
		]
	);
});

test('bytes added at the end are counted', async (t) => {
	for (const added of [1, CHUNK_BYTES + 1]) {
		t.deepEqual(
			await faultsOf(t, (_, path) => appendFileSync(path('core'), Buffer.alloc(added))),
			[`core: ${added} bytes were added at its end`]
		);
	}
});

test('altered leaves are told from an altered core', async (t) => {
	const leaves =
		'leaves: altered: not what the manifest\'s root is of; what was altered in the core can be told by region only';
	t.deepEqual(await faultsOf(t, (_, path) => flip(path('leaves'), 40)), [leaves]);
	t.deepEqual(await faultsOf(t, (_, path) => truncateSync(path('leaves'), 32)), [leaves]);
	t.deepEqual(await faultsOf(t, (_, path) => truncateSync(path('leaves'), 0)), [leaves]);
	t.deepEqual(await faultsOf(t, (_, path) => appendFileSync(path('leaves'), 'x')), [leaves]);
	const both = (at: number) => faultsOf(t, (_, path) => {
		flip(path('leaves'), 0);
		flip(path('core'), at);
	});
	t.deepEqual(await both(large().offset), [leaves, `core: was altered: ${large().name}`]);
	t.deepEqual(await both(0), [leaves, 'core: was altered: its header or notes']);
});

test('each file that is missing is named', async (t) => {
	for (const name of ALWAYS) {
		t.deepEqual(
			await faultsOf(t, (_, path) => rmSync(path(name))), [`${FILES[name]}: missing: the evidence is not whole`]
		);
	}
	t.deepEqual(
		(await verifyFolder(aFolder(t))).faults,
		['manifest.json', 'manifest.sig', 'collector.pub'].map((name) => `${name}: missing: the evidence is not whole`)
	);
});

test('what was added is named as it is called: whoever writes it escapes it', async (t) => {
	t.deepEqual(
		await faultsOf(t, ({ dir }) => writeFileSync(join(dir, 'core.bak'), '')),
		['core.bak: added: no file of the evidence']
	);
	t.deepEqual(
		await faultsOf(t, ({ dir }) => mkdirSync(join(dir, '.hidden'))), ['.hidden: added: no file of the evidence']
	);
	t.deepEqual(
		await faultsOf(t, ({ dir }) => writeFileSync(join(dir, 'a\u001b[2J\nb'), '')),
		['a\u001b[2J\nb: added: no file of the evidence']
	);
});

test('links, folders and pipes are not followed, read or waited for', async (t) => {
	const aside = aFolder(t);
	for (const name of ALWAYS.map((file) => FILES[file])) {
		const replaced = (by: (path: string) => void) => faultsOf(t, ({ dir }) => {
			renameSync(join(dir, name), join(aside, name));
			by(join(dir, name));
		});
		t.deepEqual(
			await replaced((path) => symlinkSync(join(aside, name), path)), [`${name}: no ordinary file`],
			'to the very file'
		);
		t.deepEqual(await replaced((path) => symlinkSync('nowhere', path)), [`${name}: no ordinary file`]);
		t.deepEqual(await replaced((path) => mkdirSync(path)), [`${name}: no ordinary file`]);
		t.deepEqual(await replaced((path) => execFileSync('mkfifo', [path])), [`${name}: no ordinary file`]);
	}
});

const SIGNATURE = 'manifest.json: its signature (manifest.sig) is not of this text by';

test('the key given is not the one that sealed it', async (t) => {
	const other = await aSealed(t);
	const { faults, trusted, manifest } = await verifyFolder(whole.dir, other.key);
	t.deepEqual(
		[faults, trusted, manifest],
		[
			[
				'collector.pub: not the key given: somebody else sealed this',
				`${SIGNATURE} the key given: one of them was altered`,
			],
			false, null,
		]
	);
	t.deepEqual(await faultsOf(t, ({ dir }) => writeFileSync(join(dir, FILES.publicKey), other.key)),
		[
			'collector.pub: not the key given: somebody else sealed this',
			'collector.pub: the manifest names another key',
		], 'another key in the folder');
	await t.throwsAsync(
		verifyFolder(whole.dir, Buffer.from('garbage')),
		{ instanceOf: Failure, message: /^the key given: no Ed25519 key in PEM/ }
	);
});

test('sealed again by somebody else: the key given tells, and without it the manifest may', async (t) => {
	const text = readFileSync(join(whole.dir, FILES.manifest));
	const again = ({ dir }: Sealed): void => void reseal(dir, text);
	t.deepEqual(
		await faultsOf(t, again),
		[
			'collector.pub: not the key given: somebody else sealed this',
			`${SIGNATURE} the key given: one of them was altered`,
		]
	);
	t.deepEqual(await faultsOf(t, again, false), ['collector.pub: the manifest names another key']);
	const cleverly = ({ dir, manifest }: Sealed): void => resealManifest(dir, manifest);
	t.deepEqual(await faultsOf(t, cleverly, false), [], 'this is what the key is for');
	t.is((await faultsOf(t, cleverly)).length, 2);
});

test('a public key whose text was altered in what does not count is found', async (t) => {
	const { dir, key } = copyOf(t, whole), path = join(dir, FILES.publicKey), text = key.toString();
	for (const altered of [
		`words\n${text}`, `${text}\n`, text.replaceAll('\n', '\r\n'),
		text.replace(/(.)=\n/, (_, last: string) => `${String.fromCharCode(last.charCodeAt(0) + 1)}=\n`),
	]) {
		writeFileSync(path, altered);
		t.deepEqual(
			(await verifyFolder(dir, key)).faults, ['collector.pub: altered: not as it was written'],
			JSON.stringify(altered)
		);
		t.deepEqual((await verifyFolder(dir)).faults, ['collector.pub: altered: not as it was written']);
	}
});

test('what is no folder is an error', async (t) => {
	await t.throwsAsync(
		verifyFolder(join(whole.dir, 'nowhere')),
		{ instanceOf: Failure, message: /nowhere is no evidence folder: ENOENT/ }
	);
	await t.throwsAsync(
		verifyFolder(join(whole.dir, FILES.core)),
		{ instanceOf: Failure, message: /core is no evidence folder: ENOTDIR/ }
	);
});

test('a manifest that says something else of the core than the core\'s own header', async (t) => {
	const { dir, manifest } = copyOf(t, whole);
	const index = manifest.regions.findIndex(({ segments }) => segments.length > 0);
	const { start, segments } = manifest.regions[index]!, [first] = segments;
	const elsewhere = (address: string): string => `0x${(Number(address) - 4096).toString(16)}`;
	const moved = { ...manifest.regions[index]!, start: elsewhere(start), segments: segments.map((segment) =>
		({ ...segment, start: elsewhere(segment.start) })) };
	resealManifest(dir, { ...manifest, regions: manifest.regions.with(index, moved) });
	t.deepEqual((await verifyFolder(dir)).faults, [
		`core: its header says something else than manifest.json: a segment of ${first!.bytes} bytes at ${first!.start}, ` +
			`${first!.offset} in the core`,
	]);
	// A region that the manifest does not have, and the core has.
	const last = manifest.regions.findLastIndex((region) => region.segments.length > 0);
	const fewer = { ...manifest.regions[last]!, segments: [], bytes: 0, sha256: null };
	resealManifest(dir, { ...manifest, regions: manifest.regions.with(last, fewer) });
	t.regex((await verifyFolder(dir)).faults.join(), /program headers, where \d+ segments and the notes are due/);
});
