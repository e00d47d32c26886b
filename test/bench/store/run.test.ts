import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Failure } from '../../../common/errors.ts';
import { writeArtifacts } from '../../../bench/store/artifacts.ts';
import { createRun, createRunId, readRun } from '../../../bench/store/run.ts';
import { aBlock, aFolder, aManifest } from './fixtures.ts';

test('ids sort by time and differ', (t) => {
	const when = new Date('2026-01-02T03:04:05.678Z');
	t.regex(createRunId(when), /^20260102T030405Z-[0-9a-f]{6}$/);
	t.not(createRunId(when), createRunId(when));
});

test('a run is written and read back, and latest points to the newest', (t) => {
	const results = join(aFolder(t), 'results');
	for (const id of ['a', 'b']) {
		const run = createRun(id, undefined, results);
		run.writeManifest(aManifest({ id }));
		const samples = run.openSamples();
		samples.append(aBlock(0));
		samples.close();
		t.is(readlinkSync(join(results, 'latest')), join('runs', id));
	}
	const read = readRun(join(results, 'latest'));
	t.deepEqual(read.manifest, aManifest({ id: 'b' }));
	t.deepEqual(read.blocks, [aBlock(0)]);
	t.deepEqual(readdirSync(results).sort(), ['latest', 'runs']);
	t.deepEqual(readdirSync(join(results, 'runs', 'b')).sort(), ['manifest.json', 'samples.jsonl']);
});

test('--out may be new or empty, and leaves latest alone', (t) => {
	const folder = aFolder(t);
	mkdirSync(join(folder, 'empty'));
	for (const out of ['empty', 'new/deep']) {
		createRun('x', join(folder, out), join(folder, 'results'));
		t.deepEqual(readdirSync(join(folder, out)), []);
	}
	t.false(existsSync(join(folder, 'results')));
});

test('--out that is not empty is refused', (t) => {
	const folder = aFolder(t);
	writeFileSync(join(folder, 'mine'), '');
	t.throws(() => createRun('x', folder), { instanceOf: Failure, message: /is not empty.*--out DIR/ });
	t.deepEqual(readdirSync(folder), ['mine']);
});

test('--out below a file, or a file itself, is refused', (t) => {
	const folder = aFolder(t);
	writeFileSync(join(folder, 'file'), 'mine');
	t.throws(
		() => createRun('x', join(folder, 'file', 'below')),
		{ instanceOf: Failure, message: /cannot write .*below: a part of the path is a file/ }
	);
	t.throws(
		() => createRun('x', join(folder, 'file')),
		{ instanceOf: Failure, message: /cannot write .*file: there is a file of that name/ }
	);
	t.is(readFileSync(join(folder, 'file'), 'utf8'), 'mine');
});

test('a run that is discarded leaves nothing, not even the folders made for it', (t) => {
	const folder = aFolder(t);
	const run = createRun('x', join(folder, 'a/b/c'));
	run.writeManifest(aManifest());
	run.discard();
	t.deepEqual(readdirSync(folder), []);
});

test('a full disk: a clear error before anything is measured, and what is whole stays readable', (t) => {
	const folder = aFolder(t);
	const disk = join(folder, 'disk');
	mkdirSync(disk);
	const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { encoding: 'utf8' });
	if (mounted.status !== 0) {
		t.log(`skipped: a small file system cannot be mounted here: ${mounted.stderr.trim()}`);
		t.pass();
		return;
	}
	try {
		const run = createRun('x', join(disk, 'run'));
		run.writeManifest(aManifest({ id: 'x' }));
		const samples = run.openSamples();
		samples.append(aBlock(0));
		const long = aBlock(1, { samples: { costNs: Array.from({ length: 100_000 }, () => 123_456) } });
		t.throws(
			() => { samples.append(long); },
			{ instanceOf: Failure, message: /cannot write .*samples\.jsonl: the disk is full: free some space/ }
		);
		samples.close();
		t.deepEqual(readRun(run.dir).blocks, [aBlock(0)]);
		t.is(readRun(run.dir).torn, null);

		writeFileSync(join(disk, 'filler'), Buffer.alloc(200 * 1024));
		t.throws(() => createRun('y', join(disk, 'other')), { instanceOf: Failure, message: /the disk is full/ });
		t.false(existsSync(join(disk, 'other')));
	} finally {
		spawnSync('umount', [disk]);
	}
});

test('samples of another run are refused', (t) => {
	const run = createRun('x', join(aFolder(t), 'run'));
	run.writeManifest(aManifest({ id: 'other' }));
	run.openSamples().close();
	t.throws(() => readRun(run.dir), { instanceOf: Failure, message: /do not belong together/ });
});

test('a folder without a run is a clear error', (t) => {
	t.throws(
		() => readRun(aFolder(t)),
		{ instanceOf: Failure, message: /manifest\.json: no such file: name the folder of a run/ }
	);
});

test('a new report replaces the old one as a whole', (t) => {
	const dir = aFolder(t);
	writeArtifacts(dir, new Map([['tables/a.csv', '1'], ['charts/a.svg', '2'], ['report.html', '3']]));
	writeFileSync(join(dir, 'tables', 'notes.txt'), 'mine');
	writeArtifacts(dir, new Map([['tables/b.csv', '4'], ['report.html', '5']]));
	t.deepEqual(readdirSync(join(dir, 'tables')).sort(), ['b.csv', 'notes.txt']);
	t.deepEqual(readdirSync(join(dir, 'charts')), []);
	t.is(readFileSync(join(dir, 'report.html'), 'utf8'), '5');
	t.throws(
		() => { writeArtifacts(dir, new Map([['../escape.csv', '']])); }, { message: /not the name of an artifact/ }
	);
});
