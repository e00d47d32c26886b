/**
 * Memory of all kinds: each region is captured as the manifest says, its bytes are the target's, and the target is as
 * it was.
 */
import type { ExecutionContext } from 'ava';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { RegionRecord } from '../../acquire/evidence/manifest.ts';
import { children } from '../native/help.ts';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import type { Mechanism } from '../../mechanisms/shared/types.ts';
import { isFree } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { CoreFile } from './core-file.ts';
import { regionAt, takeEvidence } from './help.ts';
import {
	digestPages, HUGE, mapsOf, PAGE, residentKiB, residentPages, startRegions, type RegionName, type RegionsTarget,
} from './regions.ts';

const POOL = '/proc/sys/vm/nr_hugepages';

/** Huge pages for the test alone, where the machine has them and lets us. */
function lendHugePages(t: ExecutionContext): void {
	try {
		const before = readFileSync(POOL, 'utf8');
		writeFileSync(POOL, String(Number(before) + 4));
		t.teardown(() => writeFileSync(POOL, before));
	} catch (error) {
		t.log(`no huge pages: ${String(error)}`);
	}
}

type Captured = [RegionRecord['capture'], RegionRecord['readFrom']];

/** What a fork leaves out or wipes is read from the target; others have it as the rest. */
const expected = ({ forked, keepsShared }: Mechanism): Record<RegionName, Captured> => ({
	anonymous: ['frozen', 'duplicate'], heap: ['frozen', 'duplicate'],
	sharedAnonymous: ['shared-live', keepsShared ? 'duplicate' : 'target'],
	sharedMemfd: ['shared-live', keepsShared ? 'duplicate' : 'target'],
	fileModified: ['frozen', 'duplicate'], fileUnread: ['file', 'duplicate'], protNone: ['frozen', 'duplicate'],
	secret: ['secret', null],
	dontfork: forked ? ['hidden-by-dontfork', 'target'] : ['frozen', 'duplicate'],
	wipeonfork: forked ? ['wiped-on-fork', 'target'] : ['frozen', 'duplicate'],
	partlyPastEnd: ['file', 'duplicate'], pastEnd: ['file', 'duplicate'], device: ['device', null],
	hugetlb: ['frozen', 'duplicate'], thp: ['frozen', 'duplicate'], reserved: ['frozen', 'duplicate'],
});

/** Those that this machine has; it says which it has not. */
function regionsHere(t: ExecutionContext, { region }: RegionsTarget): RegionName[] {
	const names = Object.keys(region) as RegionName[];
	const missing = names.filter((name) => region[name].start === 0);
	if (missing.length > 0) t.log(`not looked at, since this machine has none: ${missing.join(', ')}`);
	t.deepEqual(missing.filter((name) => !['secret', 'device', 'hugetlb'].includes(name)), []);
	return names.filter((name) => !missing.includes(name));
}

/** How often the target is taken one after the other: what is left behind adds up. */
const TIMES = 3;

for (const mechanism of forEvidence()) {
	const maybe = testUnless(mechanism.unavailable());

	maybe(`${mechanism.name}: how each region was captured, and its bytes`, async (t) => {
		lendHugePages(t);
		const started = await startRegions(t);
		const evidence = await takeEvidence(t, started.target.pid, '--mechanism', mechanism.name);
		const { manifest } = evidence, core = CoreFile.open(t, evidence.core);
		for (const name of regionsHere(t, started)) {
			const { start, end, written } = started.region[name], record = regionAt(manifest, start);
			const barred = name === 'secret' || name === 'device';
			t.deepEqual([record?.capture, record?.readFrom], expected(mechanism)[name], name);
			for (const page of barred ? [] : written) {
				t.true(core.read(page, PAGE).equals(started.pageOf(name, page)), `${name}, page 0x${page.toString(16)}`);
			}
			if (['fileModified', 'partlyPastEnd', 'pastEnd', 'heap'].includes(name)) continue;
			const taken = core.parts(start, end).filter(({ load }) => load !== null)
				.reduce((sum, part) => sum + part.end - part.start, 0);
			t.is(taken, barred ? 0 : written.length * PAGE, `${name}: no page more`);
		}
		const { fileModified, partlyPastEnd, pastEnd } = started.region;
		t.true(
			core.read(fileModified.start, PAGE).equals(readFileSync(started.file).subarray(0, PAGE)),
			'the first page of a file is the file\'s'
		);
		// Since it has changed some of its pages, the kernel would dump it as a whole.
		t.is(regionAt(manifest, fileModified.start)?.bytes, fileModified.end - fileModified.start);
		const unchanged = fileModified.start + 3 * PAGE;
		t.false(fileModified.written.includes(unchanged));
		t.true(core.read(unchanged, PAGE).equals(readFileSync(started.file).subarray(3 * PAGE, 4 * PAGE)));
		// What lies behind the end of its file is no memory: it is not even tried.
		t.like(regionAt(manifest, partlyPastEnd.start), { bytes: PAGE, unreadable: [] });
		t.true(core.read(partlyPastEnd.start, PAGE).equals(Buffer.alloc(PAGE, 'b')), 'what there is');
		t.like(regionAt(manifest, pastEnd.start), { bytes: 0, unreadable: [] });
		t.is(regionAt(manifest, started.region.protNone.start)?.permissions, '---p');

		const kernels = manifest.regions.filter(({ name }) => name.startsWith('[v'));
		t.true(kernels.some(({ name }) => name === '[vvar]') && kernels.some(({ name }) => name === '[vdso]'));
		for (const { name, capture, bytes } of kernels)
			t.deepEqual([capture, bytes > 0], name === '[vdso]' ? ['frozen', true] : ['device', false], name);
	});

	maybe(`${mechanism.name}: the target is as it was, page for page`, async (t) => {
		lendHugePages(t);
		const started = await startRegions(t), { target } = started, { pid } = target;
		const look = () => ({ pages: residentPages(pid), maps: mapsOf(pid), fds: readdirSync(`/proc/${pid}/fd`) });
		const before = look(), digests = digestPages(target, before.pages), kib = residentKiB(pid);
		t.true(
			before.pages.length > HUGE / PAGE &&
				[...digests.values()].filter((digest) => digest !== null).length > before.pages.length / 2
		);
		let vdso: RegionRecord | undefined;
		for (let i = 0; i < TIMES; i++) {
			const { manifest: { ledger, regions } } = await takeEvidence(t, pid, '--mechanism', mechanism.name);
			vdso = regions.find(({ name }) => name === '[vdso]');
			// Pages that it writes to by going on: its stack, its thread's own.
			t.true(ledger.minorFaults !== null && ledger.minorFaults <= 8, `${String(ledger.minorFaults)} minor faults`);
			t.is(ledger.majorFaults, 0);
			t.true(
				ledger.copiedBytes !== null && ledger.copiedBytes <= 8 * PAGE, `${String(ledger.copiedBytes)} bytes copied`
			);
		}
		const after = look();
		// inject finds an instruction for its call in the vDSO; no page of the target's own comes to be in memory.
		const isVdso = (page: number): boolean => Number(vdso?.start) <= page && page < Number(vdso?.end);
		t.deepEqual(
			{ ...after, pages: after.pages.filter((page) => !isVdso(page)) },
			{ ...before, pages: before.pages.filter((page) => !isVdso(page)) }, 'no page came or went'
		);
		t.true(residentKiB(pid) - kib <= (Number(vdso?.end) - Number(vdso?.start)) / 1024);
		const now = digestPages(target, before.pages);
		t.deepEqual(
			[...digests].filter(([page, digest]) => now.get(page) !== digest).map(([page]) => page.toString(16)), [],
			'the same bytes'
		);
		t.true(isFree(pid), 'not stopped, not traced');
		t.deepEqual(children(pid), []);

		target.tell('x');
		await target.atLeast(1, 1);
		t.is(target.number(2), 0, 'it finds every word as it wrote it');
		t.not(target.number(3), 0, 'and there were some');
	});
}
