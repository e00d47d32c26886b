/** Every single byte that is altered is found, wherever in the evidence it is: 10,000 times. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { FILES } from '../../acquire/evidence/folder.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { CHUNK_BYTES } from '../../acquire/evidence/merkle.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { createRandom, type Random } from '../../bench/stats/random.ts';
import { aSealed, type Sealed } from './sealed.ts';

const SEED = 20_26;

/** How often which file is altered. The core is most of what there is; of the others nearly each byte is met. */
const TIMES = {
	[FILES.core]: 4000, [FILES.leaves]: 1000, [FILES.manifest]: 3000, [FILES.publicKey]: 1000, [FILES.signature]: 1000,
};
const SIGNATURE = /^manifest\.json: its signature \(manifest\.sig\) is not of this text by the key given/;
/** What must be said of it. */
const SAID: Record<string, RegExp> = {
	[FILES.core]: /^core: bytes 0 to \d+ were altered: /, [FILES.leaves]: /^leaves: altered: /,
	[FILES.manifest]: SIGNATURE,
	[FILES.publicKey]: /^collector\.pub: /, [FILES.signature]: SIGNATURE,
};

interface Altered { at: number; was: number; is: number; faults: string[] }

/** Alters one byte of a file, has the folder verified, and puts the byte back; so many times. */
async function alterAndVerify(
	{ dir, key }: Sealed, name: string, times: number, random: Random, each: (altered: Altered) => void
): Promise<void> {
	const path = join(dir, name), original = readFileSync(path), file = openSync(path, 'r+');
	try {
		for (let i = 0; i < times; i++) {
			const at = Math.floor(random() * original.length), was = original[at]!;
			const is = was ^ (1 + Math.floor(random() * 255));
			writeSync(file, Buffer.from([is]), 0, 1, at);
			const { faults } = await verifyFolder(dir, key);
			writeSync(file, Buffer.from([was]), 0, 1, at);
			each({ at, was, is, faults });
		}
	} finally {
		closeSync(file);
	}
}

test('10,000 altered bytes, sampled over all files: each is found, and what was altered is said', async (t) => {
	const sealed = await aSealed(t), random = createRandom(SEED);
	t.deepEqual((await verifyFolder(sealed.dir, sealed.key)).faults, []);
	const before = Object.keys(TIMES).map((name) => readFileSync(join(sealed.dir, name)));
	let verified = 0;
	const missed: string[] = [], misnamed: string[] = [];
	for (const [name, times] of Object.entries(TIMES)) {
		await alterAndVerify(sealed, name, times, random, ({ at, was, is, faults }) => {
			verified += 1;
			const where = `${name}, byte ${at}: ${was} to ${is}`;
			if (faults.length === 0) missed.push(where);
			else if (!faults.some((fault) => SAID[name]!.test(fault)) || faults.some((fault) => fault.includes('\n')))
				misnamed.push(`${where}: ${faults.join('; ')}`);
		});
	}
	t.is(verified, 10_000);
	t.deepEqual(missed, []);
	t.deepEqual(misnamed, []);
	t.deepEqual(Object.keys(TIMES).map((name) => readFileSync(join(sealed.dir, name))), before);
	t.like(
		await verifyFolder(sealed.dir, sealed.key), { faults: [], trusted: true, bytes: sealed.manifest.core.bytes }
	);
});

/** By the manifest alone: whose byte of the core it is. */
function ownerOf({ regions }: Manifest, at: number): string {
	const region = regions.find(({ segments }) =>
		segments.some(({ offset, bytes }) => offset <= at && at < offset + bytes));
	return region === undefined
		? 'its header or notes'
		: `${region.start}-${region.end}${region.name === '' ? '' : ` ${region.name}`}`;
}

test('in a core of several chunks the chunk and the region of each are named, and no others', async (t) => {
	const sealed = await aSealed(t, true), { manifest } = sealed, found = new Set<number>();
	t.true(manifest.core.bytes > 3 * CHUNK_BYTES);
	await alterAndVerify(sealed, FILES.core, 100, createRandom(SEED), ({ at, faults }) => {
		const chunk = Math.floor(at / CHUNK_BYTES);
		found.add(chunk);
		t.deepEqual(
			faults,
			[
				`core: bytes ${chunk * CHUNK_BYTES} to ${Math.min((chunk + 1) * CHUNK_BYTES, manifest.core.bytes)} ` +
					`were altered: ${ownerOf(manifest, at)}`,
			]
		);
	});
	t.true(found.size >= 3);
});
