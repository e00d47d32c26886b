/** What every mechanism must do, whatever it is: one contract over all files of bench/backends/. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { discoverBackends } from '../../../bench/discover.ts';
import { Workload } from '../../../bench/targets/workload.ts';
import { Tracer } from '../../../native/index.ts';
import { isFree } from '../../processes.ts';
import { testUnless } from '../../unless.ts';

const PAGE = 4096;
const childrenOf = (pid: number): string => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();

for (const backend of await discoverBackends()) {
	const maybe = testUnless(backend.unavailable());

	maybe(`${backend.name}: the copy holds the moment while the target goes on, and its end leaves nothing`, async (t) => {
		using tracer = Tracer.start();
		const writer = await Workload.start('writer', ['--pages', '64']);
		try {
			for (let round = 0; round < 20; round++) {
				const taken = backend.take(tracer, writer);
				const { counter } = writer;
				const read = () => Buffer.from(taken.read(writer.regionAddress, writer.regionBytes));
				const first = read();
				writer.awaitCounter(counter + 100);	// the target goes on
				t.true(read().equals(first), 'the copy has changed');
				const counters = Array.from({ length: 64 }, (_, page) => first.readBigUInt64LE(page * PAGE));
				t.true(counters[0]! > 0n && counters.every((value, page) => page === 0 || value <= counters[page - 1]!) && counters[0]! - counters[63]! <= 1n, 'torn');
				t.true(taken.takeNs > 0 && taken.pauseNs > 0);
				t.is(taken.pid > 0, backend.duplicates);
				const ended = taken.end();
				t.true(ended.reapNs >= ended.killNs);
				t.is(childrenOf(writer.pid), '', 'a child is left');
				t.true(isFree(writer.pid));
			}
			const after = writer.counter;
			writer.awaitCounter(after + 100);
		} finally {
			await writer.close();
		}
	});

	maybe(`${backend.name}: a target that is gone gives an error, and the tracer works on`, async (t) => {
		using tracer = Tracer.start();
		const child = spawn('true');
		await once(child, 'exit');
		t.throws(() => backend.take(tracer, { pid: child.pid! }), { message: backend.cooperative ? /does not cooperate/ : /there is no process/ });
		const resident = await Workload.start('resident', ['--rss', '4M']);
		const taken = backend.take(tracer, resident);
		t.is(taken.read(resident.regionAddress, PAGE).length, PAGE);
		taken.end();
		await resident.close();
	});
}
