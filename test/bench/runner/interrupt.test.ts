import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { readRun } from '../../../bench/store/run.ts';
import { aFolder } from '../store/fixtures.ts';

/** A process that measures a fake experiment of 5 ms a round into a folder; it says so when it has begun. */
function startMeasuring(t: ExecutionContext, out: string) {
	const script = `
		import { measureOnHost } from './bench/environments/host.ts';
		import { listenForInterrupts } from './bench/runner/interrupt.ts';
		import { fakeMechanism, fakeExperiment, fakeTracer, fakeVariant } from './test/bench/runner/fakes.ts';
		const wait = (ms) => { const end = performance.now() + ms; while (performance.now() < end); };
		let rounds = 0;
		const experiment = fakeExperiment(
			{ variants: () => [fakeVariant('x', { rounds: 100_000, blockRounds: 100_000 })] },
			() => ({ round: () => { if (rounds++ === 10) console.log('begun'); wait(5); return { costNs: 1, calls: 1 }; }, close: async () => { console.log('closed'); } }),
		);
		const native = { startTracer: fakeTracer, clock: () => ({ source: 'x', resolutionNs: 1, overheadNs: 1 }), pinProcess: () => {} };
		const interrupt = listenForInterrupts(() => console.log('announced'), 60_000);
		const request = { profile: 'smoke', seed: 1, out: ${JSON.stringify(out)}, experiments: [experiment], mechanisms: [fakeMechanism()], options: { experiments: [], backends: [] } };
		const run = await measureOnHost(native, request, process.stderr, interrupt);
		console.log(run.status);
		interrupt.dispose();
	`;
	const child = spawn(
		process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'ignore'] }
	);
	t.teardown(() => child.kill('SIGKILL'));
	let output = '';
	const begun = new Promise<void>((resolve) => {
		child.stdout.on('data', (chunk: Buffer) => {
			output += chunk.toString();
			if (output.includes('begun')) {
				resolve();
			}
		});
	});
	return {
		child, begun, ended: once(child, 'close') as Promise<[number | null, string | null]>, output: () => output,
	};
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
	test(`${signal} ends the block long before its rounds are over, and keeps those that were`, async (t) => {
		const out = join(aFolder(t), 'run');
		const { child, begun, ended, output } = startMeasuring(t, out);
		await begun;
		child.kill(signal);
		// From the terminal and again from npm: that is one Ctrl-C.
		await setTimeout(20);
		child.kill(signal);
		t.deepEqual(await ended, [0, null]);
		t.deepEqual(output().trim().split('\n'), ['begun', 'announced', 'closed', 'interrupted']);
		const { manifest, blocks } = readRun(out);
		t.is(manifest.status, 'interrupted');
		t.is(blocks[0]?.status, 'interrupted');
		const rounds = blocks[0]?.samples['costNs']?.length ?? 0;
		t.true(rounds > 10 && rounds < 50_000, `${rounds} of 100,000 rounds`);
	});
}

test('a second signal ends the process at once, as if nobody listened', async (t) => {
	const script = `
		import { listenForInterrupts } from './bench/runner/interrupt.ts';
		const interrupt = listenForInterrupts((signal) => console.log(signal, interrupt.requested), 20);
		setInterval(() => {}, 1000);
		console.log('ready');
	`;
	const child = spawn(
		process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] }
	);
	t.teardown(() => child.kill('SIGKILL'));
	let output = '';
	child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
	await once(child.stdout, 'data');
	child.kill('SIGINT');
	await once(child.stdout, 'data');
	await setTimeout(100);
	t.is(child.exitCode, null);
	const ended = once(child, 'close');
	child.kill('SIGINT');
	t.deepEqual(await ended, [null, 'SIGINT']);
	t.is(output, 'ready\nSIGINT true\n');
});

test('a run that is killed keeps its manifest, which says that it never ended', async (t) => {
	const out = join(aFolder(t), 'run');
	const { child, begun, ended } = startMeasuring(t, out);
	await begun;
	child.kill('SIGKILL');
	await ended;
	t.is(readRun(out).manifest.status, 'running');
});
