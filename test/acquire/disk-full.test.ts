/** No room for the evidence: what there was room for is kept, and said to be a part. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { verifyFolder } from '../../acquire/verify.ts';
import { testUnless } from '../unless.ts';
import { noMount } from './disk.ts';
import { Heavy } from './heavy.ts';

testUnless(noMount())('a disk that gets full', async (t) => {
	const heavy = await Heavy.start(t);
	const disk = join(heavy.folder, 'key-disk');
	mkdirSync(disk);
	execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'none', disk]);
	t.teardown(() => execFileSync('umount', ['--lazy', disk]));
	const out = join(disk, 'evidence');
	const { code, stderr } = await heavy.interrupted(out, () => new Promise(() => {}), () => {});
	t.is(code, 5);
	t.notRegex(stderr, /unexpected error|\n\s+at /);
	const { faults, manifest } = await verifyFolder(out);
	t.deepEqual(faults, []);
	t.regex(manifest?.partial?.reason ?? '', /no space/i, 'what');
	t.true(manifest?.partial?.reason.includes(disk), 'where');
	t.regex(manifest?.partial?.reason ?? '', /--out/, 'what to do');
	t.deepEqual(readdirSync(disk), ['evidence']);
	await heavy.leftAlone(t, 'a full disk');
});
