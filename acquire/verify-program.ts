/** Is the program in an evidence folder the one that the manifest is of? */
import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../common/errors.ts';
import { FILES, readWhole } from './evidence/folder.ts';
import type { Manifest } from './evidence/manifest.ts';

/** Adds to `faults`; `read` is told of what is there. */
export function checkProgram(
	dir: string, { program }: Manifest, faults: string[], read: (content: Uint8Array) => void
): void {
	const isThere = lstatSync(join(dir, FILES.program), { throwIfNoEntry: false }) !== undefined;
	if (program === null) {
		if (isThere) faults.push(`${FILES.program}: added: the manifest has none`);
		return;
	}
	try {
		const content = readWhole(dir, FILES.program);
		read(content);
		if (content.length !== program.bytes || createHash('sha256').update(content).digest('hex') !== program.sha256)
			faults.push(`${FILES.program}: altered: not what was sealed`);
	} catch (error) {
		if (!(error instanceof Failure)) throw error;
		faults.push(`${FILES.program}: ${error.message}`);
	}
}
