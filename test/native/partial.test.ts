/**
 * Calls that return less than they were asked for if something interrupts them:
 * after stops they return what they return without, with every byte in its
 * place and all argument registers as they were. Where the rest cannot be asked
 * for in registers, that is counted, by call.
 */
import test, { type ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { countsOf } from './calls.ts';
import { program, sleep, start, tracerFor, type Target } from './help.ts';

const kinds = execFileSync(program('partial'), { encoding: 'utf8' }).trim().split('\n');

test('what does not wait returns what it has done, and is not made to go on', (t) => {
	t.is(execFileSync(program('core'), ['rests'], { encoding: 'utf8' }).trim(), 'ok');
});

test('an io_uring_enter() waits again only if it cannot have got what it waited for', (t) => {
	t.regex(execFileSync(program('core'), ['ring'], { encoding: 'utf8' }), /^(?:ok|not here)$/m);
});

test('an io_uring_enter() of which nobody knows what has completed is cut, unless its thread is the only one', (t) => {
	t.is(execFileSync(program('core'), ['unread'], { encoding: 'utf8' }).trim(), 'ok');
});

/** System call numbers of x86-64. */
const CUT: Record<string, number> = {
	'writev-further': 20, 'writev-within': 20, 'recvmsg-waitall-rcvtimeo': 47, sendmsg: 46, 'recvmsg-waitall': 47,
	'close-linger': 3,
};

/** Run a kind; `disturb` is called while it is blocked, before the part, after it, and again. */
async function run(t: ExecutionContext, kind: string, disturb: (target: Target) => Promise<void>): Promise<string> {
	const target = await start(t, 'partial', kind);
	if (target.process.exitCode !== null) return target.line();
	if (kind !== 'getrandom') await target.asleep();
	await disturb(target);
	target.tell('p');
	await sleep(50);
	for (let i = 0; i < 2; i++) await disturb(target);
	target.tell('x');
	return target.line();
}

test('all kinds are here', (t) => {
	t.true(kinds.length >= 20, kinds.join(' '));
	t.deepEqual(Object.keys(CUT).filter((kind) => !kinds.includes(kind)), []);
});

for (const kind of kinds) {
	test(`control: ${kind} without a stop`, async (t) => {
		const line = await run(t, kind, () => Promise.resolve());
		t.log(line);
		if (line.startsWith('io_uring')) t.pass();
		else t.regex(line, /^\d+ 0 1$/, line);
	});

	const outcome = kind in CUT ? 'cut it, and that is counted' : 'do not show in its result, nor in its registers';
	test(`${kind}: stops ${outcome}`, async (t) => {
		const control = await run(t, kind, () => Promise.resolve());
		const tracer = tracerFor(t);
		let restarted = 0, cut = 0;
		const line = await run(t, kind, async (target) => {
			if (target.process.exitCode !== null) return;
			tracer.inject(target.pid);
			const counts = countsOf(tracer);
			restarted += counts.restarted;
			cut += counts.cut;
			if (counts.cut > 0)
				t.is(counts.byCall.get(CUT[kind] ?? -1)?.cut, counts.cut, JSON.stringify([...counts.byCall]));
			tracer.end();
			await sleep(10);
		});
		t.log(line, `restarted ${restarted}, cut ${cut}`);
		if (line.startsWith('io_uring')) {
			t.pass();
			return;
		}
		t.regex(line, /^\d+ 0 1$/, 'every byte in its place, no register changed');
		t.is(cut, kind in CUT ? 1 : 0);
		if (kind in CUT) return;
		t.true(restarted > 0);
		// With SO_RCVLOWAT, what is there at the end depends on the moment: enough is what counts.
		if (kind === 'read-rcvlowat') t.true(Number(line.split(' ')[0]) >= 600);
		else t.is(line, control);
	});
}

/** It interrupts a thread that is traced, and no other. */
const IGNORED = 'SIGCHLD';

test('a followed call that an ignored signal cuts is counted', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'partial', 'writev-further');
	await target.asleep();
	tracer.hold(target.pid);
	t.is(tracer.lastCalls.cutCalls, 0);
	tracer.letGo();
	target.tell('p');
	await sleep(100);
	target.process.kill(IGNORED);
	await sleep(100);
	const { cutCalls, calls } = tracer.untold();
	target.tell('x');
	t.log(await target.line());
	t.deepEqual([cutCalls, calls.map(({ cut }) => cut)], [1, [1]]);
});

test('a call whose rest cannot be asked for is not followed for its timeout, so that an ignored signal does not cut ' +
	'it', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'partial', 'recvmsg-waitall-rcvtimeo');
	await target.asleep();
	tracer.hold(target.pid);
	t.is(tracer.lastCalls.lengthenedTimeouts, 1, 'but its timeout begins anew');
	tracer.letGo();
	target.tell('p');
	await sleep(100);
	target.process.kill(IGNORED);
	await sleep(100);
	target.tell('x');
	t.is(await target.line(), '1000 0 1');
});
