/** Both command lines where the addon was not compiled: in a copy of the sources. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createRun } from '../../../bench/store/run.ts';
import { NODE } from '../../processes.ts';
import { aBlock, aFolder, aManifest } from '../store/fixtures.ts';

function aCopy(t: ExecutionContext): string {
	const folder = aFolder(t);
	for (const name of ['package.json', 'common', 'native', 'mechanisms', 'acquire', 'bench', 'results/paper.json'])
		cpSync(name, join(folder, name), { recursive: true, filter: (path) => !path.endsWith('/build') });
	symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
	return folder;
}

function run(cwd: string, ...args: string[]) {
	return spawnSync(NODE[0], [...NODE.slice(1), ...args], { cwd, encoding: 'utf8', timeout: 120_000 });
}

/** A run with one block of an experiment that reads by the core's ways. */
function aRun(folder: string): string {
	const run = createRun('x', join(folder, 'run'));
	run.writeManifest(aManifest({ id: 'x' }));
	const samples = run.openSamples();
	samples.append(aBlock(0, {
		experiment: 'read', variant: 'peek size=1KiB',
		factors: { mechanism: 'inject', target: 'resident', way: 'peek', sizeKiB: 1 },
		samples: { readNs: [1, 2], bytesPerSecond: [1, 2] }, warmupRounds: 0,
	}));
	samples.close();
	return run.dir;
}

test('without the addon, a report is made', (t) => {
	const folder = aCopy(t), dir = aRun(folder);
	const { status, stderr } = run(folder, 'bench/cli.ts', 'report', dir);
	t.is(stderr, '');
	t.is(status, 0);
	t.true(existsSync(join(dir, 'report.html')));
	t.regex(readFileSync(join(dir, 'tables/read.csv'), 'utf8'), /vm-readv/);
});

test('without the addon, what needs it says so on one line, and how to build it: exit 1', (t) => {
	const folder = aCopy(t);
	// A process that may be looked at: take does that first.
	const pid = String(process.pid);
	for (const args of [
		['bench/cli.ts', 'bench', '--list'], ['acquire/cli.ts', 'take', pid, '--out', 'e'],
		['acquire/cli.ts', 'check', pid],
	]) {
		const { status, stdout, stderr } = run(folder, ...args);
		t.regex(stderr, /^procsnap: the addon cannot be loaded: [^\n]*procsnap\.node'; sh scripts\/setup builds it\n$/);
		t.is(stdout, '');
		t.is(status, 1);
	}
	const { status, stdout } = run(folder, 'acquire/cli.ts', '--help');
	t.regex(stdout, /verify/);
	t.is(status, 0);
});
