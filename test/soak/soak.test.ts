/** A short soak, by its command line; and its self-test, in which each detector is made to fail. */
import test from 'ava';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import { NODE } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { startProgram } from './child.ts';
import { Page } from './page.ts';
import { makeTargets } from './soak.ts';
import { emptyTally, reasonOf } from './tally.ts';
import { PROGRAM, SABOTAGE } from './target.ts';
import { isGood, toMarkdown, type Verdict } from './verdict.ts';

const CLI = fileURLToPath(new URL('cli.ts', import.meta.url));
const rootTest = testUnless(process.getuid?.() === 0 ? null : 'control groups and other users\' processes take root');
/** A run ends by itself long before. */
const PATIENCE_MS = 240_000;

interface Run { code: number | null; output: string; pid: number }

async function runSoak(args: readonly string[], interruptAfterMs?: number): Promise<Run> {
	const child = spawn(NODE[0], [...NODE.slice(1), CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
	let output = '';
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding('utf8').on('data', (text: string) => output += text);
	const timers = [setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)];
	if (interruptAfterMs !== undefined) timers.push(setTimeout(() => child.kill('SIGINT'), interruptAfterMs));
	const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
	timers.forEach(clearTimeout);
	return { code, output, pid: child.pid ?? 0 };
}

/** Groups of that soak, in whichever hierarchy. */
const groupsOf = (pid: number): string[] => ['', ...readdirSync('/sys/fs/cgroup')].filter((hierarchy) => {
	try {
		return readdirSync(join('/sys/fs/cgroup', hierarchy)).includes(`procsnap-soak-${pid}`);
	} catch {
		return false;
	}
});

/**
 * Kinds whose calls the kernel restarts by itself, so that the shortest of soaks shows harm only where something is
 * badly wrong.
 */
const STURDY = [
	'busy', 'calls', 'epoll', 'poll', 'sleep', 'signal-storm', 'signal-wait', 'fork-wait', 'stopped', 'memory',
	'mapper', 'threads', 'other-user', 'bash',
];

rootTest('every harm is seen: each kind of target is harmed on purpose', async (t) => {
	t.timeout(PATIENCE_MS + 10_000);
	const { code, output, pid } = await runSoak(['--self-test']);
	t.is(code, 0, output);
	t.notRegex(output, /NOT SEEN/);
	// Not skipped either, but where the machine has no such thing.
	t.true([...output.matchAll(/ seen: \S+ harmed by /g)].length >= 30, output);
	t.deepEqual(groupsOf(pid), []);
});

rootTest('a short soak makes takes by every mechanism, counts them, and harms nobody', async (t) => {
	t.timeout(PATIENCE_MS + 10_000);
	const out = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(out, { recursive: true }));
	const { code, output, pid } = await runSoak([
		'--minutes', '0.2', '--rate', '20', '--takers', '2', '--seed', '7', '--no-faults', '--out', out,
		...STURDY.flatMap((kind) => ['--only', kind]),
	]);
	const verdict = JSON.parse(readFileSync(join(out, 'verdict.json'), 'utf8')) as Verdict;
	t.is(verdict.seed, 7);
	const kinds = Object.entries(verdict.tally.kinds), taken = kinds.reduce((sum, [, kind]) => sum + kind.taken, 0);
	t.deepEqual(kinds.map(([name]) => name).sort(), [...STURDY].sort());
	t.true(taken > STURDY.length, output);
	t.true(kinds.every(([, { turns, unable }]) => turns > 0 || unable !== null), 'every target made turns');
	t.is(taken, Object.values(verdict.tally.mechanisms).reduce((sum, mechanism) => sum + mechanism.taken, 0));
	const here = forEvidence().filter(({ unavailable }) => unavailable() === null).map(({ name }) => name);
	for (const mechanism of ['stop', 'hold', ...here])
		t.true((verdict.tally.mechanisms[mechanism]?.taken ?? 0) > 0, mechanism);
	for (const [name, { tried, taken: got, refused }] of Object.entries(verdict.tally.mechanisms))
		t.is(tried, got + Object.values(refused).reduce((sum, count) => sum + count, 0), name);
	t.deepEqual(
		Object.fromEntries(kinds.flatMap(([name, { harmed, dead }]) =>
			Object.keys({ ...harmed, ...dead }).length === 0 ? [] : [[name, { harmed, dead }]])),
		{}
	);
	t.deepEqual(verdict.leftovers, []);
	t.is(code, 0, output);
	t.regex(readFileSync(join(out, 'verdict.md'), 'utf8'), /^# Soak: no target was harmed/);
	t.deepEqual(groupsOf(pid), []);
});

rootTest('a control makes no takes, starts targets again and again, and sees no harm', async (t) => {
	t.timeout(PATIENCE_MS + 10_000);
	const out = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(out, { recursive: true }));
	const { code, output } = await runSoak([
		'--control', '--minutes', '0.1', '--no-faults', '--out', out, '--only', 'signal-storm', '--only', 'sleep',
	]);
	const { tally } = JSON.parse(readFileSync(join(out, 'verdict.json'), 'utf8')) as Verdict;
	t.is(code, 0, output);
	t.deepEqual(tally.mechanisms, {});
	t.true(Object.values(tally.kinds).every(({ turns, tried }) => turns > 0 && tried === 0));
	t.regex(
		readFileSync(join(out, 'verdict.md'), 'utf8'), /^# Control of the soak, without takes: no target was harmed/
	);
});

rootTest('Ctrl-C: the verdict is given, and nothing stays', async (t) => {
	t.timeout(PATIENCE_MS + 10_000);
	const out = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(out, { recursive: true }));
	const { code, output, pid } = await runSoak(
		['--only', 'sleep', '--only', 'busy', '--rate', '10', '--takers', '1', '--out', out], 5000
	);
	const verdict = JSON.parse(readFileSync(join(out, 'verdict.json'), 'utf8')) as Verdict;
	t.is(verdict.ended, 'it was interrupted', output);
	t.is(code, isGood(verdict) ? 130 : 1);
	t.deepEqual(groupsOf(pid), []);
	t.deepEqual(readdirSync('/proc').filter((name) => {
		try {
			return /^\d+$/.test(name) &&
				readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(`procsnap-soak-${pid}`);
		} catch {
			return false;
		}
	}), []);
});

test('wrong usage is one line, and nothing is begun', async (t) => {
	for (const [args, says] of [
		[['--minutes', '0'], /--minutes 0: it is a number over 0/], [['--only', 'nobody'], /unknown kind "nobody"/],
		[['--pace', '3'], /unknown option --pace/],
	] as const) {
		const { code, output } = await runSoak(args);
		t.is(code, 2);
		t.regex(output, says);
		t.is(output.trim().split('\n').length, 1);
	}
	const { code, output } = await runSoak(['--help']);
	t.is(code, 0);
	t.regex(output, /Exit code: 0 nothing was harmed/);
});

test('a verdict fails by one harm, one death, one leftover, one wrong thing', (t) => {
	const verdict = (): Verdict => ({
		seed: 1, control: false, startedAt: '2026-01-01', seconds: 1, kernel: '6.12', cpus: 2,
		ended: 'its time was over', notHere: [], tally: emptyTally(['one']), leftovers: [],
	});
	t.true(isGood(verdict()));
	const worse: Array<(it: Verdict) => void> = [
		({ tally }) => tally.kinds['one']!.harmed['stuck'] = 1, ({ tally }) => tally.kinds['one']!.dead['SIGSEGV'] = 1,
		({ leftovers }) => leftovers.push('a tracer'), ({ tally }) => tally.wrong['evidence does not verify'] = 1,
	];
	for (const harm of worse) {
		const it = verdict();
		harm(it);
		t.false(isGood(it));
		t.regex(toMarkdown(it), /^# Soak: FAILED/);
	}
	// Refused, excused and noted is not harmed.
	const refused = verdict();
	Object.assign(refused.tally.kinds['one']!, { tried: 2, refused: { EBUSY: 2 }, unclean: { EBUSY: 1 }, excused: 5 });
	t.true(isGood(refused));
	// What docs/inject.md says may happen is no harm as long as the takes have counted it.
	const documented = verdict(), one = documented.tally.kinds['one']!;
	Object.assign(one, { documented: { 'cut short': 3 }, counted: 2, countsLost: 1 });
	t.true(isGood(documented));
	one.documented['cut short'] = 4;
	t.false(isGood(documented));
	t.regex(toMarkdown(documented), /one: 1 times what docs.inject.md says may happen, but no take counted it/);
});

test('a signal that is lost while strace is there is set apart, and does not make a verdict fail', (t) => {
	const verdict: Verdict = {
		seed: 1, control: false, startedAt: '2026-01-01', seconds: 1, kernel: '6.12', cpus: 2,
		ended: 'its time was over', notHere: [], tally: emptyTally(['one']), leftovers: [],
	};
	t.notRegex(toMarkdown(verdict), /strace/);
	verdict.tally.kinds['one']!.lostWithRival = 3;
	t.true(isGood(verdict));
	t.regex(toMarkdown(verdict), /## Signals that were lost while strace was attached[^\n]*\n\n- one: 3 times/);
	verdict.tally.kinds['one']!.harmed['a signal was lost'] = 1;
	t.false(isGood(verdict));
});

test('a signal that is lost is a harm, but where a rival was there since the signal before', async (t) => {
	makeTargets();
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-')), page = new Page(join(folder, 'page'), true);
	const { process: target } = startProgram(PROGRAM, ['signal-storm', page.path]);
	t.teardown(() => {
		process.kill(-target.pid!, 'SIGKILL');
		page.close();
		rmSync(folder, { recursive: true });
	});
	const until = async (holds: () => boolean): Promise<void> => {
		for (const end = Date.now() + 60_000; !holds() && Date.now() < end;) await sleep(5);
		t.true(holds());
	};
	const steal = (): Promise<unknown> => startProgram(SABOTAGE, ['steal', String(page.pid())]).ended;
	await until(() => page.pid() !== 0);
	await steal();
	await until(() => page.read().harms === 1);
	t.deepEqual([...page.read().texts], [['a signal was lost', 1]]);
	t.is(page.read().lost, 0);
	page.setRival(1);
	await steal();
	await until(() => page.read().lost === 1);
	// It comes and goes between two signals.
	target.kill('SIGSTOP');
	page.setRival(2);
	target.kill('SIGCONT');
	await sleep(300);
	await steal();
	await until(() => page.read().harms === 2);
	t.is(page.read().lost, 1);
});

test('the same reason has the same words, whichever process it is about', (t) => {
	t.is(reasonOf('process 123 is traced by process 45'), reasonOf('process 9 is traced by process 100001'));
	t.is(reasonOf('nothing at 0x7f12ab\nsecond line'), 'nothing at N');
});
