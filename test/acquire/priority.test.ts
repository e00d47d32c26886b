import test from 'ava';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpusLeft, niceness, yieldToOthers } from '../../acquire/priority.ts';
import { parseCpuList } from '../../common/cpu-list.ts';
import { NODE } from '../processes.ts';

test('CPUs: lists as the kernel writes them, and what is left of ours', (t) => {
	t.deepEqual(parseCpuList('0-2,5\n'), [0, 1, 2, 5]);
	t.deepEqual(parseCpuList(''), []);
	t.deepEqual(cpusLeft([0, 1, 2], [1]), [0, 2]);
	t.deepEqual(cpusLeft([0, 1], [0, 1, 2]), [0, 1]);
});

test('the lowest priority, unless the user says how low', (t) => {
	t.deepEqual([undefined, '', '20', '-5', 'x', '1e1'].map(niceness), Array(6).fill(19));
	t.deepEqual(['0', '7', '19'].map(niceness), [0, 7, 19]);
});

/** In a process of its own: it cannot be taken back. */
function niceAfterwards(setting?: string): number[] {
	const script =
		`const { yieldToOthers } = await import(${JSON.stringify(new URL('../../acquire/priority.ts', import.meta.url).href)});
		const { readdirSync, readFileSync } = await import('node:fs');
		yieldToOthers(process.pid);
		console.log(JSON.stringify(readdirSync('/proc/self/task').map((tid) => Number(readFileSync('/proc/self/task/' + tid + '/stat', 'utf8').replace(/^.*\\) /s, '').split(' ')[16]))));`;
	const { stdout, stderr } = spawnSync(
		NODE[0], [...NODE.slice(1), '--input-type=module', '-e', script],
		{ encoding: 'utf8', env: { ...process.env, PROCSNAP_NICE: setting } }
	);
	if (stdout === '') throw new Error(stderr);
	return JSON.parse(stdout) as number[];
}

test('all threads of a collector give way', (t) => {
	const lowest = niceAfterwards();
	t.true(lowest.length > 1);
	t.deepEqual([...new Set(lowest)], [19]);
	t.deepEqual([...new Set(niceAfterwards('7'))], [7]);
});

test('a target that has ended since it was duplicated: no reason to throw its evidence away', async (t) => {
	const child = spawn('true');
	const { pid } = child;
	await once(child, 'exit');	// and it was reaped
	t.notThrows(() => yieldToOthers(pid as number));
});
