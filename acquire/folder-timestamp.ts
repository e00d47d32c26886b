/** The time stamp of an evidence folder, if it has one. What reads it is loaded only then. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure, messageOf } from '../common/errors.ts';
import { FILES } from './evidence/folder.ts';
import type { Timestamp } from './evidence/timestamp.ts';

/**
 * Who asks for a CA (`tsaCa`, PEM) wants a stamp to be there. `read` hears what the file has. Throws Failure if that
 * CA is none.
 */
export async function folderTimestamp(
	dir: string, signature: Uint8Array, tsaCa: Uint8Array | undefined, faults: string[],
	read: (token: Uint8Array) => void = () => {}
): Promise<Timestamp | null> {
	const path = join(dir, FILES.timestamp);
	try {
		statSync(path);
	} catch (error) {
		if (codeOf(error) !== 'ENOENT' || tsaCa !== undefined) {
			const missing = codeOf(error) === 'ENOENT';
			const why = missing ? 'missing: this evidence has no time stamp, or has it no more' : messageOf(error);
			faults.push(`${FILES.timestamp}: ${why}`);
		}
		return null;
	}
	const { certificatesOf, checkTimestamp, MOST_BYTES } = await import('./evidence/timestamp.ts');
	if (tsaCa !== undefined) certificatesOf(tsaCa);
	try {
		if (statSync(path).size > MOST_BYTES)
			throw new Failure(`it has more than ${MOST_BYTES} bytes, and no token has`);
		const token = readFileSync(path);
		read(token);
		return await checkTimestamp(token, signature, tsaCa);
	} catch (error) {
		if (!(error instanceof Failure) && codeOf(error) === undefined) throw error;
		faults.push(`${FILES.timestamp}: not a time stamp of ${FILES.signature}: ${messageOf(error)}`);
		return null;
	}
}
