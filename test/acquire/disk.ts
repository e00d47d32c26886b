/** Small file systems. */
import { spawnSync } from 'node:child_process';

/** Why no file system can be mounted here, or null. */
export function noMount(): string | null {
	if (process.getuid?.() !== 0) return 'only root may mount a small file system';
	return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
		? null
		: 'mounting is forbidden here';
}
