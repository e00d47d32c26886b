import test from 'ava';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpusLeft, parseCpuList, yieldToOthers } from '../../acquire/priority.ts';

test('CPUs: lists as the kernel writes them, and what is left of ours', (t) => {
	t.deepEqual(parseCpuList('0-2,5\n'), [0, 1, 2, 5]);
	t.deepEqual(parseCpuList(''), []);
	t.deepEqual(cpusLeft([0, 1, 2], [1]), [0, 2]);
	t.deepEqual(cpusLeft([0, 1], [0, 1, 2]), [0, 1]);
});

test('a target that has ended since it was duplicated: no reason to throw its evidence away', async (t) => {
	const child = spawn('true');
	const { pid } = child;
	await once(child, 'exit');	// and it was reaped
	t.notThrows(() => yieldToOthers(pid as number));
});
