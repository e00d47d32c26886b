import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Environment, Request } from '../../../bench/environments/environment.ts';
import { measureSeveral } from '../../../bench/environments/several.ts';
import { Failure } from '../../../common/errors.ts';
import { makeReport } from '../../../bench/make-report.ts';
import { createRun } from '../../../bench/store/run.ts';
import { readSeveral } from '../../../bench/store/several.ts';
import { fakeExperiment, fakeScreen } from '../runner/fakes.ts';
import { aBlock, aFolder, aManifest } from '../store/fixtures.ts';

const emulated = {
	name: 'guest', label: 'emulated' as const, evidence: [],
	guest: {
		accelerator: 'tcg', reason: null, qemu: '7', kernel: 'k', cpus: 1, memoryMiB: 1, countInstructions: false,
	},
};

function environment(folder: string, measure: Environment['measure']): Environment {
	return {
		name: folder, title: folder, heading: `the ${folder}`, folder, unavailable: () => null, label: () => null,
		measure,
	};
}

/** Leaves a run of one block. */
const measured = (
	folder: string, changes: Parameters<typeof aManifest>[0] = {}, failure: string | null = null
): Environment => environment(folder, async ({ id = '', out }) => {
	const run = createRun(id, out);
	run.writeManifest(aManifest({ id, ...changes }));
	const samples = run.openSamples();
	samples.append(aBlock(0));
	samples.close();
	return Promise.resolve({
		dir: run.dir, status: failure === null ? 'complete' as const : 'failed' as const, failure, failedRounds: 0,
		failedBlocks: 0, dropped: [],
	});
});

const failing = (folder: string): Environment =>
	environment(
		folder, async () => Promise.reject(new Failure('its kernel panicked.\nThe end of its console:\n  <oops>'))
	);

const request = (out: string): Request =>
	({ profile: 'smoke', seed: 1, out, experiments: [], mechanisms: [], options: { experiments: [], backends: [] } });
const calm = { requested: false };

test('what fails in one leaves the others\' results, and the report says it', async (t) => {
	const out = join(aFolder(t), 'run');
	const screen = fakeScreen();
	const { dir, parts } = await measureSeveral(
		[measured('host'), failing('guest-1cpu'), measured('guest-2cpu', { environment: emulated })], request(out),
		screen, calm, () => {}
	);
	t.deepEqual(
		parts.map(({ run, failure }) => [run === null, failure?.split('\n')[0] ?? null]),
		[[false, null], [true, 'its kernel panicked.'], [false, null]]
	);
	t.regex(screen.text, /the guest-1cpu: its kernel panicked/);
	const made = await makeReport(dir, [fakeExperiment()]);
	t.deepEqual(made.groups.map(({ heading }) => heading), ['the host (vm)', 'the guest-2cpu (emulated)']);
	t.regex(made.notices.join(), /the guest-1cpu: its kernel panicked/);
	const page = readFileSync(made.page, 'utf8');
	t.regex(page, /Not measured: its kernel panicked\.<\/p><pre>The end of its console:\n {2}&lt;oops&gt;<\/pre>/);
	for (const folder of ['host', 'guest-2cpu']) {
		t.true(existsSync(join(dir, folder, 'report.html')), 'each part is a run of its own');
	}
	const ids = [...page.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]);
	t.is(new Set(ids).size, ids.length, 'ids are unique, whatever environments have in common');
	t.deepEqual(readdirSync(dir).sort(), ['environments.json', 'guest-2cpu', 'host', 'report.html']);
});

test('the report is made again, byte for byte', async (t) => {
	const { dir } = await measureSeveral(
		[measured('host'), measured('guest-1cpu', { environment: emulated })], request(join(aFolder(t), 'run')),
		fakeScreen(), calm, () => {}
	);
	const pages = [];
	for (let i = 0; i < 2; i++) {
		pages.push(readFileSync((await makeReport(dir, [fakeExperiment()])).page, 'utf8'));
	}
	t.is(pages[0], pages[1]);
});

test('a part that failed half-way is reported with its reason', async (t) => {
	const { dir } = await measureSeveral(
		[
			measured('host'),
			measured('guest-1cpu', { environment: emulated, status: 'failed', error: 'it hung' }, 'it hung'),
		],
		request(join(aFolder(t), 'run')), fakeScreen(), calm, () => {}
	);
	const { page, groups } = await makeReport(dir, [fakeExperiment()]);
	t.is(groups.length, 2);
	t.regex(readFileSync(page, 'utf8'), /Failed; what was measured until then is below: it hung/);
});

test('after an interruption no other environment is begun, and the index says so', async (t) => {
	const interrupt = { requested: false };
	const first = measured('host');
	const interrupting = { ...first, measure: async (...args: Parameters<Environment['measure']>) => {
		const run = await first.measure(...args);
		interrupt.requested = true;
		return run;
	} };
	const { dir, parts, interrupted } = await measureSeveral(
		[interrupting, measured('guest-1cpu')], request(join(aFolder(t), 'run')), fakeScreen(), interrupt, () => {}
	);
	t.is(parts.length, 1);
	t.true(interrupted);
	t.deepEqual(
		readSeveral(dir)?.environments.map(({ measured: done, failure }) => [done, failure]),
		[[true, null], [false, 'the run ended before']]
	);
});

test('nothing measured anywhere: every reason, and nothing left behind', async (t) => {
	const folder = aFolder(t);
	const error = await t.throwsAsync(
		measureSeveral(
			[failing('host'), failing('guest-1cpu')], request(join(folder, 'run')), fakeScreen(), calm, () => {}
		),
		{ instanceOf: Failure }
	);
	t.regex(error.message, /the host: its kernel panicked[^]*the guest-1cpu: its kernel panicked/);
	t.deepEqual(readdirSync(folder), []);
});

test('a mistake of ours is none of the environment\'s', async (t) => {
	await t.throwsAsync(
		measureSeveral(
			[environment('host', async () => Promise.reject(new TypeError('x')))], request(join(aFolder(t), 'run')),
			fakeScreen(), calm, () => {}
		),
		{ instanceOf: TypeError }
	);
});
