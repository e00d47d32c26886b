/** 2,000 duplicates of one target, and nothing has grown. */
import test from 'ava';
import { readdirSync, readFileSync } from 'node:fs';
import { Tracer } from '../../native/index.ts';
import { children, sleep, start, status } from './help.ts';

const kib = (pid: number, key: string): number => Number(status(pid, key).split(' ')[0]);
const files = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

test('memory, files, threads and processes after 2,000 duplicates', async (t) => {
	const tracer = Tracer.start(), target = await start(t, 'states', 'threaded');
	t.teardown(() => tracer.close());
	const text = BigInt(`0x${readFileSync(`/proc/${target.pid}/maps`, 'utf8').split('-')[0] ?? ''}`);
	const round = async (count: number): Promise<void> => {
		for (let i = 0; i < count; i++) {
			const { pid: duplicate } = tracer.inject(target.pid);
			if (i % 20 === 0) tracer.read('proc-mem', duplicate, text, 4096);
			tracer.end();
			if (i % 100 === 0) await sleep(0);
		}
	};
	const look = (): Record<string, number> => ({
		tracerRss: kib(tracer.pid, 'VmRSS'), targetRss: kib(target.pid, 'VmRSS'), tracerFiles: files(tracer.pid), targetFiles: files(target.pid),
		tracerThreads: kib(tracer.pid, 'Threads'), targetThreads: kib(target.pid, 'Threads'), targetMapped: kib(target.pid, 'VmSize'),
	});
	await round(100);
	const before = look();
	await round(2000);
	const after = look();
	for (const key of Object.keys(before)) {
		const slack = key.endsWith('Rss') ? 256 : 0;
		t.true((after[key] ?? 0) - (before[key] ?? 0) <= slack, `${key}: ${before[key]} before, ${after[key]} after`);
	}
	t.deepEqual(children(target.pid), []);
	t.deepEqual(children(tracer.pid), []);
	await target.runs(1);
});

test('tracers leave nothing when they are closed, in whatever state', async (t) => {
	const target = await start(t, 'states', 'idle'), before = readdirSync('/proc/self/fd').length;
	for (let i = 0; i < 20; i++) {
		const tracer = Tracer.start();
		if (i % 4 === 1) tracer.inject(target.pid);
		if (i % 4 === 2) tracer.hold(target.pid);
		if (i % 4 === 3) tracer.stopCopy(target.pid);
		tracer.close();
		t.is(status(tracer.pid, 'State'), '');
	}
	t.deepEqual(children(target.pid), []);
	t.true(readdirSync('/proc/self/fd').length <= before);
	await target.runs(1);
});
