/** A core that is made of the copy's own file: what lies there is not written again, and nothing else is left of it. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import {
	closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync, writeFileSync, writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { layOut, type Content } from '../../acquire/evidence/core.ts';
import { CoreFile } from '../../acquire/evidence/core-file.ts';
import { createFolder, FILES, type Destination } from '../../acquire/evidence/folder.ts';
import { gapsIn, whatStays } from '../../acquire/evidence/in-place.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { collectorKey } from '../../acquire/evidence/seal.ts';
import { layOutAt, toWrite, unused } from '../../acquire/laying-out.ts';
import { take } from '../../acquire/take.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { Workload } from '../../bench/targets/workload.ts';
import { PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import { parseRegions, type Region } from '../../common/proc/regions.ts';
import { mechanism } from '../../mechanisms/precopy.ts';
import type { FilePlace } from '../../mechanisms/shared/types.ts';
import { start } from '../native/help.ts';
import { ShiftingThread } from '../native/shifting.ts';
import { testUnless } from '../unless.ts';
import { run, temporaryFolder } from './help.ts';

const MIB = 1 << 20, HEAD = 2 * MIB, BASE = 0x10000000;
const precopyTest = testUnless(mechanism.unavailable());

/** What this process has written by now, and what those that it has waited for have: its tracers. */
const writtenBytes = (): number => Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);

/**
 * The process sleeps: it has now what it had then, but for where the kernel notes its CPU (rseq(2)), in a small region.
 * Parts of the others that the core has differently.
 */
function differing(pid: number, { regions }: Manifest, core: string): string[] {
	const memory = openSync(`/proc/${pid}/mem`, 'r'), file = openSync(core, 'r'), wrong: string[] = [];
	try {
		const large = regions.filter(({ capture, bytes }) => capture === 'frozen' && bytes >= MIB);
		for (const { start, name, segments } of large) {
			for (const { start: first, bytes, offset } of segments) {
				const [here, there] = [Buffer.alloc(bytes), Buffer.alloc(bytes)];
				const whole = readSync(memory, here, 0, bytes, Number(first)) === bytes &&
					readSync(file, there, 0, bytes, offset) === bytes;
				if (!whole || !here.equals(there)) wrong.push(`${start} ${name} at ${first}`);
			}
		}
	} finally {
		closeSync(memory);
		closeSync(file);
	}
	return wrong;
}

async function taken(t: ExecutionContext, change: (made: Destination) => Destination = (made) => made): Promise<{
	dir: string; manifest: Manifest; wrote: number; pid: number;
}> {
	const target = await Workload.start('resident', ['--rss', '96M']);
	t.teardown(() => target.close());
	const base = temporaryFolder(t), before = writtenBytes();
	const { where: dir, manifest } = await take({
		pid: target.pid, key: () => collectorKey(join(base, 'key')).key, mechanisms: [mechanism],
		destination: async () => change(await createFolder(join(base, 'evidence'))),
	});
	return { dir, manifest, wrote: writtenBytes() - before, pid: target.pid };
}

const largest = ({ regions }: Manifest) => regions.reduce((a, b) => (b.bytes > a.bytes ? b : a));

precopyTest('what the copy has of a large region is the core, and is not written again', async (t) => {
	const { dir, manifest, wrote, pid } = await taken(t), core = join(dir, FILES.core), region = largest(manifest);
	t.true(region.bytes > 90 * MIB);
	t.true(wrote < 1.5 * region.bytes, `${wrote} bytes were written in all`);
	t.is(region.segments[0]!.offset % PAGE_BYTES, 0);
	const others = manifest.regions.filter(({ bytes }) => bytes > 0 && bytes < region.bytes);
	t.true(others.every(({ segments }) => segments[0]!.offset > region.segments.at(-1)!.offset), 'they lie behind it');
	t.deepEqual((await verifyFolder(dir)).faults, []);
	t.deepEqual(differing(pid, manifest, core), []);
	const { timestamp, program, ...usual } = FILES;
	t.deepEqual(readdirSync(dir).sort(), Object.values(usual).sort(), `neither ${timestamp} nor ${program}`);
	t.is(statSync(core).mode & 0o777, 0o600);
	// Readers that nobody here wrote.
	const middle = Number(region.start) + 48 * MIB, memory = openSync(`/proc/${pid}/mem`, 'r'), word = Buffer.alloc(8);
	readSync(memory, word, 0, 8, middle);
	closeSync(memory);
	const gdb = run('gdb', ['-nx', '-batch', '-ex', `x/gx ${middle}`, '-c', core]);
	t.true(gdb.stdout.includes(`0x${word.readBigUInt64LE().toString(16).padStart(16, '0')}`), gdb.stdout + gdb.stderr);
	t.is(run('eu-readelf', ['-ln', core]).status, 0);
});

/** As a reader of the core finds it: pages that a process never had are zeros, and not in it. */
function bytesAt({ regions }: Manifest, core: Buffer, address: number, length: number): Buffer {
	const end = address + length;
	const isMapped = regions.some((each) => Number(each.start) <= address && end <= Number(each.end));
	const found = Buffer.alloc(isMapped ? length : 0);
	for (const { start: from, bytes, offset } of regions.flatMap(({ segments }) => segments)) {
		const start = Number(from), first = Math.max(start, address), last = Math.min(start + bytes, end);
		if (isMapped && first < last) core.copy(found, first - address, offset + first - start, offset + last - start);
	}
	return found;
}

/** What shifting.c counts, it writes; what it gives up is in the copy's file by then. */
precopyTest('a core of a process that wrote, gave up and moved memory meanwhile is that of its moment', async (t) => {
	const pages = 40_000, target = await start(t, 'shifting', 1, pages);
	const oracle = new ShiftingThread(await target.line(), pages), base = temporaryFolder(t);
	for (let n = 0; n < 3; n++) {
		const { where: dir, manifest } = await take({
			pid: target.pid, key: () => collectorKey(join(base, 'key')).key, mechanisms: [mechanism],
			destination: () => createFolder(join(base, `evidence-${n}`)),
		});
		const core = readFileSync(join(dir, FILES.core)), region = largest(manifest);
		t.true(region.bytes > 64 * MIB);
		const small = manifest.regions.find(({ bytes }) => bytes > 0 && bytes < region.bytes)!;
		t.true(small.segments[0]!.offset > region.segments[0]!.offset, 'it stayed in its place');
		t.is(oracle.wrong((address, length) => bytesAt(manifest, core, address, length)), null);
		t.deepEqual((await verifyFolder(dir)).faults, []);
		// Of no region, and so of no evidence: the copy's file had pages of others there.
		const segments = manifest.regions.flatMap((each) => each.segments)
			.map(({ start: first, bytes, offset }) => ({ start: Number(first), end: Number(first) + bytes, offset }));
		for (const { start: from, end } of gapsIn({ start: HEAD, end: core.length }, segments))
			t.true(core.subarray(from, end).every((byte) => byte === 0), `${from} to ${end}`);
	}
	await target.runs(1);
});

precopyTest('what was altered in it is told of by region', async (t) => {
	const { dir, manifest } = await taken(t), region = largest(manifest), { offset } = region.segments[0]!;
	const file = openSync(join(dir, FILES.core), 'r+');
	t.teardown(() => closeSync(file));
	const name = `${region.start}-${region.end}`, { offset: last, bytes } = region.segments.at(-1)!;
	for (const [at, where] of [
		[offset + 20 * MIB + 7, name], [8, 'its header or notes'],
		// In the chunk of its last page, where something else follows.
		[last + bytes - 1, `what is of no region, or ${name}`],
	] as const) {
		const byte = Buffer.alloc(1);
		readSync(file, byte, 0, 1, at);
		writeSync(file, Buffer.from([byte[0]! ^ 1]), 0, 1, at);
		const chunk = at - at % MIB;
		t.deepEqual((await verifyFolder(dir)).faults, [`core: bytes ${chunk} to ${chunk + MIB} were altered: ${where}`]);
		writeSync(file, byte, 0, 1, at);
	}
});

precopyTest('where no file can be given a name, all is written as it always was', async (t) => {
	const { dir, manifest, wrote, pid } = await taken(t, (made) => ({
		...made, adopt: (path) => made.adopt!(`${path}-that-is-not-there`),
	}));
	t.true(wrote > 1.9 * largest(manifest).bytes, `${wrote}`);
	t.deepEqual((await verifyFolder(dir)).faults, []);
	t.deepEqual(differing(pid, manifest, join(dir, FILES.core)), []);
	t.is(largest(manifest).segments.length, 1);
});

function region(at: number, bytes: number): Region {
	const [found] = parseRegions(`${at.toString(16)}-${(at + bytes).toString(16)} rw-p 00000000 00:00 0\n`);
	return found!;
}

const content = (at: number, bytes: number, from: Content['from'] = 'duplicate'): Content =>
	({ region: region(at, bytes), runs: [{ start: at, end: at + bytes }], from });

/** A copy's file that has these addresses one after the other, behind its head, each after a gap. */
const fileOf = (gap: number, ...runs: Run[]) => {
	let offset = HEAD;
	const places = runs.map(({ start, end }): FilePlace => {
		const place = { start, end, offset: offset + gap };
		offset += gap + end - start;
		return place;
	});
	return {
		headBytes: HEAD, bytes: offset,
		placesOf: ({ start, end }: Run) => {
			const found = places.find((place) => place.start <= start && place.end >= end);
			return found === undefined ? null : [{ start, end, offset: found.offset + start - found.start }];
		},
	};
};

const LARGE = content(BASE, 80 * MIB), SMALL = content(BASE + 200 * MIB, MIB);

test('what stays: large regions, of the copy, all of which it has', (t) => {
	const [large] = LARGE.runs as [Run];
	const staying = (contents: Content[], file: ReturnType<typeof fileOf>): number | null =>
		whatStays(contents, file)?.segments.size ?? null;
	t.is(staying([LARGE, SMALL], fileOf(0, large, SMALL.runs[0]!)), 1);
	t.is(staying([SMALL], fileOf(0, SMALL.runs[0]!)), null, 'it has a SHA-256 of its own');
	t.is(staying([content(BASE, 80 * MIB, 'target')], fileOf(0, large)), null, 'it is read from the target');
	t.is(staying([LARGE], fileOf(0, { ...large, start: BASE + PAGE_BYTES })), null, 'a page of it lies elsewhere');
	const scattered = Array.from({ length: 20_000 }, (_, i) => BASE + 2 * i * PAGE_BYTES);
	const runs = scattered.map((at) => ({ start: at, end: at + PAGE_BYTES }));
	t.is(staying([{ ...LARGE, runs }], fileOf(0, { start: BASE, end: BASE + 2 * large.end })), null, 'too many parts');
	t.is(staying([LARGE], fileOf(20 * MIB, large)), 1);
	t.is(staying([LARGE], fileOf(21 * MIB, large)), null, 'more than a quarter would be zeros');
});

test('the layout: head, what stays, all others; and each byte is of one of them', (t) => {
	const file = fileOf(3 * PAGE_BYTES, LARGE.runs[0]!), stays = whatStays([LARGE, SMALL], file);
	const layout = layOut([LARGE, SMALL], Buffer.alloc(100), stays);
	t.deepEqual(layout.contents.map(({ segments }) => segments.map(({ offset }) => offset)), [
		[HEAD + 3 * PAGE_BYTES], [file.bytes],
	]);
	t.is(layout.bytes, file.bytes + MIB);
	t.deepEqual(unused(layout), [{ start: HEAD, end: HEAD + 3 * PAGE_BYTES }]);
	t.deepEqual(toWrite(layout, { start: 0, end: 4 * MIB }), [{ start: 0, end: HEAD }]);
	t.deepEqual(toWrite(layout, { start: 4 * MIB, end: 8 * MIB }), []);
	t.deepEqual(toWrite(layout, { start: 80 * MIB, end: layout.bytes }), [{ start: file.bytes, end: layout.bytes }]);
	const tooLarge = layOut([LARGE, SMALL], Buffer.alloc(HEAD), stays);
	t.is(tooLarge.inPlace, null, 'its head finds no room before it');
	t.deepEqual(toWrite(tooLarge, { start: 0, end: 4 * MIB }), [{ start: 0, end: 4 * MIB }]);
});

test('gaps: between, before and behind', (t) => {
	const segment = (offset: number, bytes: number) => ({ start: 0, end: bytes, offset });
	t.deepEqual(gapsIn({ start: 10, end: 100 }, [segment(50, 10), segment(10, 20)]), [
		{ start: 30, end: 50 }, { start: 60, end: 100 },
	]);
	t.deepEqual(gapsIn({ start: 10, end: 20 }, []), [{ start: 10, end: 20 }]);
	t.deepEqual(gapsIn({ start: 10, end: 20 }, [segment(10, 10)]), []);
});

test('what the copy has of memory that the process gave up, is not in the core\'s file', async (t) => {
	const dir = temporaryFolder(t), path = join(dir, 'core');
	const file = await CoreFile.open(path, true);
	t.teardown(() => file.close());
	await file.write(Buffer.alloc(8 * PAGE_BYTES, 'secret'), 0);
	await file.empty([{ start: PAGE_BYTES, end: 3 * PAGE_BYTES }, { start: 6 * PAGE_BYTES, end: 7 * PAGE_BYTES }]);
	await file.sync();
	const pages = Array.from({ length: 8 }, (_, page) =>
		readFileSync(path).subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES).includes('secret'));
	t.deepEqual(pages, [true, false, false, true, true, true, false, true]);
});

test('a file that becomes the core without a name of its own, and one that cannot', async (t) => {
	const base = temporaryFolder(t), dir = join(base, 'evidence');
	const made = await createFolder(dir);
	writeFileSync(join(base, 'copy'), 'copied'.padEnd(2 * PAGE_BYTES));
	const copy = openSync(join(base, 'copy'), 'r');
	t.teardown(() => closeSync(copy));
	t.false(await made.adopt!(join(base, 'nothing')));
	t.true(await made.adopt!(`/proc/self/fd/${copy}`));
	rmSync(join(base, 'copy'));
	t.is(statSync(join(`${dir}.partial`, FILES.core)).size, 2 * PAGE_BYTES);
	await made.discard(false);
	t.deepEqual(readdirSync(base), []);
	// It had no name any more, and cannot have another one: linkat(2), ENOENT.
	const other = await createFolder(dir);
	t.false(await other.adopt!(`/proc/self/fd/${copy}`));
	t.is(readFileSync(join(`${dir}.partial`, FILES.core), 'utf8'), '');
	await other.discard(false);
});

test('what stays is written where the destination cannot make a core of the file', async (t) => {
	const file = {
		...fileOf(0, LARGE.runs[0]!), path: '/proc/self/fd/0', read: () => Promise.resolve(), wasCorrected: () => false,
	};
	const contents = [LARGE, SMALL], notes = Buffer.alloc(64);
	const laidOut = (destination: Pick<Destination, 'adopt'>) =>
		layOutAt(destination, { inFile: () => file }, contents, notes);
	t.not((await laidOut({ adopt: () => Promise.resolve(true) })).inPlace, null);
	t.deepEqual(await laidOut({ adopt: () => Promise.resolve(false) }), layOut(contents, notes));
	t.deepEqual(await laidOut({}), layOut(contents, notes));
});
