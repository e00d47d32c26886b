/** exitNow(): the command lines' last act. */
import test from 'ava';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NODE } from '../processes.ts';

const MACHINE = new URL('../../native/machine.ts', import.meta.url).href;
const BYTES = 4 << 20;

interface Ended { code: number | null; signal: NodeJS.Signals | null; bytes: number }

/** What a program wrote to a pipe whose reader is slower than it. */
async function ended(script: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
	const child = spawn(NODE[0], [...NODE.slice(1), '--input-type=module', '-e', script], {
		stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env },
	});
	let bytes = 0;
	const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
		child.on('close', (...how) => resolve(how));
		void (async () => {
			for await (const piece of child.stdout) {
				bytes += (piece as Buffer).length;
				await sleep(1);
			}
		})();
	});
	return { code, signal, bytes };
}

test('what was written before it arrives, however slow the reader', async (t) => {
	const script = `import { exitNow } from ${JSON.stringify(MACHINE)};
		process.stdout.write('x'.repeat(${BYTES}));
		await exitNow(7);`;
	t.deepEqual(await ended(script), { code: 7, signal: null, bytes: BYTES });
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
	test(`${signal} ends the wait for a reader that never reads; the exit code stays`, async (t) => {
		// As command lines do, it listens: else the signal would end it by itself.
		const script = `import { exitNow } from ${JSON.stringify(MACHINE)};
			process.on('${signal}', () => {});
			process.stdout.write('x'.repeat(${BYTES}));
			setTimeout(() => process.stderr.write('waits'), 100);
			await exitNow(7);`;
		const child = spawn(NODE[0], [...NODE.slice(1), '--input-type=module', '-e', script], {
			stdio: ['ignore', 'pipe', 'pipe'],
		});
		t.teardown(() => child.kill('SIGKILL'));
		await once(child.stderr, 'data');
		t.is(child.exitCode, null, 'it waits');
		child.kill(signal);
		const [ended] = await Promise.race([once(child, 'exit'), sleep(60_000, ['not ended'], { ref: false })]);
		t.is(ended, 7);
	});

test('the echo of a signal does not cut off what is being passed on', async (t) => {
	const script = `import { exitNow } from ${JSON.stringify(MACHINE)};
		process.stdout.write('x'.repeat(${BYTES}));
		setTimeout(() => process.kill(process.pid, 'SIGINT'), 1);
		await exitNow(7, 60_000);`;
	t.deepEqual(await ended(script), { code: 7, signal: null, bytes: BYTES });
});

test('it waits neither for timers nor for a thread that computes', async (t) => {
	const script = `import { Worker } from 'node:worker_threads';
		import { exitNow } from ${JSON.stringify(MACHINE)};
		const thread = new Worker('import("node:worker_threads").then(({ parentPort }) => { parentPort.postMessage(0); for (;;); })', { eval: true });
		setInterval(() => {}, 1000);
		thread.on('message', () => void exitNow(3));`;
	t.like(await ended(script), { code: 3, signal: null });
});

test('what Node has compiled is kept for the next time', async (t) => {
	const cache = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(cache, { recursive: true }));
	const script = `import { exitNow } from ${JSON.stringify(MACHINE)};
		await exitNow(0);`;
	t.like(await ended(script, { NODE_COMPILE_CACHE: cache }), { code: 0 });
	t.true(readdirSync(cache, { recursive: true }).length > 3);
});
