/**
 * No room for the evidence: refused before anything is done; where others take it meanwhile, what was written is kept.
 */
import { execFileSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { eventually } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { noMount } from './disk.ts';
import { Heavy } from './heavy.ts';

const coreBytes = (out: string): number => {
	const core = join(`${out}.partial`, 'core');
	return existsSync(core) ? statSync(core).size : 0;
};

/** A file system of so many MiB in a heavy target's folder. */
function smallDisk(t: ExecutionContext, heavy: Heavy, mib: number): string {
	const disk = join(heavy.folder, 'key-disk');
	mkdirSync(disk);
	execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'none', disk]);
	t.teardown(() => execFileSync('umount', ['--lazy', disk]));
	return disk;
}

function saysWhatToDo(t: ExecutionContext, stderr: string, disk: string): void {
	t.regex(stderr, /no space|full/i, 'what');
	t.true(stderr.includes(disk), 'where');
	t.regex(stderr, /--out|free/, 'what to do');
	t.notRegex(stderr, /unexpected error|\n\s+at /);
}

testUnless(noMount())('a disk that gets full', async (t) => {
	const heavy = await Heavy.start(t), disk = smallDisk(t, heavy, 400), out = join(disk, 'evidence');
	const filler = join(disk, 'filler');
	// When something is there of the core, somebody else takes what is left; meanwhile the take stands still.
	const begun = async (take: ChildProcess) => {
		await eventually(() => (coreBytes(out) >= 8 << 20 ? true : undefined), 'something is written');
		take.kill('SIGSTOP');
	};
	const { code, stderr } = await heavy.interrupted(out, begun, (take) => {
		const { bavail, bsize } = statfsSync(disk);
		try {
			writeFileSync(filler, Buffer.alloc(bavail * bsize));
		} catch {
			// What was under way has been written: there is no room now.
		}
		take.kill('SIGCONT');
	});
	rmSync(filler);
	t.is(code, 5, stderr);
	const { faults, manifest } = await verifyFolder(out);
	t.deepEqual(faults, []);
	saysWhatToDo(t, manifest?.partial?.reason ?? '', disk);
	t.deepEqual(readdirSync(disk), ['evidence']);
	await heavy.leftAlone(t, 'a full disk');
});

testUnless(noMount())('a small disk: refused before anything is done, and --dry-run says the same', async (t) => {
	const heavy = await Heavy.start(t), disk = smallDisk(t, heavy, 40), out = join(disk, 'evidence');
	const { code, stderr } = await heavy.interrupted(out, () => new Promise(() => {}), () => {});
	t.is(code, 1);
	saysWhatToDo(t, stderr, disk);
	t.regex(stderr, /was not touched/);
	t.deepEqual(readdirSync(disk), []);
	await heavy.leftAlone(t, 'a small disk');
	const dry = heavy.dryRun(out);
	t.is(dry.status, 1);
	t.regex(dry.stdout, /would not be taken: there is no space for it/);
	t.deepEqual(readdirSync(disk), []);
	const elsewhere = heavy.dryRun(heavy.nextOut());
	t.is(elsewhere.status, 0, elsewhere.stdout);
});
