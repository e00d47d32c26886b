/** Leaves of a copy's file from while it grows: those of its bytes, and none where it was corrected since. */
import { randomBytes } from 'node:crypto';
import { closeSync, copyFileSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { EarlyLeaves } from '../../../acquire/evidence/early-leaves.ts';
import { CHUNK_BYTES, leafHash } from '../../../acquire/evidence/merkle.ts';
import type { CopyFile } from '../../../mechanisms/shared/types.ts';
import { until } from '../../native/help.ts';
import { temporaryFolder } from '../help.ts';

const MIB = 1 << 20, BLOCK = 4 * MIB, BLOCKS = 20;

/** Corrected in one chunk. */
const copyFile = (path: string, correctedAt = -1): CopyFile => ({
	path, headBytes: 0, bytes: BLOCKS * BLOCK, placesOf: () => null, read: () => Promise.resolve(),
	wasCorrected: (offset, bytes) => correctedAt >= offset && correctedAt < offset + bytes,
});

test('the leaves of what was there, as far as it was asked for', async (t) => {
	const folder = temporaryFolder(t), path = join(folder, 'copy'), file = openSync(path, 'wx');
	const early = new EarlyLeaves();
	t.teardown(() => early.end());
	const blocks = Array.from({ length: BLOCKS }, () => randomBytes(BLOCK));
	for (const [i, block] of blocks.entries()) {
		writeSync(file, block);
		// The last ones are not told of.
		early.reach({ path, wholeBytes: Math.min(i + 1, BLOCKS - 2) * BLOCK + MIB });
	}
	closeSync(file);
	const leavesOf = (block: Buffer): Buffer => Buffer.concat([0, 1, 2, 3].map((n) =>
		leafHash(block.subarray(n * CHUNK_BYTES, (n + 1) * CHUNK_BYTES))));
	await until('all is answered', () => early.known(copyFile(path))((BLOCKS - 3) * BLOCK, BLOCK) !== null);
	const known = early.known(copyFile(path, 7 * BLOCK + 5));
	for (const [i, block] of blocks.entries()) {
		const expected = i === 7 || i >= BLOCKS - 2 ? null : leavesOf(block);
		t.deepEqual(known(i * BLOCK, BLOCK), expected, `block ${i}`);
	}
	// Another file, as where one mechanism gave up and another one took its descriptor.
	copyFileSync(path, join(folder, 'other'));
	t.is(early.known(copyFile(join(folder, 'other')))(0, BLOCK), null);
	await early.forget();
	t.is(early.known(copyFile(path))(0, BLOCK), null);
});

test('a small copy is not begun with, and a file that cannot be read is no reason to fail', async (t) => {
	const folder = temporaryFolder(t), early = new EarlyLeaves(), path = join(folder, 'copy');
	t.teardown(() => early.end());
	early.reach({ path: join(folder, 'nothing'), wholeBytes: 63 * MIB });
	const file = openSync(path, 'wx');
	writeSync(file, Buffer.alloc(2 * BLOCK, 1));
	closeSync(file);
	// It is shorter than was told.
	early.reach({ path, wholeBytes: BLOCKS * BLOCK });
	await until('what is there is answered', () => early.known(copyFile(path))(BLOCK, BLOCK) !== null);
	await early.end();
	t.not(early.known(copyFile(path))(BLOCK, BLOCK), null, 'what is known stays so');
	t.is(early.known(copyFile(path))(2 * BLOCK, BLOCK), null);
	const none = new EarlyLeaves();
	none.reach({ path: join(folder, 'nothing'), wholeBytes: 64 * MIB });
	t.is(none.known(copyFile(path))(0, BLOCK), null);
});
