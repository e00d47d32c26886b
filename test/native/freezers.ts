/** Control groups that freeze what is in them: of the v1 hierarchy, and of v2. */
import type { ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { until } from './help.ts';

export interface Freezer {
	freeze: () => Promise<void>;
	thaw: () => void;
	/** Freeze and thaw it all the time, until that is called which is returned. */
	storm: () => () => Promise<void>;
	add: (pid: number) => void;
}

/** Sometimes for longer than anybody who is stopped waits; five minutes at most, should nobody end it. */
const STORM = `const [path, ...states] = process.argv.slice(1), nap = new Int32Array(new SharedArrayBuffer(4));
	for (const end = Date.now() + 300_000; Date.now() < end;)
		for (const [i, state] of states.entries()) {
			require('node:fs').writeFileSync(path, state);
			Atomics.wait(nap, 0, 0, Math.random() * (i === 1 ? 4 : Math.random() < 0.1 ? 250 : 4));
		}`;

export const FREEZERS = ['v1', 'v2'] as const;

/** Where that hierarchy is mounted. */
function rootOf(version: (typeof FREEZERS)[number]): string | undefined {
	const mounts = readFileSync('/proc/mounts', 'utf8').trim().split('\n').map((line) => line.split(' '));
	return mounts.find(([, , type, options]) =>
		version === 'v2' ? type === 'cgroup2' : type === 'cgroup' && options?.split(',').includes('freezer'))?.[1];
}

/** A group that goes with the test; null, and it is said why, where there can be none. */
export function freezer(t: ExecutionContext, version: (typeof FREEZERS)[number]): Freezer | null {
	const root = rootOf(version), group = `${root ?? ''}/procsnap-test-${process.pid}-${Date.now()}`;
	const [file, frozen, thawed] = version === 'v2'
		? ['cgroup.freeze', '1', '0']
		: ['freezer.state', 'FROZEN', 'THAWED'];
	const set = (value: string): void => writeFileSync(`${group}/${file}`, value);
	try {
		if (root === undefined) throw new Error(`there is no hierarchy of ${version} freezers`);
		mkdirSync(group);
	} catch (error) {
		t.log(`not here: ${String(error)}`);
		return null;
	}
	const isFrozen = (): boolean =>
		version === 'v2' ? readFileSync(`${group}/cgroup.events`, 'utf8').includes('frozen 1')
		: readFileSync(`${group}/${file}`, 'utf8').trim() === 'FROZEN';
	const pids: number[] = [];
	t.teardown(async () => {
		set(thawed);
		for (const pid of pids)
			try {
				process.kill(pid, 'SIGKILL');
			} catch {
				// it has ended
			}
		await until('the group is empty', () => readFileSync(`${group}/cgroup.procs`, 'utf8') === '');
		rmdirSync(group);
	});
	return {
		freeze: async () => {
			set(frozen);
			await until('it is frozen', isFrozen);
		},
		thaw: () => set(thawed),
		storm: () => {
			const child = spawn(
				process.execPath, ['-e', STORM, `${group}/${file}`, frozen, thawed], { stdio: 'ignore' }
			);
			t.teardown(() => child.kill('SIGKILL'));
			return async () => {
				child.kill('SIGKILL');
				if (child.signalCode === null && child.exitCode === null) await once(child, 'exit');
				set(thawed);
			};
		},
		add: (pid) => {
			pids.push(pid);
			writeFileSync(`${group}/cgroup.procs`, String(pid));
		},
	};
}
