/**
 * A target of several threads that is killed while one of them makes the copy: it is gone at once, and the take says
 * so.
 */
import test from 'ava';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ProcsnapError } from '../../native/index.ts';
import { start, tracerFor } from './help.ts';

/** At least so many; and on, until one was killed amid the copy: beside a load the killer comes when it gets a CPU. */
const ROUNDS = 20;
const MOST_ROUNDS = 400;

/** Kills a process so many microseconds after it is told, while this thread waits for the tracer. */
const KILLER = `const { workerData: { words } } = require('node:worker_threads');
	for (let pid; (Atomics.wait(words, 0, 0), pid = words[0]) > 0; Atomics.store(words, 0, 0)) {
		for (const until = performance.now() + words[1] / 1000; performance.now() < until;);
		process.kill(pid, 'SIGKILL');
	}`;

test('a large target is killed while it is copied', async (t) => {
	const words = new Int32Array(new SharedArrayBuffer(8)), tracer = tracerFor(t);
	const killer = new Worker(KILLER, { eval: true, workerData: { words } });
	t.teardown(() => killer.terminate());
	const tell = (pid: number): void => {
		Atomics.store(words, 0, pid);
		Atomics.notify(words, 0);
	};
	let usualNs = 0, amid = 0;
	let rounds = 0;
	for (; rounds < ROUNDS || (amid === 0 && rounds < MOST_ROUNDS); rounds++) {
		const target = await start(t, 'states', 'large');
		if (rounds === 0) {
			usualNs = tracer.inject(target.pid).takeNs;
			tracer.end();
		}
		words[1] = Math.random() * 1.5 * usualNs / 1000;
		tell(target.pid);
		try {
			tracer.inject(target.pid);
			tracer.end();
		} catch (error) {
			if (!(error instanceof ProcsnapError)) throw error;
			// ETIMEDOUT: its death was not seen, and its parent could not wait for it all the while.
			t.is(error.code, 'ESRCH', error.message);
			if (error.message.includes('while it was being duplicated')) amid++;
		}
		await target.ended();
	}
	tell(-1);
	await once(killer, 'exit');
	t.true(amid > 0, 'killed in time');
	t.log(`${amid} of ${rounds} were killed amid the copy`);
});
