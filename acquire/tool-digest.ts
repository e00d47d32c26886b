/** Which procsnap was it? A digest of the files that it is made of. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** What a take executes of this checkout; its libraries are named, with their digests, by the lock file. */
const FOLDERS = ['acquire', 'common', 'mechanisms', 'native'], FILES = ['package-lock.json', 'package.json'];
const IS_PART = /\.ts$|^native\/build\/procsnap[^/]*$/;

/** In order of their names. */
export const toolFiles = (): string[] => [
	...FOLDERS.flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
		.map((name) => `${folder}/${name}`)).filter((name) => IS_PART.test(name)),
	...FILES,
].sort();

/** SHA-256, in hexadecimal, of what `sha256sum` says of them, line by line. */
export function toolDigest(): string {
	const lines = toolFiles().map((name) =>
		`${createHash('sha256').update(readFileSync(join(ROOT, name))).digest('hex')}  ${name}\n`);
	return createHash('sha256').update(lines.join('')).digest('hex');
}
