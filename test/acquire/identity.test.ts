/** What is sealed of a process is what it executed at the moment, in the bytes that the kernel has. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { bytesOfText } from '../../common/bytes-text.ts';
import { createFolder, FILES, type Destination } from '../../acquire/evidence/folder.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { folderOf, parseHierarchies } from '../../acquire/own-groups.ts';
import { take, type TakeOptions } from '../../acquire/take.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { forEvidence, mechanismFor } from '../../mechanisms/shared/all.ts';
import type { Mechanism } from '../../mechanisms/shared/types.ts';
import { Workload } from '../../bench/targets/workload.ts';
import { aGroup, type Group } from '../native/groups.ts';
import { eventually, isFree } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { temporaryFolder } from './help.ts';
import { aKey } from './transfer/help.ts';

/** The kernel's default here. */
const duplicating = mechanismFor();

const read = (file: string): string => readFileSync(file, 'latin1');

/** A shell that becomes another program when it is told a line. */
async function changing(t: ExecutionContext): Promise<{ pid: number; change: () => Promise<void> }> {
	const program = 'echo ready; read line; exec sleep 1000';
	const shell = spawn('bash', ['-c', program], { stdio: ['pipe', 'pipe', 'ignore'] });
	t.teardown(() => shell.kill('SIGKILL'));
	await once(shell.stdout, 'data');
	return {
		pid: shell.pid!,
		change: async () => {
			shell.stdin.write('\n');
			await eventually(
				() => (read(`/proc/${shell.pid}/cmdline`) === 'sleep\x001000\0' ? true : undefined), 'it is sleep'
			);
		},
	};
}

/** `before`: when it has been looked at, and no more. `first`: when something is there of the evidence. */
async function taken(
	t: ExecutionContext, pid: number, mechanism: Mechanism,
	{ before, first, ...options }: Partial<TakeOptions & Record<'before' | 'first', () => Promise<unknown>>> = {}
): Promise<{ dir: string; manifest: Manifest; programUnread: string | null }> {
	const key = aKey(), out = join(temporaryFolder(t), 'evidence');
	const { where, manifest, programUnread } = await take({
		pid, key: () => key, mechanisms: [mechanism], ...options,
		destination: async (): Promise<Destination> => {
			await before?.();
			const inner = await createFolder(out);
			let begun = false;
			return {
				...inner, write: async (bytes, offset) => {
					await inner.write(bytes, offset);
					if (begun) return;
					begun = true;
					await first?.();
				},
			};
		},
	});
	t.deepEqual((await verifyFolder(where)).faults, []);
	return { dir: where, manifest, programUnread };
}

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

for (const mechanism of forEvidence()) {
	const identity = testUnless(mechanism.unavailable());

	identity(`${mechanism.name}: executed before the copy, after it was looked at: what the copy has is sealed`, async (t) => {
		const { pid, change } = await changing(t);
		const { manifest } = await taken(t, pid, mechanism, { before: change });
		t.true(isFree(pid));
		const { program, programSha256, commandLine, command, executedSince, programFile } = manifest.target;
		t.deepEqual([command, commandLine, executedSince], ['sleep', ['sleep', '1000'], null]);
		t.is(programSha256, sha256('/bin/sleep'));
		t.true(manifest.regions.some(({ name }) => name === program), 'its regions are of it');
		t.is(programFile?.inode, String(statSync('/bin/sleep', { bigint: true }).ino));
	});

	identity(`${mechanism.name}: executed after the copy: what the copy has is sealed, and the other is said`, async (t) => {
		const { pid, change } = await changing(t);
		const { manifest, programUnread } = await taken(t, pid, mechanism, { first: change });
		const { program, programSha256, commandLine, executedSince } = manifest.target;
		t.is(commandLine[0], 'bash');
		t.deepEqual(executedSince?.commandLine, ['sleep', '1000']);
		t.true(manifest.regions.some(({ name }) => name === program), 'its regions are of it');
		// What is no process has the program by way of the target alone.
		if (mechanism.duplicates) t.is(programSha256, sha256('/bin/bash'));
		else t.deepEqual([programSha256, /executed a program/.test(programUnread ?? '')], [null, true]);
	});

	identity(`${mechanism.name}: names and arguments that are no UTF-8 are the bytes that they were`, async (t) => {
		const folder = temporaryFolder(t), name = Buffer.from('caf\xe9 \xff\xc3\xa4 \xed\xb2\x80', 'latin1');
		const program = Buffer.concat([Buffer.from(`${folder}/`), name]);
		copyFileSync('/bin/bash', program);
		const target = spawn('bash', [
			'-c', `exec $'${folder}/caf\\xe9 \\xff\\xc3\\xa4 \\xed\\xb2\\x80' -c 'read line' $'1\\x80'`,
		], { stdio: ['pipe', 'ignore', 'ignore'] });
		t.teardown(() => target.kill('SIGKILL'));
		await eventually(() => (read(`/proc/${target.pid}/comm`).startsWith('caf') ? true : undefined), 'it runs');
		const { manifest } = await taken(t, target.pid!, mechanism);
		t.deepEqual(bytesOfText(manifest.target.program), program);
		t.deepEqual(bytesOfText(manifest.target.command), name.subarray(0, 15));
		t.deepEqual(
			manifest.target.commandLine.slice(1).map(bytesOfText),
			[Buffer.from('-c'), Buffer.from('read line'), Buffer.from([0x31, 0x80])]
		);
		t.true(manifest.regions.some((region) => bytesOfText(region.name).equals(program)));
		t.true(manifest.target.programFile !== null);
	});

	identity(`${mechanism.name}: a program that no path leads to any more is in the evidence`, async (t) => {
		const program = join(temporaryFolder(t), 'gone');
		copyFileSync('/bin/sleep', program);
		const target = spawn(program, ['1000'], { stdio: 'ignore' });
		t.teardown(() => target.kill('SIGKILL'));
		await eventually(() => (read(`/proc/${target.pid}/cmdline`).includes('1000') ? true : undefined), 'it runs');
		rmSync(program);
		const { dir, manifest } = await taken(t, target.pid!, mechanism), file = join(dir, FILES.program);
		t.is(manifest.target.program, `${program} (deleted)`);
		const bytes = statSync('/bin/sleep').size;
		t.deepEqual(manifest.program, { file: 'program', bytes, sha256: sha256('/bin/sleep') });
		t.deepEqual(readFileSync(file), readFileSync('/bin/sleep'));
		writeFileSync(file, 'another');
		t.deepEqual((await verifyFolder(dir)).faults, ['program: altered: not what was sealed']);
		rmSync(file);
		t.deepEqual((await verifyFolder(dir)).faults, ['program: missing: the evidence is not whole']);
	});
}

test('a program that was not sealed is said to have been added', async (t) => {
	const target = await sleeping(t), { dir } = await taken(t, target.pid!, duplicating);
	t.false(existsSync(join(dir, FILES.program)));
	writeFileSync(join(dir, FILES.program), 'x');
	t.deepEqual((await verifyFolder(dir)).faults, ['program: added: the manifest has none']);
	renameSync(join(dir, FILES.program), join(dir, '..', 'program'));
	t.deepEqual((await verifyFolder(dir)).faults, []);
});

async function sleeping(t: ExecutionContext): Promise<ChildProcess> {
	const target = spawn('sleep', ['1000'], { stdio: 'ignore' });
	t.teardown(() => target.kill('SIGKILL'));
	await eventually(() => (read(`/proc/${target.pid}/cmdline`).includes('1000') ? true : undefined), 'it runs');
	return target;
}

for (const untilTargetEnds of [false, true])
	test(`a target that ends is noticed; its copy is ${untilTargetEnds ? 'ended with it' : 'read on'}`, async (t) => {
		const target = await Workload.start('resident', ['--rss', '64M']), { pid } = target;
		t.teardown(() => target.close());
		let told = 0;
		const { manifest } = await taken(t, pid, duplicating, {
			untilTargetEnds, targetEnded: () => { told += 1; },
			first: async () => {
				process.kill(pid, 'SIGKILL');
				await eventually(() => (told > 0 ? true : undefined), 'it is noticed');
			},
		});
		t.is(told, 1);
		if (untilTargetEnds) {
			t.regex(manifest.partial?.reason ?? '', /^the target had ended, .*--until-target-ends/);
			t.true((manifest.partial?.missingBytes ?? 0) > 16 << 20);
			t.is(manifest.ledger.endFailed, null);
		} else t.is(manifest.partial, null);
	});

/** A target is killed in a group; what of it is there when it has been noticed, and what the manifest says. */
async function endedIn(t: ExecutionContext, group: Group): Promise<{ left: string; manifest: Manifest }> {
	const target = await Workload.start('resident', ['--rss', '64M']), { pid } = target;
	t.teardown(() => target.close());
	group.add(pid);
	let told = 0, left = '';
	const inGroup = (): string[] => group.get('cgroup.procs').split('\n').filter((line) => line !== '');
	const { manifest } = await taken(t, pid, mechanismFor('inject'), {
		targetEnded: () => { told += 1; },
		first: async () => {
			t.is(inGroup().length, 2, 'the target and its duplicate');
			process.kill(pid, 'SIGKILL');
			await eventually(() => (told > 0 && !inGroup().includes(String(pid)) ? true : undefined), 'it is noticed');
			left = inGroup().join(' ');
		},
	});
	t.is(manifest.partial, null);
	return { left, manifest };
}

for (const [what, controller] of [['pids', 'pids'], ['memory', 'memory'], ['version 2', '']] as const)
	test(`a target that ends leaves nobody in its control group (${what}), although its copy is read on`, async (t) => {
		const group = aGroup(t, controller);
		if (group === null) {
			t.log(`not looked at: there is no such group to be made here (${what})`);
			t.pass();
			return;
		}
		const { left, manifest } = await endedIn(t, group);
		t.is(left, '');
		t.deepEqual(manifest.leftGroups?.stays, []);
		t.true(manifest.leftGroups!.sinceNs > manifest.momentNs);
	});

test('which folder of a hierarchy a group is, and that others are not ours to see', (t) => {
	const hierarchies = parseHierarchies([
		'30 25 0:26 /docker/a /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
		'31 25 0:27 / /sys/fs/cgroup/cpu\\040s rw shared:9 - cgroup cgroup rw,cpu,cpuacct',
		'32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw', '33 25 0:29 / /tmp rw - tmpfs pids rw,pids',
	].join('\n'));
	const folder = (controllers: string, path: string): string | null => folderOf({ controllers, path }, hierarchies);
	t.is(folder('pids', '/docker/a/b'), '/sys/fs/cgroup/pids/b');
	t.is(folder('pids', '/docker/a'), '/sys/fs/cgroup/pids');
	t.is(folder('pids', '/docker/other'), null);
	t.is(folder('cpu,cpuacct', '/x'), '/sys/fs/cgroup/cpu s/x');
	t.is(folder('', '/x'), '/sys/fs/cgroup/unified/x');
	t.is(folder('name=systemd', '/x'), null);
});
