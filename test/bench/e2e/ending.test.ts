/** Ctrl-C, a killed requester, a killed target: nothing is left behind, and what was measured is kept. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Block } from '../../../bench/types.ts';
import { commandLine, eventually, leftOver, marked } from '../../processes.ts';
import { aFolder, run, start } from './procsnap.ts';

const LONG = [
	'bench', '--environment', 'host', '--profile', 'paper', '--experiment', 'clone-kill', '--backend', 'inject',
	'--seed', '3', '--out',
];

/** Those that its first thread started; none of a process that has ended. */
function childrenOf(pid: number): number[] {
	const path = `/proc/${pid}/task/${pid}/children`;
	return existsSync(path) ? readFileSync(path, 'utf8').split(' ').filter((text) => text !== '').map(Number) : [];
}

/** Blocks in the file so far; a line that is being written does not count. */
function blocksIn(dir: string): number {
	const path = join(dir, 'samples.jsonl');
	return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 2 : 0;
}

for (const [signal, wait] of [['SIGINT', 0], ['SIGINT', 37], ['SIGTERM', 90]] as const) {
	test(`${signal} ${wait} ms into a block: exit 130, nothing left, the data kept and reported`, async (t) => {
		const dir = join(aFolder(t), 'run');
		const { child, ended, output, mark } = start([...LONG, dir]);
		await eventually(() => (blocksIn(dir) >= 2 ? true : undefined), 'two blocks');
		await new Promise((resolve) => { setTimeout(resolve, wait); });
		child.kill(signal);
		t.is(await ended, 130, output());
		t.deepEqual(await leftOver(mark), []);
		t.true(existsSync(join(dir, 'report.html')));
		t.true(blocksIn(dir) >= 2);
		t.is(
			(JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as { status: string }).status, 'interrupted'
		);
		t.is((await run(['report', dir])).code, 0);
	});
}

test('kill -9 of the requester: tracer, duplicates and targets go, and the blocks so far can be reported',
	async (t) => {
	const dir = join(aFolder(t), 'run');
	const { child, ended, mark } = start([...LONG, dir]);
	await eventually(() => (blocksIn(dir) >= 1 ? true : undefined), 'a block');
	t.true(marked(mark).length > 1);
	child.kill('SIGKILL');
	await ended;
	t.deepEqual(await leftOver(mark), []);
	const report = await run(['report', dir]);
	t.is(report.code, 0, report.output);
});

test('a target that is killed in mid-measurement: its block fails with a reason, the others are measured, exit 1',
	async (t) => {
	const dir = join(aFolder(t), 'run');
	const { child, ended, output, mark } = start([
		'bench', '--environment', 'host', '--profile', 'smoke', '--experiment', 'copy-on-write', '--backend', 'inject',
		'--out', dir,
	]);
	// It lives for a block, and runs in real time while this test may have to wait for a CPU: no look at all processes.
	const target = await eventually(
		() => childrenOf(child.pid ?? 0).find((pid) => commandLine(pid).includes('/updater ')), 'an updater'
	);
	process.kill(target, 'SIGKILL');
	const code = await ended;
	t.is(code, 1, output());
	const [, ...lines] = readFileSync(join(dir, 'samples.jsonl'), 'utf8').trim().split('\n');
	const blocks = lines.map((line) => JSON.parse(line) as Block);
	const bad = blocks.filter(({ status }) => status === 'failed');
	const ends = blocks.map(({ variant, status, error }) => `${variant}: ${status} ${error ?? ''}`).join('\n');
	t.true(bad.length >= 1 && blocks.some(({ status }) => status === 'ok'), ends);
	t.regex(`${bad[0]?.error} ${bad[0]?.failures.map(({ message }) => message).join()}`, /process|workload/);
	t.deepEqual(await leftOver(mark), []);
});
