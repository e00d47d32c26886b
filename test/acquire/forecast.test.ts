/** What take --dry-run tells, and why there is no room. */
import test from 'ava';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { roomIn, whyNoRoom } from '../../acquire/forecast.ts';
import { NODE } from '../processes.ts';
import { startTarget, takeEvidence, temporaryFolder } from './help.ts';

const CLI = fileURLToPath(new URL('../../acquire/cli.ts', import.meta.url));
const dryRun = (pid: number, ...options: string[]) => spawnSync(
	NODE[0], [...NODE.slice(1), CLI, 'take', String(pid), '--dry-run', ...options], { encoding: 'utf8' }
);

test('room: what is free, and how large a file may be', (t) => {
	const mib = 1 << 20, limits = (freeBytes: number, largestFileBytes: number) =>
		whyNoRoom('/there', { bytes: 100 * mib }, { freeBytes, largestFileBytes });
	t.is(limits(Infinity, Infinity), null);
	t.is(limits(100 * mib, 100 * mib), null);
	t.regex(limits(99 * mib, Infinity) ?? '', /no space .* in \/there: .*100\.0 MiB, and 99\.0 MiB are free; .*--out/);
	t.regex(limits(Infinity, 99 * mib) ?? '', /a file .* 99\.0 MiB \(ulimit -f\)/);
});

test('the room of a folder that is not there yet is that of the one it will be in', async (t) => {
	const folder = temporaryFolder(t), { freeBytes, largestFileBytes } = await roomIn(join(folder, 'not', 'yet'));
	t.true(freeBytes > 0 && largestFileBytes > 0);
});

test('it tells how much would be taken, and how; nothing is made, and the target is as it was', async (t) => {
	const { pid } = await startTarget(t, 'reserve', 1024, 64, 3), folder = temporaryFolder(t);
	const out = join(folder, 'out');
	const { status, stdout } = dryRun(pid, '--out', out, '--json');
	t.is(status, 0, stdout);
	const told = JSON.parse(stdout) as {
		reason: string | null; mechanism: string; evidence: { regions: number; withContent: number; bytes: number };
		freeBytes: number; pauseNs: number;
	};
	t.is(told.reason, null);
	t.true(told.freeBytes > 0 && told.pauseNs > 0);
	t.deepEqual(readdirSync(folder), []);
	const text = dryRun(pid, '--out', out).stdout;
	t.regex(text, new RegExp(`^process ${pid} would be taken by ${told.mechanism}: .*\\n  regions: ${told.evidence.regions}, `));
	t.regex(text, /evidence: about .* and .* are free[^]*nothing was done/);
	const { dir, manifest } = await takeEvidence(t, pid);
	const bytes = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
	t.true(Math.abs(told.evidence.bytes - bytes) < bytes / 10, `${told.evidence.bytes} foretold, ${bytes} taken`);
	t.true(Math.abs(told.evidence.regions - manifest.regions.length) <= 1);
});

test('it says why a process would not be taken: exit 1', async (t) => {
	const { pid } = await startTarget(t, 'reserve', 8, 1, 1), folder = temporaryFolder(t), out = join(folder, 'out');
	mkdirSync(out);
	const { status, stdout } = dryRun(pid, '--out', out);
	t.is(status, 1);
	t.regex(stdout, /would not be taken: .*out is there already/);
	const gone = dryRun(2 ** 22 - 1, '--out', join(folder, 'other'));
	t.is(gone.status, 1);
	t.regex(gone.stderr, /^procsnap: process \d+ has no memory/);
	t.false(existsSync(join(folder, 'other')));
	const wrong = dryRun(pid, '--out', join(folder, 'other'), '--to', 'here:1');
	t.is(wrong.status, 2);
});
