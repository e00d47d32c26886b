/** Memory that hides: by its file's name, by moving, in what looks unchanged, or since the target took it back. */
import test, { type ExecutionContext } from 'ava';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { HiddenRegion } from '../../acquire/hidden.ts';
import type { Manifest, RegionRecord } from '../../acquire/evidence/manifest.ts';
import { mechanism as inject } from '../../mechanisms/inject.ts';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import type { Target } from '../native/help.ts';
import { isFree, NODE } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { CoreFile } from './core-file.ts';
import { regionAt, startTarget, takeEvidence, temporaryFolder } from './help.ts';
import { HUGE, PAGE } from './regions.ts';

const AT = 1, PAGES = 2, ALL_FROM = 3, ALL_TO = 4;
const MIB = 1 << 20;
const ONLY = '--only-private';
const PAGE_OF = (letter: string): Buffer => Buffer.alloc(PAGE, letter);

const procsnap = (...args: string[]) =>
	spawnSync(NODE[0], [...NODE.slice(1), 'acquire/cli.ts', ...args], { encoding: 'utf8' });

/** A take that may be one in part. */
function take(t: ExecutionContext, { pid }: Target, ...options: string[]): {
	status: number | null; stdout: string; manifest: Manifest; core: CoreFile;
} {
	const base = temporaryFolder(t), dir = join(base, 'evidence');
	const { status, stdout, stderr } =
		procsnap('take', String(pid), '--out', dir, '--key', join(base, 'key'), ...options);
	t.true(status === 0 || status === 5, stderr);
	const manifest = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as Manifest;
	t.is(procsnap('verify', dir, '--key', join(base, 'key.pub')).status, 0, 'it is what was sealed');
	return { status, stdout, manifest, core: CoreFile.open(t, join(dir, 'core')) };
}

function hidden({ pid }: Target): {
	status: number | null; regions: Array<Omit<HiddenRegion, 'start' | 'end'> & { start: string; end: string }>;
	unlocatedBytes: number;
} {
	const { status, stdout } = procsnap('hidden', String(pid), '--mechanism', 'inject', '--json');
	return { status, ...JSON.parse(stdout) as Omit<ReturnType<typeof hidden>, 'status'> };
}

/** A file at such a place, for the test alone; null: that is not ours to make. */
function fileAt(t: ExecutionContext, path: string): string | null {
	try {
		mkdirSync(dirname(path), { recursive: true });
		writeFileSync(path, randomBytes(4 * PAGE), { flag: 'wx' });
		t.teardown(() => rmSync(path.startsWith('/dev/') ? dirname(path) : path, { recursive: true }));
		return path;
	} catch (error) {
		t.log(`not looked at: ${String(error)}`);
		return null;
	}
}

const NAMES = ['/dev/procsnap-test', '/secretmem-procsnap-test', '/dev/shm/procsnap-test'];

for (const mechanism of forEvidence()) {
	const maybe = testUnless(mechanism.unavailable());

	maybe(`${mechanism.name}: memory of a file is taken for what that is, whatever it is called`, async (t) => {
		for (const name of NAMES) {
			const id = `${process.pid}-${mechanism.name}`;
			const path = fileAt(t, name.startsWith('/dev/') ? `${name}-${id}/x.so` : `${name}-${id}`);
			if (path === null) continue;
			const target = await startTarget(t, 'hiding', 'file', path, 1, 2);
			const { manifest, core } = await takeEvidence(t, target.pid, '--mechanism', mechanism.name);
			const at = target.number(AT), record = regionAt(manifest, at);
			t.deepEqual([record?.capture, record?.name, record?.bytes], ['frozen', path, 4 * PAGE]);
			const file = CoreFile.open(t, core), bytes = readFileSync(path);
			bytes.fill('w', PAGE, 3 * PAGE);
			t.true(file.read(at, 4 * PAGE).equals(bytes), path);
		}
	});

	maybe(`${mechanism.name}: private pages of a device's mapping are memory, and no others are read`, async (t) => {
		const target = await startTarget(t, 'hiding', 'data', '/dev/zero', 1);
		const { manifest, core } = await takeEvidence(t, target.pid, '--mechanism', mechanism.name);
		const at = target.number(AT), record = regionAt(manifest, at);
		t.deepEqual([record?.capture, record?.name, record?.bytes], ['frozen', '/dev/zero', PAGE]);
		t.true(CoreFile.open(t, core).read(at + PAGE, PAGE).equals(PAGE_OF('w')));
	});

	maybe(`${mechanism.name}: shared memory of a file below /dev is no device's`, async (t) => {
		const path = fileAt(t, `/dev/procsnap-test-${process.pid}-shared-${mechanism.name}/x.so`);
		if (path === null) return;
		const target = await startTarget(t, 'hiding', 'shared', path, 1);
		const { manifest, core } = await takeEvidence(t, target.pid, '--mechanism', mechanism.name);
		const at = target.number(AT);
		t.is(regionAt(manifest, at)?.capture, 'shared-live');
		t.true(CoreFile.open(t, core).read(at + PAGE, PAGE).equals(PAGE_OF('w')));
	});

	maybe(`${mechanism.name}: unchanged pages of files are taken as the target's own core has them`, async (t) => {
		const path = join(temporaryFolder(t), 'file'), bytes = randomBytes(8 * PAGE + 100);
		writeFileSync(path, bytes);
		const whole = Buffer.concat([bytes, Buffer.alloc(PAGE - 100)]);
		const changed = Buffer.from(whole);
		changed.fill('w', PAGE, 2 * PAGE);
		for (const { pages, filter, options, taken, expected } of [
			{ pages: [1], filter: 0x33, options: [], taken: 9, expected: changed },
			{ pages: [1], filter: 0x33, options: [ONLY], taken: 2, expected: changed.subarray(0, 2 * PAGE) },
			{ pages: [1], filter: 0x32, options: [], taken: 2, expected: changed.subarray(0, 2 * PAGE) },
			{ pages: [], filter: 0x33, options: [], taken: 1, expected: whole.subarray(0, PAGE) },
			{ pages: [], filter: 0x37, options: [], taken: 9, expected: whole },
			{ pages: [], filter: 0x37, options: [ONLY], taken: 1, expected: whole.subarray(0, PAGE) },
		]) {
			const target = await startTarget(t, 'hiding', 'data', path, ...pages), at = target.number(AT);
			writeFileSync(`/proc/${target.pid}/coredump_filter`, `0x${filter.toString(16)}`);
			const { status, stdout, manifest, core } = take(t, target, '--mechanism', mechanism.name, ...options);
			const record = regionAt(manifest, at), title = `${filter.toString(16)} ${options.join('')} ${pages.join()}`;
			t.is(status, 0, title);
			t.deepEqual(
				[record?.bytes, record?.unreadable, record?.capture],
				[taken * PAGE, [], pages.length > 0 ? 'frozen' : 'file'], title
			);
			t.true(core.read(at, expected.length).equals(expected), title);
			t.deepEqual(manifest.filter, { coredumpFilter: filter, onlyPrivate: options.length > 0 });
			t.is(stdout.includes('(--only-private)'), options.length > 0);
		}
	});
}

const injectTest = testUnless(inject.unavailable());

for (const more of [[], ['shared']])
	injectTest(
		`memory that a fork leaves out is taken as of the moment, however often it moves: ${more.join('') || 'private'}`,
		async (t) => {
			const target = await startTarget(t, 'hiding', 'moving', MIB, 'dontfork', ...more);
			const { status, manifest, core } = take(t, target, '--mechanism', 'inject');
			const found = movedIn(manifest, target);
			t.is(found.length, 1);
			const [record] = found as [RegionRecord];
			t.deepEqual(
				[record.capture, record.readFrom, record.bytes, record.readBetweenNs, record.unreadable],
				['hidden-by-dontfork', 'target', MIB, null, []]
			);
			t.true(core.read(Number(record.start), MIB).equals(Buffer.alloc(MIB, 'k')));
			t.deepEqual([status, manifest.lackingBytes, manifest.unlocatedBytes], [0, 0, 0]);
			const { regions, ...said } = hidden(target);
			t.is(said.status, 4);
			t.deepEqual(
				regions.filter(({ start }) => isWithin(target, start)).map((each) => [each.why, each.residentBytes]),
				[['left-out', MIB]]
			);
			t.true(isFree(target.pid));
		}
	);

/** More than is copied in a stop; and what a fork wipes, which nobody can tell in a stop. */
for (const { advice, bytes, capture, why } of [
	{ advice: 'dontfork', bytes: 12 * MIB, capture: 'hidden-by-dontfork', why: 'left-out' },
	{ advice: 'wipeonfork', bytes: MIB, capture: 'wiped-on-fork', why: 'wiped' },
] as const)
	injectTest(`memory that was gone before it could be read is named, and is no whole take: ${advice}`, async (t) => {
		const target = await startTarget(t, 'hiding', 'moving', bytes, advice);
		const { status, stdout, manifest } = take(t, target, '--mechanism', 'inject');
		t.deepEqual(
			movedIn(manifest, target).map((record) => [record.capture, record.bytes, record.unreadable]),
			movedIn(manifest, target).map(({ start }) => [capture, 0, [{ start, bytes, errno: 'ENODATA' }]])
		);
		t.is(movedIn(manifest, target).length, 1);
		t.deepEqual([status, manifest.lackingBytes, manifest.partial], [5, bytes, null]);
		t.regex(stdout, /\n {2}in part: \S+ MiB of the target's memory were to be read and could not be[^\n]*\n$/);
		const { regions, ...said } = hidden(target);
		t.is(said.status, 4);
		t.deepEqual(
			regions.filter(({ start }) => isWithin(target, start)).map((found) => [found.why, found.residentBytes]),
			[[why, null]]
		);
	});

const isWithin = (target: Target, start: string): boolean =>
	target.number(ALL_FROM) <= Number(start) && Number(start) < target.number(ALL_TO);

/** What is said of the memory that moves, as of the moment: not of where it, being shared, was before that. */
const movedIn = ({ regions }: Manifest, target: Target): RegionRecord[] => regions.filter(({
	start, permissions, capture,
}) => isWithin(target, start) && permissions.startsWith('rw') && capture !== 'unreadable');

const POOL = '/proc/sys/vm/nr_hugepages';

test.serial('huge pages that the target takes back from its duplicate are read from it, and called so', async (t) => {
	const pages = 4;
	try {
		const before = readFileSync(POOL, 'utf8');
		writeFileSync(POOL, String(Number(before) + pages));
		t.teardown(() => writeFileSync(POOL, before));
	} catch (error) {
		t.log(`no huge pages: ${String(error)}`);
		return;
	}
	const target = await startTarget(t, 'hiding', 'huge', pages);
	if (target.number(PAGES) === 0) return;
	const { status, manifest, core } = take(t, target, '--mechanism', 'inject');
	const at = target.number(AT);
	const records = manifest.regions.filter(({ start }) => at <= Number(start) && Number(start) < at + pages * HUGE);
	t.is(records.reduce((sum, { bytes }) => sum + bytes, 0), pages * HUGE);
	t.deepEqual(records.flatMap(({ unreadable }) => unreadable), []);
	t.true(records.some(({ capture, readFrom }) => capture === 'private-live' && readFrom === 'target'));
	for (let page = 0; page < pages; page++)
		t.true(core.read(at + page * HUGE + 1, HUGE - 1).equals(Buffer.alloc(HUGE - 1, 'h')), `page ${page}`);
	t.is(status, 0);
});
