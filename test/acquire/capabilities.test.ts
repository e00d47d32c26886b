/** Taking without being root: what it needs, and what it says where that is missing. */
import type { ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { asUser, leastRightsTest, NAMELESS, NOBODY } from '../least-rights.ts';
import { aMark, eventually, isFree, marked, NODE } from '../processes.ts';

/** As `uid`, of a process of `targetUid`; what is left is looked for by a mark. */
async function taken(t: ExecutionContext, uid: number, targetUid: number, capabilities: readonly string[]) {
	const dir = mkdtempSync(join(tmpdir(), 'procsnap-rights-'));
	t.teardown(() => rmSync(dir, { recursive: true, force: true }));
	chmodSync(dir, 0o777);
	const mark = aMark();
	const target = spawn('env', [mark, 'sleep', '1000'], { uid: targetUid, gid: targetUid, stdio: 'ignore' });
	t.teardown(() => marked(mark).forEach((pid) => process.kill(pid, 'SIGKILL')));
	await eventually(() => (marked(mark).includes(target.pid!) ? true : undefined), 'the target runs');
	const slices = (): string | undefined => readFileSync(`/proc/${target.pid}/schedstat`, 'utf8').split(' ')[2];
	await eventually(
		() => (/ \(sleep\) S /.test(readFileSync(`/proc/${target.pid}/stat`, 'utf8')) ? true : undefined), 'it sleeps'
	);
	const before = slices();
	const { status, stderr, error } = asUser(
		uid, capabilities, 'env', mark, ...NODE, 'acquire/cli.ts', 'take', String(target.pid), '--out',
		join(dir, 'evidence'), '--key', join(dir, 'key')
	);
	t.is(error, undefined);
	await eventually(() => (marked(mark).length === 1 ? true : undefined), 'only the target is left');
	t.true(isFree(target.pid!));
	const path = join(dir, 'evidence', 'manifest.json');
	const manifest = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) as Manifest : null;
	return { stopped: slices() !== before, status, stderr, manifest };
}

/** What scripts/procsnap-take@.service gives: CAP_SYS_PTRACE CAP_DAC_READ_SEARCH. */
const ofService = (): string[] =>
	(/^AmbientCapabilities=(.*)$/m.exec(readFileSync('scripts/procsnap-take@.service', 'utf8'))?.[1] ?? '').split(' ')
		.map((name) => name.replace('CAP_', '').toLowerCase());

leastRightsTest('the service\'s capabilities take another user\'s process, and root\'s', async (t) => {
	for (const user of [NAMELESS, 0]) {
		const { stopped, status, stderr, manifest } = await taken(t, NOBODY, user, ofService());
		t.is(status, 0, stderr);
		t.true(stopped, 'a stop is seen');
		t.deepEqual([manifest?.collector.uid, manifest?.target.uid], [NOBODY, user]);
		t.true(manifest!.regions.some(({ capture, name, bytes }) =>
			capture === 'frozen' && name === '[stack]' && bytes > 0));
		t.deepEqual(manifest!.regions.flatMap(({ unreadable }) => unreadable), []);
	}
});

leastRightsTest('one of them, or none: what is missing is said, and nothing is left', async (t) => {
	for (const [capabilities, message] of [
		[
			['sys_ptrace'],
			/^procsnap: no permission to read another user's process \(EACCES.*\): run as root, or with CAP_DAC_READ_SEARCH beside CAP_SYS_PTRACE$/m,
		],
		[['dac_read_search'], /cannot be looked at .*yours or are you root/],
		[[], /cannot be looked at .*yours or are you root/],
	] as const) {
		const { stopped, status, stderr, manifest } = await taken(t, NOBODY, NAMELESS, capabilities);
		t.is(status, 1);
		t.false(stopped, 'the target has slept on');
		t.regex(stderr, message);
		t.notRegex(stderr, /unexpected error/);
		t.is(manifest, null);
	}
});

leastRightsTest('a collector whom no list of users has takes its own process', async (t) => {
	// for a machine with Yama
	const { status, stderr, manifest } = await taken(t, NAMELESS, NAMELESS, ['sys_ptrace']);
	t.is(status, 0, stderr);
	t.deepEqual([manifest?.collector.user, manifest?.collector.uid], ['', NAMELESS]);
});
