/** All threads are stopped for a copy, all their registers are read, all go on, and none notices. */
import test from 'ava';
import { readdirSync } from 'node:fs';
import { Tracer } from '../../native/index.ts';
import { sleep, start, state, type Target } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const [ROUNDS, CHANGED, ENOUGH, TIDS] = [1, 2, 3, 16];
const [R14, R13, R12] = [1, 2, 3];	// of struct user_regs_struct
const XMM0 = 160, YMM0 = 576;		// of the XSAVE area, the upper halves where CPUID 0Dh has them on every processor with AVX

const words = (bytes: Uint8Array, offset: number, count: number): bigint[] => Array.from(new BigUint64Array(bytes.slice(offset, offset + 8 * count).buffer));

function wrongRegisters(target: Target, count: number): string[] {
	const all = tracer.registers();
	if (all.length !== count) return [`${all.length} threads' registers of ${count}`];
	return Array.from({ length: count }, (_, n) => n).flatMap((n) => {
		const thread = all.find(({ tid }) => tid === target.number(TIDS + n));
		if (!thread) return [`thread ${n} is missing`];
		const general = words(thread.general, 0, 27), value = BigInt(0x5000 + n);
		const seen = [general[R12], general[R13], general[R14], ...words(thread.xstate, XMM0, 2), ...words(thread.xstate, YMM0, 2)];
		return seen.every((word) => word === value) ? [] : [`thread ${n}: ${seen.map((word) => word?.toString(16)).join(' ')}`];
	});
}

for (const [count, rounds] of [[1, 500], [4, 60], [16, 15]] as const)
	test(`${count} threads keep all of their registers through ${rounds} injections, and they are read`, async (t) => {
		const target = await start(t, 'registers', count);
		if (target.process.exitCode !== null) {
			t.log(await target.line());
			t.pass();
			return;
		}
		for (let n = 0; n < count; n++) await target.atLeast(TIDS + n, 1);
		await target.runs(ROUNDS);
		await sleep(20);	// all are in their loops
		for (let i = 0; i < rounds; i++) {
			t.is(tracer.inject(target.pid).threads, count);
			const wrong = i % 10 === 0 ? wrongRegisters(target, count) : [];
			tracer.end();
			t.deepEqual(wrong, []);
			if (i % 10 === 0) await target.runs(ROUNDS);
		}
		t.is(tracer.hold(target.pid), count);
		t.deepEqual(wrongRegisters(target, count), []);
		const held = target.number(ROUNDS);
		await sleep(5);
		t.is(target.number(ROUNDS), held, 'all of them stand still');
		tracer.letGo();
		t.is(tracer.stopCopy(target.pid).threads, count);
		t.deepEqual(wrongRegisters(target, count), []);
		tracer.end();
		target.word[ENOUGH] = 1n;
		t.is(await target.line(), 'done');
		t.is(target.number(CHANGED), 0, 'threads with a changed register');
	});

test('threads that come and go all the time', async (t) => {
	const target = await start(t, 'churn', 'threads');
	const counts = new Set<number>();
	for (let i = 0; i < 100; i++) {
		const { threads } = tracer.inject(target.pid);
		counts.add(threads);
		t.is(tracer.registers().length, threads);
		tracer.end();
		if (i % 5 === 0) {
			const held = tracer.hold(target.pid);
			t.is(readdirSync(`/proc/${target.pid}/task`).length, held, 'every thread is held');
			t.true(readdirSync(`/proc/${target.pid}/task`).every((tid) => state(Number(tid)) === 't'));
			tracer.letGo();
			await target.runs(1);
		}
	}
	t.log(`threads: ${[...counts].sort((a, b) => a - b).join(', ')}`);
	t.true(counts.size > 1);
	await target.runs(1);
});
