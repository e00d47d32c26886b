/** The workloads are what they say: sizes, and the invariants that experiments rely on. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { allowedCpus } from '../bench/environments/isolation.ts';
import { memoryOf, programPath, programSize, readRegions } from '../bench/targets/program.ts';
import { startShell } from '../bench/targets/shell.ts';
import { countersOf } from '../common/proc/process.ts';
import { Workload } from '../bench/targets/workload.ts';
import { readPaper } from '../bench/store/paper.ts';
import type { Lab } from '../bench/types.ts';
import { commandLine, statusField } from './processes.ts';
import { testUnless } from './unless.ts';

const ordinary = { targetCpu: allowedCpus()[0], targetPriority: 0 } as Lab;
const near = (value: number, wanted: number, share: number): boolean => Math.abs(value - wanted) <= wanted * share;

test.serial('the stand-in has the segment sizes of the paper\'s bash, within 5 %', async (t) => {
	process.env.PROCSNAP_SHELL = 'standin';
	t.teardown(() => { delete process.env.PROCSNAP_SHELL; });
	const shell = await startShell(ordinary);
	t.teardown(shell.close);
	const { text, data, bss } = programSize(shell.pid);
	const { table4 } = readPaper();
	t.true(
		near(text, table4.textBytes, 0.05) && near(data, table4.dataBytes, 0.05) && near(bss, table4.bssBytes, 0.05),
		`${text} ${data} ${bss}`
	);
});

test.serial('the shell is a real bash, interactive, on a terminal of its own', async (t) => {
	const shell = await startShell(ordinary);
	t.is(commandLine(shell.pid), 'bash --norc -i');
	t.regex(
		readFileSync(`/proc/${shell.pid}/stat`, 'utf8').split(') ')[1] ?? '', /^S(?: \d+){3} [1-9]\d* /,
		'it sleeps, and has a controlling terminal'
	);
	await shell.close();
	t.is(statusField(shell.pid, 'State').slice(0, 1) || 'Z', 'Z');
});

test('dirty writes to every page: what a fork has left write-protected is copied or taken back, once', async (t) => {
	const workload = await Workload.start('resident', ['--rss', '8M']);
	t.teardown(() => workload.close());
	const pages = workload.regionBytes / 4096;
	const faults = (action: () => void): number => {
		const before = countersOf(workload.pid).minorFaults;
		action();
		return countersOf(workload.pid).minorFaults - before;
	};
	const { pid } = workload.fork();
	t.true(faults(() => workload.dirty()) >= pages);
	t.true(faults(() => workload.dirty()) < pages / 10);
	process.kill(pid, 'SIGKILL');
	workload.reap(pid);
});

/** Why a program that asks for huge pages gets none here, or null. */
function noHugePages(): string | null {
	const path = '/sys/kernel/mm/transparent_hugepage/enabled';
	const setting = existsSync(path) ? readFileSync(path, 'utf8') : 'none';
	return /\[(?:always|madvise)\]/.test(setting)
		? null
		: `this machine gives no transparent huge pages: ${setting.trim()}`;
}

for (const pages of ['4k', 'thp']) {
	for (const mebibytes of [4, 28, 256]) {
		testUnless(pages === 'thp' ? noHugePages() : null)(`resident: ${mebibytes} MiB of ${pages} pages are ` +
			`resident, within 2 % or 128 KiB`, async (t) => {
			const workload = await Workload.start('resident', ['--rss', `${mebibytes}M`, '--pages', pages]);
			const kib = Number(/^Rss:\s+(\d+)/m.exec(readFileSync(`/proc/${workload.pid}/smaps_rollup`, 'utf8'))?.[1]);
			t.true(Math.abs(kib - mebibytes * 1024) <= Math.max(128, mebibytes * 1024 * 0.02), `${kib} KiB`);
			if (pages === '4k') t.is(workload.result(7), 0);
			else t.true(
				workload.result(7) >= (mebibytes - 3) * 2 ** 20 * 0.5, `${workload.result(7)} bytes in huge pages`
			);
			await workload.close();
		});
	}
}

test('ticker: notes each period in order, also behind a pause, and writes to its whole hot set', async (t) => {
	const ticker = await Workload.start('ticker', ['--rss', '8M', '--hot', '1M', '--period-us', '2000']);
	t.teardown(() => ticker.close());
	ticker.awaitCounter(20);
	const from = ticker.counter, { pid } = ticker.fork();
	ticker.awaitCounter(ticker.counter + 3);
	process.kill(pid, 'SIGKILL');
	ticker.reap(pid);
	process.kill(ticker.pid, 'SIGSTOP');
	await new Promise((done) => setTimeout(done, 100));
	process.kill(ticker.pid, 'SIGCONT');
	ticker.awaitCounter(ticker.counter + 3);
	const ticks = ticker.ticks(0);
	for (const [i, { dueNs, beganNs, endedNs }] of ticks.entries()) {
		t.true(dueNs <= beganNs && beganNs < endedNs);
		const apart = (dueNs - (ticks[i - 1]?.dueNs ?? dueNs - 2e6)) / 2e6;
		t.true(apart > 0.5 && Math.abs(apart - Math.round(apart)) < 0.2, `${apart} periods apart`);
	}
	t.true(ticks.some(({ dueNs, endedNs }) => endedNs - dueNs > 50e6), 'the pause is one late period');
	t.true((ticks.at(-1)?.faults ?? 0) - (ticks[from - 1]?.faults ?? 0) >= 256, 'each hot page is copied after a fork');
	t.deepEqual(ticker.ticks(ticker.counter), []);
});

test('updater: a pass after fork() takes one minor fault a page, the next none', async (t) => {
	const updater = await Workload.start('updater', ['--region', '256K', '--period-us', '0']);
	// The kernel counts what else the process touches, too: it may have taken a page of the program away (reclaim).
	const foreign = 3;
	const faults = (): number => updater.update().minorFaults;
	t.true(faults() <= foreign);
	const { pid } = updater.fork();
	const first = faults();
	t.true(first >= 64 && first <= 64 + foreign, `${first} faults for 64 pages`);
	t.true(faults() <= foreign);
	process.kill(pid, 'SIGKILL');
	updater.reap(pid);
	await updater.close();
});

test('bad arguments: a clear error that names what is wrong, exit 2', (t) => {
	for (const [args, message] of [
		[['--rss', 'abc'], /--rss/], [['--pages', '2k'], /--pages/], [['--nonsense'], /nonsense/],
	] as Array<[string[], RegExp]>) {
		const { status, stderr } = spawnSync(
			'workloads/build/resident', args, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe', 'pipe'] }
		);
		t.is(status, 2);
		t.regex(stderr, message);
	}
});

test('a process that has ended is said to have ended, whatever was asked of it', (t) => {
	const { pid } = spawnSync('true');
	for (const ask of [programPath, programSize, memoryOf, readRegions])
		t.throws(() => ask(pid), { message: `process ${pid} has ended` }, ask.name);
});

test.serial('a pause that outlasts the watch is seen: the clock is read once more after the stop', async (t) => {
	const resident = await Workload.start('resident', ['--rss', '4M']);
	for (let round = 0; round < 20; round++) {
		const { gapNs } = resident.longestGap(() => {
			process.kill(resident.pid, 'SIGSTOP');
			spawn('sh', ['-c', `sleep 0.05; kill -CONT ${resident.pid}`], { stdio: 'ignore' });
		});
		t.true(gapNs >= 0.05e9, `${gapNs} ns of at least 50 ms`);
	}
	await resident.close();
});
