import { readFileSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Request } from '../../../bench/environments/environment.ts';
import { measureOnHost, type Native } from '../../../bench/environments/host.ts';
import { allowedCpus, planIsolation } from '../../../bench/environments/isolation.ts';
import { Failure } from '../../../common/errors.ts';
import { makeReport } from '../../../bench/make-report.ts';
import { readRun } from '../../../bench/store/run.ts';
import { fakeMechanism, fakeExperiment, fakeScreen, fakeTracer, fakeVariant } from '../runner/fakes.ts';
import { aFolder } from '../store/fixtures.ts';

const READY = { requested: false };

function setUp(changes: Partial<Request>) {
	const tracer = fakeTracer();
	const pinned: number[][] = [];
	const native: Native = {
		startTracer: () => tracer,
		clock: () => ({ source: 'CLOCK_MONOTONIC_RAW', resolutionNs: 1, overheadNs: 25 }),
		pinProcess: (cpus) => pinned.push(cpus),
	};
	const request: Request = {
		profile: 'smoke', seed: 5, out: undefined, experiments: [fakeExperiment()], mechanisms: [fakeMechanism()],
		options: { experiments: [], backends: [] }, ...changes,
	};
	return { tracer, pinned, native, request };
}

function allFiles(dir: string): Map<string, string> {
	return new Map(readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
		.map((entry) => join(entry.parentPath, entry.name)).sort().map((path) => [path, readFileSync(path, 'base64')]));
}

test('a run leaves a manifest, samples and a report that can be made again byte for byte', async (t) => {
	const out = join(aFolder(t), 'run');
	const { native, request, tracer, pinned } = setUp({ out });
	const run = await measureOnHost(native, request, fakeScreen(), READY);
	t.like(run, { dir: out, status: 'complete', failedRounds: 0, failedBlocks: 0 });
	t.true(tracer.closed);
	t.deepEqual(pinned, [[planIsolation().requesterCpu], allowedCpus()]);
	const { manifest, blocks } = readRun(out);
	t.like(
		manifest,
		{ status: 'complete', error: null, seed: 5, experiments: [{ name: 'fake', variants: ['one', 'two'] }] }
	);
	t.is(blocks.length, 4);
	const text = readFileSync(join(out, 'manifest.json'), 'utf8');
	t.false(new RegExp(`\\b${hostname()}\\b`).test(text.replace(/"(label|evidence)":.*/g, '')), 'no host name');

	const report = await makeReport(out, request.experiments);
	t.is(report.page, join(out, 'report.html'));
	const first = allFiles(out);
	t.true([...first.keys()].some((path) => path.endsWith('tables/table-fake.csv')));
	await makeReport(out, request.experiments);
	t.deepEqual(allFiles(out), first);
});

test('some variants alone, with other rounds: so it is done, and so the manifest says', async (t) => {
	const out = join(aFolder(t), 'run'), options = { experiments: [], backends: [], variants: ['tw'], rounds: 7 };
	const { native, request } = setUp({ out, options });
	await measureOnHost(native, request, fakeScreen(), READY);
	const { manifest, blocks } = readRun(out);
	t.like(manifest, { options, experiments: [{ name: 'fake', variants: ['two'] }] });
	const measured = blocks.map(({ samples, warmupRounds }) => (Object.values(samples)[0]?.length ?? 0) - warmupRounds);
	t.is(measured.reduce((sum, rounds) => sum + rounds, 0), 7);
	const none = setUp({ options: { ...options, variants: ['three', 'four'] } });
	await t.throwsAsync(
		measureOnHost(none.native, none.request, fakeScreen(), READY), { message: /with three or four in its name/ }
	);
});

test('what was seen of the machine is in run and report: memory, blocks, which were repeated', async (t) => {
	const out = join(aFolder(t), 'run');
	const { native, request } = setUp({ out });
	const touched = {
		bytes: 1 << 28, freshMeanNs: 16_000, freshMedianNs: 15_900, againMeanNs: 900, againMedianNs: 800,
	};
	const asked: number[] = [];
	let looks = 0;
	native.machine = {
		warm: (neededBytes) => {
			asked.push(neededBytes);
			return Promise.resolve({ neededBytes: 1 << 30, warmed: touched, why: null });
		},
		lookWith: () => () => Promise.resolve({
			gaps: [{ cpu: 0, spunNs: 1e8, count: 1, lostNs: 1e6, largestNs: looks++ === 1 ? 4e6 : 2e4 }], cpus: 2,
			stealMs: null, waitedUs: { cpu: null, memory: null, io: null }, load: 0, frequencyKHz: null,
		}),
	};
	await measureOnHost(native, request, fakeScreen(), READY);
	const { manifest, blocks } = readRun(out);
	t.is(asked.length, 2, 'before the run and at its end');
	t.deepEqual(manifest.memory, { neededBytes: 1 << 30, warmed: touched, why: null, atEnd: touched });
	t.deepEqual(blocks.map(({ repeats }) => repeats), [undefined, 0, undefined, undefined, undefined]);
	await makeReport(out, request.experiments);
	const page = readFileSync(join(out, 'report.html'), 'utf8');
	t.regex(page, /256 MiB were touched before the run: 16.* µs a page on the average .*the largest variant needs 1,024 MiB/);
	t.regex(page, /1 block was repeated, for a gap of more than 3 ms before or after: 0; of the repeats 0 had one after/);
	t.regex(page, /<summary>The machine before and after each block<\/summary>/);
	t.is(readFileSync(join(out, 'tables', 'blocks.csv'), 'utf8').trim().split('\n').length, 6);
});

test('an interrupted run is kept and can be reported', async (t) => {
	const out = join(aFolder(t), 'run');
	const interrupt = { requested: false };
	const experiment = fakeExperiment({}, () => {
		let round = 0;
		return { round: () => {
			interrupt.requested = ++round === 3;
			return { costNs: round, calls: 1 };
		} };
	});
	const { native, request, tracer } = setUp({ out, experiments: [experiment] });
	const run = await measureOnHost(native, request, fakeScreen(), interrupt);
	t.is(run.status, 'interrupted');
	t.true(tracer.closed);
	const { manifest, blocks } = readRun(out);
	t.is(manifest.status, 'interrupted');
	t.deepEqual(blocks.map(({ status, samples }) => [status, samples['costNs']]), [['interrupted', [1, 2, 3]]]);
	t.is((await makeReport(out, [experiment])).groups[0]?.tables.length, 1);
});

test('a run that is interrupted before its first block is reported too', async (t) => {
	const out = join(aFolder(t), 'run');
	const { native, request } = setUp({ out });
	t.is((await measureOnHost(native, request, fakeScreen(), { requested: true })).status, 'interrupted');
	t.deepEqual((await makeReport(out, request.experiments)).groups[0]?.tables, []);
});

test('no permission to trace: said before anything is measured, nothing left behind', async (t) => {
	const folder = aFolder(t);
	const refused = () => {
		throw Object.assign(new Error('PTRACE_SEIZE: not permitted'), { code: 'EPERM' });
	};
	const { native, request, tracer } = setUp({
		out: join(folder, 'run'), mechanisms: [fakeMechanism({ open: refused })],
	});
	await t.throwsAsync(
		measureOnHost(native, request, fakeScreen(), READY),
		{ instanceOf: Failure, message: /no permission to trace other processes .*run as root or with CAP_SYS_PTRACE/ }
	);
	t.true(tracer.closed);
	t.deepEqual(readdirSync(folder), []);
});

test('one mechanism that works is enough to go on', async (t) => {
	const broken = fakeMechanism({ name: 'broken', open: () => {
		throw new Error('not today');
	} });
	const { native, request } = setUp({ out: join(aFolder(t), 'run'), mechanisms: [broken, fakeMechanism()] });
	t.is((await measureOnHost(native, request, fakeScreen(), READY)).status, 'complete');
});

test('a mechanism asked for by name that cannot be used is an error that says why', async (t) => {
	const folder = aFolder(t);
	const unusable = fakeMechanism({ unavailable: () => 'needs the patched kernel: see kernel-patch/README.md' });
	const { native, request } = setUp({
		out: join(folder, 'run'), mechanisms: [unusable], options: { experiments: [], backends: ['fake'] },
	});
	await t.throwsAsync(
		measureOnHost(native, request, fakeScreen(), READY),
		{
			instanceOf: Failure,
			message: 'the mechanism fake cannot be used here: needs the patched kernel: see kernel-patch/README.md',
		}
	);
	t.deepEqual(readdirSync(folder), []);
});

test('nothing to measure is an error, not an empty report', async (t) => {
	const { native, request } = setUp({
		out: join(aFolder(t), 'run'), experiments: [fakeExperiment({ variants: () => [] })],
	});
	await t.throwsAsync(
		measureOnHost(native, request, fakeScreen(), READY), { instanceOf: Failure, message: /nothing to measure/ }
	);
});

test('experiments that the code does not know are named', async (t) => {
	const out = join(aFolder(t), 'run');
	const { native, request } = setUp({ out, experiments: [fakeExperiment({ variants: () => [fakeVariant('x')] })] });
	await measureOnHost(native, request, fakeScreen(), READY);
	await t.throwsAsync(
		makeReport(out, [fakeExperiment({ name: 'other' })]),
		{
			instanceOf: Failure,
			message: /samples of the experiment fake, which this procsnap does not know \(it knows other\)/,
		}
	);
});

test('an error in the middle of a run is in its manifest', async (t) => {
	const out = join(aFolder(t), 'run');
	const { native, request, tracer } = setUp({ out });
	const screen = fakeScreen();
	let writes = 0;
	screen.write = () => {
		if (++writes === 2) {
			throw new Failure('the terminal is gone');
		}
	};
	await t.throwsAsync(measureOnHost(native, request, screen, READY), { message: 'the terminal is gone' });
	t.true(tracer.closed);
	t.like(readRun(out).manifest, { status: 'failed', error: 'the terminal is gone' });
});
