/** A copy is one of all threads at one moment, with the registers of all; all go on, and none notices. */
import test from 'ava';
import { readdirSync } from 'node:fs';
import { Tracer } from '../../native/index.ts';
import { PATIENT, sleep, start, state, type Target } from './help.ts';
import {
	aheadOfOwn, assertGoesOn, assertOneMoment, assertRegisters, counts, memoryOf, startThreads, tidsFound, tidsOf,
	type Memory,
} from './turns.ts';

// Threads that end have to get their CPU first, and the machine may be busy.
const tracer = Tracer.start(PATIENT);
test.after.always(() => tracer.close());

/** Of targets/registers.c: it looks at all of its registers, all the time. */
const [ROUNDS, CHANGED, ENOUGH, TIDS] = [1, 2, 3, 16];
const [R14, R13, R12] = [1, 2, 3];	// of struct user_regs_struct
// of the XSAVE area, the upper halves where CPUID 0Dh has them on every processor with AVX
const XMM0 = 160, YMM0 = 576;

const words = (bytes: Uint8Array, offset: number, count: number): bigint[] =>
	Array.from(new BigUint64Array(bytes.slice(offset, offset + 8 * count).buffer));

function wrongRegisters(target: Target, count: number): string[] {
	const all = tracer.registers();
	if (all.length !== count) return [`${all.length} threads' registers of ${count}`];
	return Array.from({ length: count }, (_, n) => n).flatMap((n) => {
		const thread = all.find(({ tid }) => tid === target.number(TIDS + n));
		if (!thread) return [`thread ${n} is missing`];
		const general = words(thread.general, 0, 27), value = BigInt(0x5000 + n);
		const seen = [
			general[R12], general[R13], general[R14], ...words(thread.xstate, XMM0, 2),
			...words(thread.xstate, YMM0, 2),
		];
		return seen.every((word) => word === value)
			? []
			: [`thread ${n}: ${seen.map((word) => word?.toString(16)).join(' ')}`];
	});
}

for (const [count, rounds] of [[1, 300], [4, 40], [16, 10]] as const)
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

/** Of targets/threads.c: threads that come and go. */
const GONE = 9;

const copied: Memory = (address, length) => new DataView(tracer.data.slice(0, tracer.readCopy(address, length)).buffer);

for (const threads of [1, 4, 16]) {
	test(`${threads} threads: duplicates`, async (t) => {
		const target = await startThreads(t, tracer, threads), tids = tidsOf(tracer, target, threads);
		for (let round = 0; round < 30; round++) {
			const duplicate = tracer.inject(target.pid), copy = counts(target, memoryOf(tracer, duplicate.pid));
			t.is(duplicate.threads, threads);
			assertOneMoment(t, copy);
			const found = assertRegisters(t, tracer, target, threads, copy);
			t.deepEqual(tidsFound(found), tids);
			t.deepEqual(counts(target, memoryOf(tracer, duplicate.pid)), copy, 'a duplicate stands still');
			t.deepEqual(readdirSync(`/proc/${duplicate.pid}/task`), [String(duplicate.pid)]);
			tracer.end();
			await sleep(round % 3);
		}
		await assertGoesOn(t, tracer, target, threads);
	});

	test(`${threads} threads: stop and copy, and hold`, async (t) => {
		const target = await startThreads(t, tracer, threads);
		for (let round = 0; round < 8; round++) {
			const { threads: stopped } = tracer.stopCopy(target.pid), copy = counts(target, copied);
			t.is(stopped, threads);
			assertOneMoment(t, copy);
			t.is(assertRegisters(t, tracer, target, threads, copy).size, threads);
			tracer.end();
		}
		await assertGoesOn(t, tracer, target, threads);
		for (let round = 0; round < 8; round++) {
			t.is(tracer.hold(target.pid), threads);
			const held = counts(target, memoryOf(tracer, target.pid));
			assertOneMoment(t, held);
			t.is(assertRegisters(t, tracer, target, threads, held).size, threads);
			await sleep(2);
			t.deepEqual(counts(target, memoryOf(tracer, target.pid)), held, 'held, and no thread moved');
			tracer.letGo();
		}
		await assertGoesOn(t, tracer, target, threads);
	});
}

test('threads that come and go all the time', async (t) => {
	const STEADY = 2;
	const target = await startThreads(t, tracer, STEADY, 'churn');
	const begun = target.number(GONE);
	let most = 0, brief = 0;
	for (let round = 0; round < 100; round++) {
		const duplicate = tracer.inject(target.pid), copy = counts(target, memoryOf(tracer, duplicate.pid));
		assertOneMoment(t, copy);
		const found = assertRegisters(t, tracer, target, duplicate.threads, copy);
		for (let i = 0; i < STEADY; i++) t.true(found.has(i), `thread ${i} is among those read`);
		most = Math.max(most, duplicate.threads);
		if (found.size > STEADY) brief++;
		tracer.end();
		// One that was just being made shows where all are held: it would still run.
		const threads = tracer.hold(target.pid), tids = tracer.registers().map(({ tid }) => tid);
		t.is(tids.length, threads);
		// One that is past its last instruction cannot be held any more, and is listed until it is gone.
		const extra = () => readdirSync(`/proc/${target.pid}/task`).map(Number).filter((tid) => !tids.includes(tid));
		for (let tries = 0; tries < 200 && extra().length > 0; tries++) await sleep(5);
		t.deepEqual(extra(), []);
		t.deepEqual(tids.filter((tid) => state(tid) !== 't'), [], 'all threads that there are stand still');
		tracer.letGo();
		if (round % 4 === 0) await sleep(1);
	}
	await assertGoesOn(t, tracer, target, STEADY);
	const gone = target.number(GONE) - begun;
	t.log(`${gone} threads came and went, up to ${most} at once; ${brief} of 100 duplicates met some in their loop`);
	t.true(gone > 60 && most > 4 && brief > 3, 'there was churn');
	await target.atLeast(GONE, target.number(GONE) + 20);
});

test('the negative control: a running target, read in pieces, is no moment that there was', async (t) => {
	const target = await startThreads(t, tracer, 4), live = memoryOf(tracer, target.pid);
	let torn = 0;
	for (let round = 0; round < 200 && torn < 5; round++) {
		const { total } = counts(target, live);
		await sleep(1);
		const { own } = counts(target, live), ahead = aheadOfOwn({ total, own });
		if (ahead < 0n || ahead > BigInt(own.length)) torn++;
	}
	t.is(torn, 5);
});
