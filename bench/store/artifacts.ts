/** What a report consists of: tables/*.csv and *.md, charts/*.svg and *.png, report.html. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../common/errors.ts';
import { cannotWrite, writeAtomically } from './files.ts';

/** Path below the run's folder to content. */
export type Artifacts = Map<string, string | Uint8Array>;

/** Where a person is sent to read. */
export const PAGE = 'report.html';

const NAME = /^(?:tables\/[\w.-]+\.(?:csv|md)|charts\/[\w.-]+\.(?:svg|png)|report\.html)$/;
const FOLDERS = ['tables', 'charts'];

/** Writes them all, and removes tables and charts of an earlier report that this one has not. */
export function writeArtifacts(dir: string, artifacts: Artifacts): void {
	for (const path of artifacts.keys()) {
		if (!NAME.test(path)) {
			throw new Error(`not the name of an artifact: ${path}`);
		}
	}
	for (const folder of FOLDERS.filter((name) => [...artifacts.keys()].some((path) => path.startsWith(`${name}/`)))) {
		try {
			mkdirSync(join(dir, folder), { recursive: true });
		} catch (error) {
			throw cannotWrite(join(dir, folder), error);
		}
	}
	for (const [path, content] of artifacts) {
		writeAtomically(join(dir, path), content);
	}
	for (const folder of FOLDERS) {
		removeOthers(dir, folder, artifacts);
	}
}


function removeOthers(dir: string, folder: string, artifacts: Artifacts): void {
	try {
		for (const name of readdirSync(join(dir, folder))) {
			const path = `${folder}/${name}`;
			if (NAME.test(path) && !artifacts.has(path)) {
				rmSync(join(dir, path), { force: true });
			}
		}
	} catch (error) {
		if (codeOf(error) === 'ENOENT') {
			return;
		}
		throw codeOf(error) === undefined ? error : cannotWrite(join(dir, folder), error);
	}
}
