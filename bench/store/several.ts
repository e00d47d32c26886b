/**
 * The folder of a run in several environments: environments.json says which, and
 * each has a folder with a run of its own in it, complete in itself.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { Failure, messageOf } from '../../common/errors.ts';
import { cannotRead, cannotWrite, publishableJson, writeAtomically } from './files.ts';
import { SCHEMA_VERSION, checkVersion } from './manifest.ts';
import { createFolder, type RunFolder } from './run.ts';
import { fields, mismatch } from './shape.ts';

const INDEX = 'environments.json';

const indexShape = fields({
	schemaVersion: v.number(),
	id: v.string(),
	startedAt: v.string(),
	profile: v.picklist(['smoke', 'paper']),
	environments: v.array(fields({
		/** Of the run in it: `guest-1cpu`. */
		folder: v.string(),
		/** As a heading: `guest with 1 CPU`. */
		title: v.string(),
		/** It was begun, and left a run to read. */
		measured: v.boolean(),
		/** Why it failed or was left out; null where it did not. */
		failure: v.nullable(v.string()),
	})),
});

export type Index = v.InferOutput<typeof indexShape>;
export type IndexEntry = Index['environments'][number];

export interface Several extends Pick<RunFolder, 'id' | 'dir' | 'discard'> {
	/** Where the run of one environment goes. */
	partDir: (folder: string) => string;
	writeIndex: (index: Omit<Index, 'schemaVersion' | 'id'>) => void;
}

export function createSeveral(id: string, out?: string): Several {
	const { dir, discard } = createFolder(id, [INDEX], out);
	return {
		id,
		dir,
		discard,
		partDir: (folder) => join(dir, folder),
		writeIndex: (index) =>
			writeAtomically(
				join(dir, INDEX), `${publishableJson({ schemaVersion: SCHEMA_VERSION, id, ...index }, '\t')}\n`
			),
	};
}

/** null where the folder is that of one run. */
export function readSeveral(dir: string): Index | null {
	const file = join(dir, INDEX);
	if (!existsSync(file)) {
		return null;
	}
	let index: unknown;
	try {
		index = JSON.parse(readFileSync(file, 'utf8'));
	} catch (error) {
		throw error instanceof SyntaxError
			? new Failure(
				`${file}: is not JSON (${messageOf(error)}): restore it from a copy, or report each folder beside ` +
					`it by itself`
			)
			: cannotRead(file, error);
	}
	checkVersion(index, file);
	const wrong = mismatch(index, indexShape);
	if (wrong !== undefined) {
		throw new Failure(
			`${file}: ${wrong}: the file is corrupt, restore it from a copy, or report each folder beside it by itself`
		);
	}
	const { environments } = index as Index;
	const strange = environments.find(({ folder }) => !/^[\w-]+$/.test(folder));
	if (strange !== undefined) {
		throw new Failure(
			`${file}: ${JSON.stringify(strange.folder)} is not the name of a folder: the file is corrupt, restore ` +
				`it from a copy`
		);
	}
	return index as Index;
}

/** For a guest, which fills it itself. */
export function makePart(dir: string): void {
	try {
		mkdirSync(dir, { recursive: true });
	} catch (error) {
		throw cannotWrite(dir, error);
	}
}
