/** A run's folder: results/runs/<id>/, or the one that --out names. Only this folder's files know these paths. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, rmdirSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure, codeOf } from '../../common/errors.ts';
import { cannotRead, cannotWrite, publishableJson, writeAtomically } from './files.ts';
import { parseManifest, type Manifest } from './manifest.ts';
import { createSamples, readSamples, type SampleWriter, type Samples } from './samples.ts';

const RESULTS = fileURLToPath(new URL('../../results', import.meta.url));

const MANIFEST = 'manifest.json';
const SAMPLES = 'samples.jsonl';

export interface RunFolder {
	id: string;
	dir: string;
	/** Removes what was made so far: for a run that measured nothing. */
	discard: () => void;
}

export interface Run extends RunFolder {
	writeManifest: (manifest: Manifest) => void;
	openSamples: () => SampleWriter;
}

/** The time, so that folders sort, and a little chance, so that two runs never meet. */
export function createRunId(now = new Date()): string {
	return `${now.toISOString().replace(/[-:]|\.\d+/g, '')}-${randomBytes(3).toString('hex')}`;
}

/** `out` must be empty or not exist. */
export function createRun(id: string, out?: string, results = RESULTS): Run {
	const { dir, discard } = createFolder(id, [MANIFEST, SAMPLES], out, results);
	return {
		id,
		dir,
		writeManifest: (manifest) => writeAtomically(join(dir, MANIFEST), `${publishableJson(manifest, '\t')}\n`),
		openSamples: () => createSamples(join(dir, SAMPLES), id),
		discard,
	};
}

/** Makes a folder that will hold `files`, and sees that it can be written to. */
export function createFolder(id: string, files: string[], out?: string, results = RESULTS): RunFolder {
	const dir = resolve(out ?? join(results, 'runs', id));
	const made = makeFolder(dir);
	const discard = () => {
		for (const name of files) {
			rmSync(join(dir, name), { force: true });
		}
		removeEmpty(dir, made);
	};
	try {
		// Asks for space as well as for permission: an empty file fits on a full disk.
		const trial = join(dir, 'space');
		writeAtomically(trial, ' '.repeat(64 * 1024));
		rmSync(trial);
		if (out === undefined) {
			pointLatestAt(id, results);
		}
	} catch (error) {
		discard();
		throw error;
	}
	return { id, dir, discard };
}

/** For a run whose process was ended from outside, and left its manifest saying `running`. */
export function endRun(
	{ dir, manifest }: Pick<StoredRun, 'dir' | 'manifest'>, status: 'interrupted' | 'failed', error: string | null
): void {
	const ended: Manifest = { ...manifest, status, error, finishedAt: new Date().toISOString() };
	writeAtomically(join(dir, MANIFEST), `${publishableJson(ended, '\t')}\n`);
}

export interface StoredRun extends Samples {
	dir: string;
	manifest: Manifest;
}

/** Reads a run back; every error names the file. */
export function readRun(dir: string): StoredRun {
	const file = join(dir, MANIFEST);
	let text: string;
	try {
		text = readFileSync(file, 'utf8');
	} catch (error) {
		throw cannotRead(file, error);
	}
	const manifest = parseManifest(text, file);
	const samples = readSamples(join(dir, SAMPLES));
	if (samples.run !== manifest.id) {
		throw new Failure(
			`${dir}: ${SAMPLES} is of run ${samples.run} and ${MANIFEST} of run ${manifest.id}: they do not belong ` +
				`together, restore them from a copy`
		);
	}
	return { dir, manifest, ...samples };
}

/** The topmost folder that had to be made, so that a failure can take back as much. */
function makeFolder(dir: string): string | undefined {
	try {
		const made = mkdirSync(dir, { recursive: true });
		if (readdirSync(dir).length > 0) {
			throw new Failure(
				`${dir} is not empty: results are never mixed, name a new or an empty folder with --out DIR`
			);
		}
		return made;
	} catch (error) {
		throw error instanceof Failure ? error : cannotWrite(dir, error);
	}
}

function removeEmpty(dir: string, made: string | undefined): void {
	if (made === undefined) {
		return;
	}
	for (let folder = dir; folder.startsWith(made); folder = dirname(folder)) {
		try {
			rmdirSync(folder);
		} catch (error) {
			if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'ENOENT') {
				throw cannotWrite(folder, error);
			}
			return;
		}
	}
}

/** By rename: whoever looks sees the old run or the new one. */
function pointLatestAt(id: string, results: string): void {
	const latest = join(results, 'latest');
	const temporary = `${latest}.${process.pid}.tmp`;
	try {
		symlinkSync(join('runs', id), temporary);
		renameSync(temporary, latest);
	} catch (error) {
		if (existsSync(temporary)) {
			rmSync(temporary, { force: true });
		}
		throw cannotWrite(latest, error);
	}
}
