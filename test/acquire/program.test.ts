/** The target's program is read beside the copy, and what that needs can fail without the evidence. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import test from 'ava';
import { ProgramReading } from '../../acquire/program.ts';
import type { FileReader } from '../../acquire/evidence/file-reader.ts';

type Reader = Pick<FileReader, 'read' | 'about' | 'close'>;

const fake = (read: () => Promise<number>): Reader => ({
	read, close: () => {},
	about: () => Promise.resolve({ bytes: 7, inode: 1n }),
});
const failing = (error: Error): Reader => fake(() => Promise.reject(error));
const never = (): Reader => fake(() => new Promise<number>(() => {}));

test('all of it, by a process of its own, and its content where that is wanted', async (t) => {
	const { size, ino: inode } = statSync(process.execPath, { bigint: true });
	const reading = new ProgramReading(process.execPath, false);
	t.deepEqual(await reading.result(undefined), {
		bytes: Number(size), inode, content: null,
		sha256: createHash('sha256').update(readFileSync(process.execPath)).digest('hex'),
		failed: null,
	});
	reading.close();
	const shell = new ProgramReading('/bin/sh', true);
	t.deepEqual((await shell.result(undefined)).content, readFileSync('/bin/sh'));
	shell.close();
});

test('a file that cannot be read: null, and why', async (t) => {
	const gone = new ProgramReading('/nonexistent/program', false);
	t.like(await gone.result(undefined), { bytes: null, sha256: null });
	t.regex((await gone.result(undefined)).failed ?? '', /^ENOENT/);
	gone.close();
	const broken = failing(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }));
	t.deepEqual(
		await new ProgramReading('x', false, broken).result(undefined),
		{ bytes: 7, inode: 1n, sha256: null, content: null, failed: 'EIO: i/o error, read' }
	);
});

test('a mistake of ours is none of the file\'s', async (t) => {
	await t.throwsAsync(
		new ProgramReading('x', false, failing(new TypeError('x'))).result(undefined), { instanceOf: TypeError }
	);
});

test('a disk that does not answer is waited for until the limit, or a signal', async (t) => {
	const late = { bytes: 7, inode: 1n, sha256: null, content: null, failed: 'it was not read in time' };
	t.deepEqual(await new ProgramReading('x', false, never()).result(undefined, 10), late);
	const interrupted = new AbortController();
	const result = new ProgramReading('x', false, never()).result(interrupted.signal, 2 ** 30);
	await new Promise(setImmediate);	// it has heard by then how large it is
	interrupted.abort();
	t.deepEqual(await result, late);
});
