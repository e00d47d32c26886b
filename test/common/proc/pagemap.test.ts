import { Failure } from '../../../common/errors.ts';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import {
	appendRuns, mergeRuns, PAGE_BYTES, populatedRuns, type Run, type Which,
} from '../../../common/proc/pagemap.ts';

/** Bits of an entry, by the kernel's documentation. */
const [PRESENT, SWAPPED, OF_FILE, EXCLUSIVE, SOFT_DIRTY] = [1n << 63n, 1n << 62n, 1n << 61n, 1n << 56n, 1n << 55n];
/** A page frame's number, or where in the swap: what is not asked for. */
const ELSE = 0x1234_5678n;

const entries = (...words: bigint[]): Uint32Array => new Uint32Array(new BigUint64Array(words).buffer);
const pages = (runs: readonly Run[], first = 0): Array<[number, number]> =>
	runs.map(({ start, end }) => [(start - first) / PAGE_BYTES, (end - first) / PAGE_BYTES]);

const EACH: Array<[string, bigint, Record<Which, boolean>]> = [
	['nothing', 0n, { all: false, own: false, resident: false }],
	['no page, but other bits', EXCLUSIVE | SOFT_DIRTY | OF_FILE | ELSE, { all: false, own: false, resident: false }],
	['its own, in memory', PRESENT | EXCLUSIVE, { all: true, own: true, resident: true }],
	['its own, shared by a fork', PRESENT | SOFT_DIRTY | ELSE, { all: true, own: true, resident: true }],
	['its own, swapped out', SWAPPED | ELSE, { all: true, own: true, resident: false }],
	['of a file, in memory', PRESENT | OF_FILE | ELSE, { all: true, own: false, resident: true }],
	['of shared memory, swapped out', SWAPPED | OF_FILE, { all: true, own: false, resident: false }],
];

for (const [title, entry, expected] of EACH) {
	test(`an entry: ${title}`, (t) => {
		for (const [which, wanted] of Object.entries(expected) as Array<[Which, boolean]>) {
			const runs: Run[] = [];
			appendRuns(runs, entries(entry), 1, 0x7000, which);
			t.deepEqual(runs, wanted ? [{ start: 0x7000, end: 0x8000 }] : [], which);
		}
	});
}

test('neighbours are one run, over the end of what was read too', (t) => {
	const runs: Run[] = [];
	const some = entries(PRESENT, PRESENT, 0n, PRESENT, PRESENT | OF_FILE, PRESENT);
	appendRuns(runs, some, 6, 0x10000, 'own');
	t.deepEqual(pages(runs, 0x10000), [[0, 2], [3, 4], [5, 6]]);
	appendRuns(runs, some, 2, 0x16000, 'own');
	t.deepEqual(pages(runs, 0x10000), [[0, 2], [3, 4], [5, 8]], 'no more entries than were read');
});

test('runs that lie close to each other become one', (t) => {
	const runs = [[0, 1], [2, 3], [5, 6], [20, 21]].map(([start, end]) =>
		({ start: start! * PAGE_BYTES, end: end! * PAGE_BYTES }));
	const before = structuredClone(runs);
	t.deepEqual(pages(mergeRuns(runs, 0)), pages(runs));
	t.deepEqual(pages(mergeRuns(runs, PAGE_BYTES - 1)), pages(runs));
	t.deepEqual(pages(mergeRuns(runs, PAGE_BYTES)), [[0, 3], [5, 6], [20, 21]]);
	t.deepEqual(pages(mergeRuns(runs, 2 * PAGE_BYTES)), [[0, 6], [20, 21]]);
	t.deepEqual(pages(mergeRuns(runs, 100 * PAGE_BYTES)), [[0, 21]]);
	t.deepEqual(mergeRuns([], PAGE_BYTES), []);
	t.deepEqual(runs, before, 'what was given is left alone');
});

/** A process with known pages, and where its regions begin. */
async function startPages(t: ExecutionContext): Promise<{ fd: number; at: number[]; end: () => Promise<void> }> {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	const program = join(folder, 'pages'), file = join(folder, 'file');
	execFileSync(
		'gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', program, fileURLToPath(new URL('pages.c', import.meta.url))]
	);
	writeFileSync(file, Buffer.alloc(64 * PAGE_BYTES));
	const target = spawn(program, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
	t.teardown(() => target.kill('SIGKILL'));
	const [line] = await once(target.stdout, 'data') as [Buffer];
	const fd = openSync(`/proc/${target.pid}/pagemap`, 'r');
	t.teardown(() => closeSync(fd));
	return { fd, at: line.toString().split(' ').map(Number), end: async () => {
		target.kill('SIGKILL');
		await once(target, 'exit');
	} };
}

test('a real process: exactly the pages that it touched', async (t) => {
	const { fd, at: [own = 0, shared = 0, file = 0, large = 0] } = await startPages(t);
	const found = (start: number, count: number, which: Which): Array<[number, number]> =>
		pages(populatedRuns(fd, { start, end: start + count * PAGE_BYTES }, which), start);
	const every3rd = Array.from({ length: 22 }, (_, i): [number, number] => [3 * i, 3 * i + 1]);
	t.deepEqual(found(own, 64, 'all'), every3rd);
	t.deepEqual(found(own, 64, 'own'), every3rd);
	t.deepEqual(found(shared, 64, 'all'), every3rd);
	t.deepEqual(found(shared, 64, 'own'), [], 'shared memory is nobody\'s own');
	t.deepEqual(
		found(file, 64, 'own'), Array.from({ length: 8 }, (_, i): [number, number] => [8 * i, 8 * i + 2]),
		'those that it wrote to'
	);
	t.deepEqual(found(file, 64, 'all'), [[0, 64]], 'and those that it read');
	t.deepEqual(found(own + 3 * PAGE_BYTES, 3, 'all'), [[0, 1]], 'only within what is asked for');
	t.deepEqual(
		found(large, 300_000, 'all'), [[0, 1], [131_070, 131_074], [262_143, 262_145], [299_999, 300_000]],
		'more than one read'
	);
});

test('of a process that has ended nobody says that it has no pages', async (t) => {
	const { fd, at: [own = 0], end } = await startPages(t);
	t.is(populatedRuns(fd, { start: own, end: own + 64 * PAGE_BYTES }, 'all').length, 22);
	await end();
	t.throws(
		() => populatedRuns(fd, { start: own, end: own + 64 * PAGE_BYTES }, 'all'),
		{ instanceOf: Failure, message: /ended while its page table was read/ }
	);
});
