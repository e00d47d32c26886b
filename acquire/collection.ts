/** What the manifest says of the tool, of who uses it, and of the machine. */
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { SCHEMA_VERSION, type Manifest } from './evidence/manifest.ts';
import { fingerprint } from './evidence/seal.ts';

/** `publicKey`: the collector's. */
export function describeCollection(
	publicKey: Parameters<typeof fingerprint>[0]
): Pick<Manifest, 'schemaVersion' | 'tool' | 'collector' | 'machine'> {
	const { version } =
		JSON.parse(readFileSync(fileURLToPath(new URL('../package.json', import.meta.url)), 'utf8')) as {
			version: string;
		};
	return {
		schemaVersion: SCHEMA_VERSION,
		tool: { name: 'procsnap', version },
		collector: {
			user: userName(), uid: process.getuid?.() ?? -1, host: hostname(), publicKeySha256: fingerprint(publicKey),
		},
		machine: {
			kernel: readFileSync('/proc/version', 'utf8').trimEnd(), architecture: process.arch,
			bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trimEnd(), cpus: availableParallelism(),
		},
	};
}

/** '' where no list of users has it, as in a container. */
function userName(): string {
	try {
		return userInfo().username;
	} catch {
		return '';
	}
}
