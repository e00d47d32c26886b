/**
 * All mechanisms through the addon and the experiments: create_proc_snap() is in the guest alone, and precopy is there
 * on another kernel than the host's.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { NODE_FLAGS, warmNode } from '../../bench/environments/guest/node.ts';
import { noGuest, testUnless } from '../unless.ts';

const FILES = [
	'test/native/syscall.test.ts', 'test/native/syscall-death.test.ts', 'test/mechanisms/contract.test.ts',
	'test/bench/contract/experiments.test.ts', 'test/acquire/regions.test.ts',
];
/** Beside others that want the CPUs as much it has taken 20 minutes. */
const LIMIT_MS = 2_400_000;

testUnless(noGuest())('on two CPUs every test of each mechanism passes, and none is skipped', async (t) => {
	t.timeout(LIMIT_MS);
	// The guest sees this folder, and cannot write to it.
	for (const targets of ['test/native/targets', 'test/acquire/targets']) execFileSync('make', ['-s', '-C', targets]);
	mkdirSync('node_modules/.cache/ava', { recursive: true });
	const ava = [
		'node_modules/ava/entrypoints/cli.mjs', '--tap', `--timeout=${LIMIT_MS}ms`,
		`--node-arguments=${NODE_FLAGS.join(' ')}`, ...FILES,
	];
	warmNode([...ava, '--match=none: loaded, not run']);
	warmNode(['--expose-gc', 'test/native/mortal.ts']);
	const env = {
		...process.env, ...warmNode(['--input-type=module', '-e', 'await import("./bench/report/chart.ts")']),
	};
	const child = spawn(
		process.execPath,
		[
			'bench/cli.ts', 'guest', '--cpus', '2', '--memory', '2048', '--timeout', String(LIMIT_MS / 1000), '--',
			process.execPath, ...NODE_FLAGS, ...ava,
		],
		{ env, stdio: ['ignore', 'pipe', 'pipe'] }
	);
	let said = '';
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding('utf8').on('data', (text: string) => { said += text; });
	const status = await new Promise<number | null>((resolve) => { child.once('close', resolve); });
	const lines = said.split('\n');
	const passed = lines.filter((line) => /^ok \d+/.test(line) && !line.includes('# SKIP'));
	t.log(`${passed.length} passed in the guest`);
	t.is(status, 0, said);
	// Devices are emulated there: what measures them is left out.
	const allowed = /it measures devices/;
	t.deepEqual(
		lines.filter((line) => line.startsWith('not ok') || (line.includes('# SKIP') && !allowed.test(line))), []
	);
	t.true(passed.some((line) => line.includes('syscall: the copy holds the moment')), said);
	t.true(passed.some((line) => line.includes('precopy: the copy holds the moment')), said);
	t.true(passed.some((line) => line.includes('syscall: how each region was captured')), said);
});
