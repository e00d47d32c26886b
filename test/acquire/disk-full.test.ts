/** No room for the evidence: an error that says what to do, and nothing is left but the folder that was there. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { testUnless } from '../unless.ts';
import { Heavy } from './heavy.ts';

/** Why no file system can be mounted here, or null. */
function noMount(): string | null {
	if (process.getuid?.() !== 0) return 'only root may mount a small file system';
	return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
		? null
		: 'mounting is forbidden here';
}

testUnless(noMount())('a disk that gets full', async (t) => {
	const heavy = await Heavy.start(t);
	const disk = join(heavy.folder, 'key-disk');
	mkdirSync(disk);
	execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'none', disk]);
	t.teardown(() => execFileSync('umount', ['--lazy', disk]));
	const out = join(disk, 'evidence');
	const { code, stderr } = await heavy.interrupted(out, () => new Promise(() => {}), () => {});
	t.is(code, 1);
	t.regex(stderr, /no space|full/i, 'what');
	t.true(stderr.includes(disk), 'where');
	t.regex(stderr, /--out|free/, 'what to do');
	t.notRegex(stderr, /unexpected error|\n\s+at /);
	t.deepEqual(readdirSync(disk), []);
	await heavy.leftAlone(t, 'a full disk');
});
