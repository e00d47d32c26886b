/** A process whose first thread has ended, or ends in the midst of it, is taken like any other. */
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { LiveTarget } from '../../acquire/evidence/live.ts';
import { findHidden } from '../../acquire/hidden.ts';
import { countersOf, hasEnded, livingThread, regionsOf } from '../../common/proc/process.ts';
import { forEvidence, mechanismFor, MECHANISMS } from '../../mechanisms/shared/all.ts';
import { sleep, until, type Target } from '../native/help.ts';
import { testUnless } from '../unless.ts';
import { precopyUnavailable, Tracer } from '../../native/index.ts';
import { acquireProgram, noTools, regionAt, run, startTarget, takeEvidence, verb } from './help.ts';

const TURNS = 1, MEMORY = 2, COUNTING = 3, STAYING = 4, HIDDEN = 5, FIRST_ENDS = 6, COUNTING_ENDS = 7, AFTER_US = 8;
const LONGEST_MS = 10, CALLS = 12, LIMIT_MS = 2000;
const BYTES = 65_536;

async function leaderless(t: ExecutionContext): Promise<Target> {
	const target = await startTarget(t, 'leaderless');
	await firstEnds(target);
	return target;
}

const firstEnds = (target: Target): Promise<void> =>
	until('its first thread has ended', () => hasEnded(target.pid));

const threadsOf = (target: Target): number[] =>
	readdirSync(`/proc/${target.pid}/task`).map(Number).filter((tid) => !hasEnded(tid)).sort((a, b) => a - b);

for (const mechanism of forEvidence()) {
	const title = `${mechanism.name}: the first thread has ended: memory, registers and who it is are in the evidence`;
	testUnless(mechanism.unavailable())(title, async (t) => {
		const target = await leaderless(t), tids = threadsOf(target);
		const { dir, core, manifest } = await takeEvidence(t, target.pid, '--mechanism', mechanism.name);
		t.deepEqual(manifest.threads.map(({ tid }) => tid).sort((a, b) => a - b), tids);
		t.is(tids.includes(target.pid), false);
		t.is(manifest.target.pid, target.pid);
		t.like(manifest.target, { command: 'leaderless', program: acquireProgram('leaderless') });
		t.is(manifest.target.workingDirectory, readlinkSync(`/proc/${tids[0]}/cwd`));
		t.is(manifest.target.namespaces['mnt'], readlinkSync(`/proc/${tids[0]}/ns/mnt`));
		t.is(manifest.target.cgroup, readFileSync(`/proc/${tids[0]}/cgroup`, 'utf8').trimEnd());
		t.not(manifest.target.programSha256, null);
		t.true(manifest.ledger.residentKiBBefore > 0);
		t.is(manifest.filter?.coredumpFilter, 0x33);
		for (const [word, bytes, letter] of [[MEMORY, BYTES, 'L'], [HIDDEN, 4096, 'H']] as const) {
			const region = regionAt(manifest, target.number(word)), [segment] = region?.segments ?? [];
			const at = (segment?.offset ?? 0) + target.number(word) - Number(segment?.start);
			t.true(readFileSync(core).subarray(at, at + bytes).every((byte) => byte === letter.charCodeAt(0)), letter);
		}
		t.regex(verb('verify', dir, '--key', `${dir}/../key.pub`), /: whole: /);
		await target.runs(TURNS);
	});
}

testUnless(noTools('gdb'))('the first thread has ended: gdb shows those that are there, where they are', async (t) => {
	const target = await leaderless(t), { core } = await takeEvidence(t, target.pid);
	const { stdout } = run('gdb', [
		'-nx', '-batch', '-ex', 'info threads', '-ex', 'thread apply all bt', acquireProgram('leaderless'), core,
	]);
	for (const tid of threadsOf(target)) t.regex(stdout, new RegExp(`^[* ] .*LWP ${tid}\\)`, 'm'));
	t.regex(stdout, /^#\d+ .* in wait_long \(/m);
	t.regex(stdout, /^#\d+ .* in receive \(/m);
});

test('the first thread has ended: what it hides is found, and what is of it told', async (t) => {
	const target = await leaderless(t), { regions } = await findHidden(target.pid, mechanismFor());
	t.deepEqual(
		regions.filter(({ why }) => why === 'left-out').map(({ start, residentBytes }) => [start, residentBytes]),
		[[target.number(HIDDEN), 4096]]
	);
	t.true(countersOf(target.pid).residentKiB > 0);
	t.true(regionsOf(target.pid, 'maps').some(({ start }) => start === target.number(HIDDEN)));
});

test('the first thread has ended: a timeout in a blocked call does not begin anew', async (t) => {
	using tracer = Tracer.start();
	const target = await leaderless(t), made = target.number(CALLS + 1);
	await until('they have just begun', () => [0, 1].every((kind) => target.number(CALLS + kind) > made));
	await sleep(LIMIT_MS / 2);
	tracer.inject(target.pid);
	t.deepEqual(
		tracer.lastCalls.calls.filter(({ restarted }) => restarted > 0).map(({ call }) => call)
			.filter((call) => /^rt_|^recv/.test(call)).sort(),
		['recvfrom', 'rt_sigtimedwait']
	);
	tracer.end();
	for (const kind of [0, 1]) {
		await target.atLeast(CALLS + kind, made + 2);
		t.true(target.number(LONGEST_MS + kind) < 1.3 * LIMIT_MS, `${kind}: ${target.number(LONGEST_MS + kind)} ms`);
	}
});

for (const mechanism of MECHANISMS.filter(({ cooperative }) => !cooperative)) {
	const title = `${mechanism.name}: the first thread ends in the midst of it: the copy is of those that are there`;
	testUnless(mechanism.unavailable())(title, async (t) => {
		using tracer = Tracer.start();
		let before = 0;
		for (let round = 0; round < 12; round++) {
			const target = await startTarget(t, 'leaderless', 'kept');
			const address = BigInt(target.number(MEMORY));
			target.word[AFTER_US] = BigInt(300 * round);
			target.word[FIRST_ENDS] = 1n;
			const still = mechanism.open(tracer, target);
			t.true(Buffer.from(still.read(address, BYTES)).equals(Buffer.alloc(BYTES, 'L')));
			before += Number(hasEnded(target.pid));
			still.end();
			await firstEnds(target);
			await target.runs(TURNS);
			const gone = once(target.process, 'exit');
			target.process.kill('SIGKILL');
			// Its parent is told, although the tracer of a first thread that had ended lives on.
			await gone;
		}
		t.log(`ended by the end of the copy: ${before} of 12`);
	});
}

testUnless(precopyUnavailable())('precopy: the thread by which it is looked at ends: another one is', async (t) => {
	using tracer = Tracer.start();
	const target = await leaderless(t), thread = livingThread(target.pid);
	t.is(thread, target.number(COUNTING), 'the first that is listed');
	tracer.precopy(target.pid, '', 64 << 20);
	target.word[COUNTING_ENDS] = 1n;
	await until('it has ended', () => !threadsOf(target).includes(thread));
	while (!tracer.precopyGoOn(20).done);
	t.deepEqual(tracer.registers().map(({ tid }) => tid).sort((a, b) => a - b), threadsOf(target));
	tracer.end();
});

const OTHER = 'the thread by which the target\'s own memory was opened ends: it is read on, and its regions are shown';
test(OTHER, async (t) => {
	const target = await leaderless(t), thread = livingThread(target.pid), live = new LiveTarget(target.pid);
	t.teardown(() => live.close());
	t.is(thread, target.number(COUNTING));
	target.word[COUNTING_ENDS] = 1n;
	await until('it has ended', () => !threadsOf(target).includes(thread));
	t.true(live.isThere());
	const at = target.number(MEMORY), room = Buffer.alloc(1);
	t.true((await live.regions())?.some(({ start, end, flags }) => start <= at && at < end && flags.has('rd')));
	t.is(await live.read(room, 0, 1, at), 1);
	t.true(threadsOf(target).includes(target.number(STAYING)));
	target.process.kill('SIGKILL');
	await target.ended();
	t.is(await live.regions(), null);
});
