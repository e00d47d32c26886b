/** What the manifest says of the tool, of who uses it, and of the machine. */
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, userInfo } from 'node:os';
import { clockSynchronized } from '../native/index.ts';
import { SCHEMA_VERSION, type Instant, type Manifest } from './evidence/manifest.ts';
import { fingerprint } from './evidence/seal.ts';
import { toolDigest } from './tool-digest.ts';
import { toolVersion } from './version.ts';

/** `publicKey`: the collector's. `options`: those of this take. */
export function describeCollection(
	publicKey: Parameters<typeof fingerprint>[0], options: readonly string[]
): Pick<Manifest, 'schemaVersion' | 'tool' | 'collector'> & { machine: Omit<Manifest['machine'], 'clockSetByNs'> } {
	return {
		schemaVersion: SCHEMA_VERSION,
		tool: { name: 'procsnap', version: toolVersion(), sha256: toolDigest() },
		collector: {
			user: userName(), uid: process.getuid?.() ?? -1, host: hostname(), publicKeySha256: fingerprint(publicKey),
			options: [...options],
		},
		machine: {
			kernel: readFileSync('/proc/version', 'utf8').trimEnd(), architecture: process.arch,
			bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trimEnd(), cpus: availableParallelism(),
			timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone, clockSynchronized: clockSynchronized(),
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

/**
 * A moment after `before`, by the clock that cannot be set; and how far the other one was set since then. `now`: as
 * both clocks have it.
 */
export function instantAfter(before: Instant, now: Instant): { instant: Instant; clockSetByNs: number } {
	const passedNs = now.monotonicNs - before.monotonicNs;
	const dueMs = Date.parse(before.wallClock) + passedNs / 1e6;
	return {
		instant: { wallClock: new Date(dueMs).toISOString(), monotonicNs: now.monotonicNs },
		clockSetByNs: Math.round((Date.parse(now.wallClock) - dueMs) * 1e6),
	};
}
