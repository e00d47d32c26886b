/**
 * Much of something that is little memory: planning it takes little time, lets others have their turn, and makes
 * nothing in the machine or in the target.
 */
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { planContents } from '../../acquire/evidence/plan.ts';
import { Survey } from '../../acquire/survey.ts';
import { startTicksOf } from '../../common/proc/process.ts';
import { regionsIn } from '../../native/index.ts';
import { forEvidence, mechanismFor } from '../../mechanisms/shared/all.ts';
import { start, tracerFor } from '../native/help.ts';
import { testUnless } from '../unless.ts';
import { CoreFile } from './core-file.ts';
import { regionAt, startTarget, takeEvidence, temporaryFolder, type Evidence } from './help.ts';

const PAGE = 4096, MIB = 1 << 20;
const REGIONS = 20_000;

const usedMs = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

/** The time that all threads of this process have run for it, and how often others had their turn meanwhile. */
async function costOf<T>(action: () => Promise<T>): Promise<{ result: T; ms: number; turns: number }> {
	const before = process.cpuUsage(), over = { yes: false };
	let turns = 0;
	const counting = (async () => {
		while (!over.yes) {
			await nextTurn();
			turns += 1;
		}
	})();
	try {
		const result = await action();
		return { result, ms: usedMs(process.cpuUsage(before)), turns };
	} finally {
		over.yes = true;
		await counting;
	}
}

for (const kind of ['regions', 'dontfork'] as const) {
	test(`${REGIONS} regions (${kind}): to plan them costs about what it costs to read that they are there`, async (t) => {
		const { pid } = await startTarget(t, 'plenty', kind, REGIONS);
		const tracer = tracerFor(t), survey = new Survey({ pid, startTicks: startTicksOf(pid) });
		t.teardown(() => survey.close());
		const still = await survey.copy(tracer, mechanismFor('inject'));
		const smaps = openSync(`/proc/${pid}/smaps`, 'r');
		const { ms: readingMs } = await costOf(() => regionsIn(smaps));
		closeSync(smaps);
		const { result: classified, ms: classifyingMs, turns: classifying } = await costOf(() => survey.classified());
		const { result: planned, ms: planningMs } = await costOf(() =>
			planContents(classified, survey.image, survey.live, [still.pid, pid], {
				coredumpFilter: survey.coredumpFilter, onlyPrivate: false,
			}));
		t.true(planned.filter(({ runs }) => runs.length === 1).length >= REGIONS);
		t.log(`read: ${readingMs} ms, classified: ${classifyingMs} ms, planned: ${planningMs} ms`);
		t.true(planningMs < 3 * readingMs, `${planningMs} ms for a plan, ${readingMs} ms to read smaps`);
		t.true(classifying >= 5, `others had their turn ${classifying} times while smaps was read`);
		still.end();
	});
}

test(`${REGIONS} regions: a signal is heard while they are read, classified and planned`, async (t) => {
	const { pid } = await startTarget(t, 'plenty', 'regions', REGIONS);
	const tracer = tracerFor(t), survey = new Survey({ pid, startTicks: startTicksOf(pid) });
	t.teardown(() => survey.close());
	const still = await survey.copy(tracer, mechanismFor('inject')), { image } = survey, { signal } = heard();
	const filter = { coredumpFilter: survey.coredumpFilter, onlyPrivate: false };
	const classified = await survey.classified(), pids = [still.pid, pid];
	const steps: Record<string, (signal?: AbortSignal) => Promise<unknown>> = {
		'the copy\'s regions': async (signal) => image.regions(signal),
		'what is there twice': async (signal) => image.copiedBytes(signal),
		'classified': (signal) => survey.classified(signal),
		'planned': (signal) => planContents(classified, image, survey.live, pids, filter, signal),
	};
	for (const [name, step] of Object.entries(steps)) {
		const { ms: wholeMs } = await costOf(() => step());
		const { ms } = await costOf(() => t.throwsAsync(step(signal), { name: 'AbortError' }, name));
		t.true(ms < wholeMs / 2, `${name}: ${ms} ms after a signal, and ${wholeMs} ms without one`);
	}
	still.end();
});

/** A signal that has come already: all that follows is what nobody waits for. */
function heard(): AbortController {
	const controller = new AbortController();
	controller.abort();
	return controller;
}

test(`${REGIONS} regions are taken, each with its bytes`, async (t) => {
	const target = await startTarget(t, 'plenty', 'regions', REGIONS), at = target.number(1);
	const { core, manifest } = await takeEvidence(t, target.pid);
	const ours = manifest.regions.filter(({ start }) => Number(start) >= at && Number(start) < at + REGIONS * PAGE);
	t.is(ours.length, REGIONS);
	t.true(ours.every(({ bytes, capture }) => bytes === PAGE && capture === 'frozen'));
	const file = CoreFile.open(t, core);
	for (const [page, content] of [[0, 'b'], [REGIONS / 2, 'p'], [REGIONS - 1, 'e']] as const)
		t.true(file.read(at + page * PAGE, PAGE).equals(Buffer.alloc(PAGE, content)), `page ${page}`);
});

const SPARSE_MIB = 512;

const sharedMemoryBytes = (): number =>
	1024 * Number(/^Shmem: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);

/** The core has the first page of a region and the last, and nothing else of it. */
function hasEndsOnly(t: ExecutionContext, { core, manifest }: Evidence, at: number, length: number): void {
	const record = regionAt(manifest, at), file = CoreFile.open(t, core);
	t.is(record?.bytes, 2 * PAGE);
	t.deepEqual(record?.unreadable, []);
	t.true(file.read(at, PAGE).equals(Buffer.alloc(PAGE, 'b')), 'its first page');
	t.true(file.read(at + length - PAGE, PAGE).equals(Buffer.alloc(PAGE, 'e')), 'its last page');
}

for (const mechanism of forEvidence()) {
	for (const kind of ['private', 'executable', 'shared'] as const) {
		testUnless(mechanism.unavailable())(
			`${mechanism.name}: a sparse file in memory (${kind}): what is there, and nothing is made`,
			async (t) => {
				const target = await startTarget(t, 'plenty', kind, SPARSE_MIB), { pid } = target;
				const [at, length, fd] = [target.number(1), target.number(2), target.number(3)];
				const blocks = (): number => statSync(`/proc/${pid}/fd/${fd}`).blocks;
				const before = blocks(), sharedBefore = sharedMemoryBytes();
				const evidence = await takeEvidence(t, pid, '--mechanism', mechanism.name);
				t.is(blocks(), before, 'the file has no block more');
				const grown = sharedMemoryBytes() - sharedBefore;
				t.true(grown < SPARSE_MIB * MIB / 4, `the machine has ${grown} bytes of shared memory more`);
				// What is shared and not in its page table is not read: it has touched both pages.
				hasEndsOnly(t, evidence, at, length);
			}
		);
	}

	testUnless(mechanism.unavailable())(`${mechanism.name}: a file that was cut off: what is left of it`, async (t) => {
		const target = await startTarget(t, 'plenty', 'cutoff', SPARSE_MIB), at = target.number(1);
		const { core, manifest } = await takeEvidence(t, target.pid, '--mechanism', mechanism.name);
		t.like(regionAt(manifest, at), { bytes: PAGE, unreadable: [] });
		t.true(CoreFile.open(t, core).read(at, PAGE).equals(Buffer.alloc(PAGE, 'b')));
	});

	testUnless(mechanism.unavailable())(`${mechanism.name}: guards are no memory`, async (t) => {
		const target = await startTarget(t, 'plenty', 'guard', 64);
		if (target.number(4) !== 0) {
			t.log(`not looked at: this kernel has no guards (errno ${target.number(4)})`);
			t.pass();
			return;
		}
		const evidence = await takeEvidence(t, target.pid, '--mechanism', mechanism.name);
		hasEndsOnly(t, evidence, target.number(1), target.number(2));
	});
}

test('the kernel\'s zeros, which were read and never written to, are no memory', async (t) => {
	const target = await startTarget(t, 'plenty', 'zeros', 64);
	hasEndsOnly(
		t, await takeEvidence(t, target.pid, '--mechanism', 'inject'), target.number(1), target.number(2)
	);
});

const PROGRAM = `#include "target.h"
int main(void) { char *memory = malloc(100); memory[50] = 1; ready(); for (;;) pause(); }
`;
const HEADERS = fileURLToPath(new URL('../native/targets', import.meta.url));

/** Why no program can be made with such a sanitizer, or run, or null. */
function noSanitizer(kind: string): string | null {
	const { status } = spawnSync(
		'sh', ['-c', `d=$(mktemp -d) && echo 'int main(void){return 0;}' > $d/a.c && gcc -fsanitize=${kind} -o $d/a $d/a.c && $d/a; s=$?; rm -r $d; exit $s`],
		{ stdio: 'ignore' }
	);
	return status === 0 ? null : `gcc cannot make a program with -fsanitize=${kind} that runs here`;
}

for (const kind of ['address', 'thread']) {
	testUnless(noSanitizer(kind))(`-fsanitize=${kind}: terabytes of addresses, megabytes of memory`, async (t) => {
		const folder = temporaryFolder(t), program = join(folder, kind);
		writeFileSync(`${program}.c`, PROGRAM);
		execFileSync('gcc', [
			'-D_GNU_SOURCE', '-O1', '-g', `-fsanitize=${kind}`, '-I', HEADERS, '-o', program, `${program}.c`,
		]);
		const { pid } = await start(t, program);
		const mapped = [...readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)]
			.reduce((sum, [, from = '', to = '']) => sum + parseInt(to, 16) - parseInt(from, 16), 0);
		t.true(mapped > 2 ** 40, `${mapped} bytes of addresses`);
		const { manifest } = await takeEvidence(t, pid);
		t.true(manifest.core.bytes < 256 * MIB, `${manifest.core.bytes} bytes of evidence`);
	});
}
