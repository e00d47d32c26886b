/**
 * `procsnap take` by precopy, as a user calls it: what it does where that gives up, is interrupted or killed, has no
 * room, or loses its target. Nothing is left in the target, and no folder looks like evidence that is none.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt, Ledger, Manifest } from '../../acquire/evidence/manifest.ts';
import { mechanism } from '../../mechanisms/precopy.ts';
import { ProcsnapError } from '../../native/index.ts';
import { aGroup } from '../native/groups.ts';
import { start, tracerFor, until, type Target } from '../native/help.ts';
import { aMark, isFree, leftOver } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { startTarget, temporaryFolder } from './help.ts';
import { CLI, procsnap, type Ended } from './real/taking.ts';
import { Authority, HOST, keptIn, linkTest, ReceiverProcess } from './transfer/help.ts';

const precopyTest = testUnless(mechanism.unavailable());
const MIB = 96;

/** A page of it is protected, or may be: proc_pid_smaps(5), `uw`. */
function isRegistered(pid: number): boolean {
	try {
		return /^VmFlags:.* uw\b/m.test(readFileSync(`/proc/${pid}/smaps`, 'utf8'));
	} catch {
		return false;	// it has ended
	}
}

/** It runs, as it was before. */
async function assertWhole(target: Target, what: string): Promise<void> {
	await until(`${what}: nobody holds the target`, () => isFree(target.pid));
	await until(`${what}: no region is registered`, () => !isRegistered(target.pid));
	await target.runs(1);
}

interface Taking {
	process: ChildProcess;
	ended: Promise<Ended & { signal: NodeJS.Signals | null }>;
	/** In the environment of all that it starts. */
	mark: string;
}

/** As a shell starts a job: in a group of its own. */
function taking(target: Target, out: string, key: string): Taking {
	const mark = aMark(), [name, value] = mark.split('=') as [string, string];
	const child = spawn(
		CLI[0], [
			...CLI.slice(1), 'take', String(target.pid), '--mechanism', 'precopy', '--out', out, '--key', key,
		], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, [name]: value }, detached: true }
	);
	let stdout = '', stderr = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
	child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
	const ended = new Promise<Ended & { signal: NodeJS.Signals | null }>((resolve) =>
		child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })));
	return { process: child, ended, mark };
}

/** Memory of the target is protected, and the take goes on; false: it was over before that was seen. */
async function isUnderWay({ process: child }: Taking, pid: number): Promise<boolean> {
	await until('it is under way', () => isRegistered(pid) || child.exitCode !== null || child.signalCode !== null);
	return child.exitCode === null && child.signalCode === null;
}

const inGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
	try {
		process.kill(-(child.pid as number), signal);
	} catch {
		// it has ended by itself
	}
};

const evidenceIn = (folder: string): string[] => readdirSync(folder).filter((name) => !name.startsWith('key'));

precopyTest('a kind of process that it does not know: refused, or taken by what is named behind it', async (t) => {
	const target = await start(t, 'hazards', 'aio'), folder = temporaryFolder(t), out = join(folder, 'evidence');
	const common = ['take', String(target.pid), '--out', out, '--key', join(folder, 'key'), '--mechanism'];
	const refused = await procsnap(...common, 'precopy');
	t.is(refused.code, 1);
	t.regex(refused.stderr, /^procsnap: process \d+ has an io_setup\(2\) context: [^\n]*\n$/);
	t.deepEqual(readdirSync(folder), [], 'neither evidence nor a key');

	const { code, stdout, stderr } = await procsnap(...common, 'precopy,inject', '--json');
	t.is(code, 0, stderr);
	t.regex(stderr, /^procsnap: precopy has given up, and inject is tried: process \d+ has an io_setup/m);
	const told = JSON.parse(stdout) as { mechanism: Manifest['mechanism']; ledger: Ledger };
	t.like(told.mechanism, { name: 'inject', why: 'precopy has given up' });
	t.like(told.ledger.attempts, [
		{ mechanism: 'precopy', outcome: 'refused', pauseNs: 0, calls: [] }, { mechanism: 'inject', outcome: 'taken' },
	]);
	t.is((await procsnap('verify', out, '--key', join(folder, 'key.pub'))).code, 0);
	const { stdout: shown } = await procsnap('info', out);
	t.regex(
		shown,
		/^ {2}why inject: precopy has given up\n {2}precopy gave up after .* \(the target was not stopped\): process/m
	);
	await assertWhole(target, 'taken by inject');
});

precopyTest('a process that may have no further child is taken without one, unasked', async (t) => {
	const group = aGroup(t, 'pids');
	if (group === null) {
		t.pass('not here: no cgroup of pids');
		return;
	}
	const target = await startTarget(t, 'changing', 'resident', 2), folder = temporaryFolder(t);
	group.add(target.pid);
	group.set('pids.max', '2');
	const { code, stdout, stderr } = await procsnap(
		'take', String(target.pid), '--out', join(folder, 'evidence'), '--key', join(folder, 'key')
	);
	t.is(code, 0, stderr);
	t.regex(stdout, /, by precopy\n {2}why precopy: the first that would not refuse the process \(inject: pids-cgroup\)\n/);
	await assertWhole(target, 'taken');
});

precopyTest('a target that writes to more than a stop can look at: its stops are in the ledger', async (t) => {
	const target = await startTarget(t, 'changing', 'scattered', 2000), folder = temporaryFolder(t);
	let attempts: Attempt[] = [], ledger: Ledger | undefined;
	// Beside a load it may not run while it is copied: then once more.
	for (let tries = 0; attempts.length < 2 && tries < 20; tries++) {
		const { code, stdout, stderr } = await procsnap(
			'take', String(target.pid), '--out', join(folder, `evidence-${tries}`), '--key', join(folder, 'key'),
			'--json', '--mechanism', 'precopy', '--mechanism', 'inject'
		);
		t.is(code, 0, stderr);
		({ ledger } = JSON.parse(stdout) as { ledger: Ledger });
		attempts = ledger.attempts ?? [];
	}
	const [refused, taken] = attempts as [Attempt, Attempt];
	t.like(refused, { mechanism: 'precopy', outcome: 'refused' });
	t.like(taken, { mechanism: 'inject', outcome: 'taken', reason: null });
	t.regex(refused.reason ?? '', /writes to its memory faster than it can be read|cannot be told whether they changed/);
	t.true(refused.pauseNs! > 0 && taken.pauseNs! > 0 && refused.endedNs <= taken.startedNs);
	t.is(ledger?.pauseNs, Math.max(refused.pauseNs!, taken.pauseNs!));
	await assertWhole(target, 'taken by inject');
});

precopyTest('a copy in memory that grows above what it may take is given up', async (t) => {
	const target = await startTarget(t, 'changing', 'resident', 16), tracer = tracerFor(t);
	const copied = (mostBytes: number): void => {
		tracer.precopy(target.pid, '', mostBytes);
		while (!tracer.precopyGoOn(2).done);
	};
	const error = t.throws(() => copied(8 << 20), { instanceOf: ProcsnapError });
	t.is(error.code, 'E2BIG');
	t.regex(error.message, /has grown: its copy takes more than the 8 MiB of memory that it may$/);
	t.true(error.inVain!.pauseNs > 0);
	tracer.end();
	await assertWhole(target, 'given up');
	copied(32 << 20);
	tracer.end();
});

if (mechanism.unavailable() === null)
	linkTest('--memory: above it a copy is kept in --spool, or refused before the target is touched', async (t) => {
		const authority = new Authority(t, HOST, 'collector'), target = await startTarget(t, 'reserve', 16, 12, 1);
		const base = temporaryFolder(t), received = join(base, 'received'), spool = join(base, 'spool');
		mkdirSync(spool);
		const receiver = new ReceiverProcess(t, ['--out', received, ...authority.options(HOST)]);
		await receiver.start();
		await target.asleep();
		const slices = (): string | undefined => readFileSync(`/proc/${target.pid}/schedstat`, 'utf8').split(' ')[2];
		const before = slices();
		const take = (...options: string[]): Promise<Ended> => procsnap(
			'take', String(target.pid), '--to', `${HOST}:${receiver.port}`, '--key', join(base, 'key'), '--mechanism',
			'precopy', ...authority.options('collector'), ...options
		);
		const refused = await take('--memory', '4M');
		t.is(refused.code, 1);
		t.regex(
			refused.stderr,
			/^procsnap: a copy of 1\d\.\d MiB in memory is more than the 4\.0 MiB of memory that it may take \(--memory\): name a folder on a disk for it \(--spool DIR\)\n$/
		);
		t.is(slices(), before, 'it has slept on');
		t.deepEqual(keptIn(received), []);
		for (const options of [['--memory', '4M', '--spool', spool], ['--memory', '64M']]) {
			const { code, stderr } = await take(...options);
			t.is(code, 0, stderr);
		}
		t.is(keptIn(received).length, 2);
		t.deepEqual(readdirSync(spool), []);
	});

precopyTest('SIGINT at any step: an answer, then the target as it was, and no evidence', async (t) => {
	const target = await startTarget(t, 'changing', 'resident', MIB);
	const folder = temporaryFolder(t), key = join(folder, 'key');
	const answers: string[] = [];
	for (const [round, delayMs] of [0, 60, 150, 0].entries()) {
		const out = join(folder, `evidence-${round}`), take = taking(target, out, key);
		if (await isUnderWay(take, target.pid)) await sleep(delayMs);
		const sentMs = performance.now();
		inGroup(take.process, 'SIGINT');
		let answeredMs: number | undefined;
		take.process.stderr?.once('data', () => { answeredMs = performance.now(); });
		// The last time, a second one while it puts the target back.
		if (round === 3) await sleep(5);
		if (round === 3) inGroup(take.process, 'SIGINT');
		const { code, signal, stderr } = await take.ended;
		if (code === 0) continue;	// it was over
		t.is(code, 130, `${String(signal)}: ${stderr}`);
		t.regex(
			stderr,
			/^procsnap: interrupted: putting the target back as it was\nprocsnap: interrupted: nothing was kept\b/m
		);
		answers.push(answeredMs === undefined ? 'none' : `${(answeredMs - sentMs).toFixed(0)} ms`);
		t.deepEqual(await leftOver(take.mark), [], 'of the take');
		t.deepEqual(evidenceIn(folder).filter((name) => name.startsWith(`evidence-${round}`)), []);
		await assertWhole(target, `interrupted after ${delayMs} ms`);
	}
	t.true(answers.length > 0, 'one was interrupted');
	t.log(`answered after ${answers.join(', ')}`);
});

precopyTest('SIGKILL of the take at any step: the target is as it was, and only DIR.partial is left', async (t) => {
	const target = await startTarget(t, 'changing', 'resident', MIB);
	const folder = temporaryFolder(t), key = join(folder, 'key');
	for (const [round, delayMs] of [0, 40, 100, 200].entries()) {
		const name = `evidence-${round}`, take = taking(target, join(folder, name), key);
		if (await isUnderWay(take, target.pid)) await sleep(delayMs);
		take.process.kill('SIGKILL');
		await take.ended;
		t.deepEqual(await leftOver(take.mark), [], 'the tracer has left');
		await assertWhole(target, `killed after ${delayMs} ms`);
		const left = evidenceIn(folder).filter((each) => each.startsWith(name));
		t.deepEqual(left.filter((each) => each !== name && each !== `${name}.partial`), []);
		// Killed when all was sealed.
		if (left.includes(name))
			t.is((await procsnap('verify', join(folder, name), '--key', `${key}.pub`)).code, 0, 'it is whole');
	}
});

const CHANGES = { 'calls exec()': 1, 'ends': 2, 'makes children': 3 };

for (const [what, word] of Object.entries(CHANGES))
	precopyTest(`a target that ${what} while it is copied: whole evidence, or an error that says so`, async (t) => {
		const target = await startTarget(t, 'changing', 'resident', MIB), folder = temporaryFolder(t);
		const out = join(folder, 'evidence'), take = taking(target, out, join(folder, 'key'));
		await isUnderWay(take, target.pid);
		target.word[3] = BigInt(word);
		const { code, stderr } = await take.ended;
		t.log(code === 0 ? 'whole' : stderr.trim());
		if (what === 'makes children') t.is(code, 0, stderr);
		if (code === 0) {
			t.is((await procsnap('verify', out, '--key', join(folder, 'key.pub'))).code, 0);
		} else {
			t.is(code, 1);
			t.regex(stderr, /^procsnap: [^\n]*\b(?:ended|exec\(\))[^\n]*\n$/);
			t.deepEqual(readdirSync(folder), []);
		}
		t.deepEqual(await leftOver(take.mark), []);
		if (what !== 'ends') await assertWhole(target, what);
	});

/** Why no file system can be mounted here, or null. */
function noMount(): string | null {
	if (process.getuid?.() !== 0) return 'only root may mount a small file system';
	return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
		? null
		: 'mounting is forbidden here';
}

testUnless(mechanism.unavailable() ?? noMount())('a disk that gets full while pages are read', async (t) => {
	const target = await startTarget(t, 'changing', 'resident', 4 * MIB), folder = temporaryFolder(t);
	const disk = join(folder, 'disk');
	mkdirSync(disk);
	execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${8 * MIB}m`, 'none', disk]);
	t.teardown(() => execFileSync('umount', ['--lazy', disk]));
	const free = (): number => statfsSync(disk).bfree, before = free();
	const take = taking(target, join(disk, 'evidence'), join(folder, 'key'));
	// There was room when it was looked for; now there is not.
	await until('pages are read', () => before - free() > 0);
	execFileSync('mount', ['-o', `remount,size=${3 * MIB}m`, disk]);
	const { code, stderr } = await take.ended;
	t.is(code, 1);
	t.regex(
		stderr,
		/^procsnap: the copy cannot be kept: No space left on device; make room, or name another folder \(--out[^\n]*\n$/
	);
	t.deepEqual(readdirSync(disk), []);
	await assertWhole(target, 'a full disk');
});
