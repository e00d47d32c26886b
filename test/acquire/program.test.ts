/** The target's program is hashed beside the copy, and what that needs can fail without the evidence. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import test from 'ava';
import { ProgramHashing } from '../../acquire/program-hash.ts';

type Readable = Pick<FileHandle, 'read' | 'close'>;
const fake = (read: () => Promise<unknown>, close = () => Promise.resolve()): Readable =>
	({ read: read as FileHandle['read'], close });

test('all of it, and it is closed', async (t) => {
	const file = await open(process.execPath);
	const { sha256, failed } = await new ProgramHashing(file).result(undefined);
	t.is(sha256, createHash('sha256').update(readFileSync(process.execPath)).digest('hex'));
	t.is(failed, null);
	t.is(file.fd, -1);
});

test('a file that cannot be read: null, and why', async (t) => {
	let closed = 0;
	const file = fake(
		() => Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })),
		() => Promise.resolve(void (closed += 1))
	);
	t.deepEqual(
		await new ProgramHashing(file).result(undefined), { sha256: null, failed: 'EIO: i/o error, read' }
	);
	t.is(closed, 1);
});

test('a mistake of ours is none of the file\'s', async (t) => {
	const file = fake(() => Promise.reject(new TypeError('x')));
	await t.throwsAsync(new ProgramHashing(file).result(undefined), { instanceOf: TypeError });
});

test('a disk that does not answer is waited for until the limit, or a signal', async (t) => {
	const never = fake(() => new Promise(() => {}));
	const late = { sha256: null, failed: 'it was not read in time' };
	t.deepEqual(await new ProgramHashing(never).result(undefined, 10), late);
	const interrupted = new AbortController();
	const result = new ProgramHashing(never).result(interrupted.signal, 2 ** 30);
	interrupted.abort();
	t.deepEqual(await result, late);
	t.deepEqual(await new ProgramHashing(never).result(AbortSignal.abort(), 2 ** 30), late);
});
