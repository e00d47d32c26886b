/** Being an ordinary user with a few capabilities, as a service is (scripts/procsnap-take@.service). */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { testUnless } from './unless.ts';

export const NOBODY = 65534;
/** A user whom no list of users has. */
export const NAMELESS = 54321;

/** Whatever hangs is ended, and the test fails. */
const PATIENCE_MS = 240_000;

/** By setpriv(1): ambient capabilities, so that they outlive exec() of a program without any. */
export function asUser(
	uid: number, capabilities: readonly string[], program: string, ...args: string[]
): SpawnSyncReturns<string> {
	const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
	return spawnSync('setpriv', [
		'--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--inh-caps', set, '--ambient-caps', set,
		'--bounding-set', set, '--no-new-privs', program, ...args,
	], { encoding: 'utf8', timeout: PATIENCE_MS, killSignal: 'SIGKILL' });
}

/** A test as such users; skipped where they cannot be played. */
export const leastRightsTest = testUnless(reason());

function reason(): string | null {
	if (process.getuid?.() !== 0) return 'it takes root to become somebody else';
	const { status, error } = asUser(NOBODY, ['sys_ptrace', 'dac_read_search'], 'true');
	if (error !== undefined || status !== 0) return 'setpriv cannot give CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH here';
	const files = ['-r', realpathSync('acquire/cli.ts'), '-a', '-x', realpathSync(process.execPath)];
	return asUser(NOBODY, [], 'test', ...files).status === 0 ? null : 'this checkout cannot be read by nobody';
}
