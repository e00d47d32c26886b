/**
 * Whoever is killed, at whatever step: what becomes of the target.
 * The target (targets/death.c) looks at its registers in every turn, counts
 * signals, and would tell if code of it ran in any other process.
 */
import test from 'ava';
import { ProcsnapError, steps, Tracer } from '../../native/index.ts';
import { isFree } from '../processes.ts';
import { afterTracer, assertAlone, assertUnharmed, MODES, PRECOPY, request, signals, TURNS, WINDOW } from './dying.ts';
import { children, sleep, start, state, tracerFor, until } from './help.ts';

/** Of a take and of an end, in order. */
const TAKE = [
	'checked', 'stopped', 'registers', 'masked', 'injected', 'entered', 'cloned', 'restored', 'unmasked', 'released',
	'held',
];
const END = ['killed', 'masked', 'injected', 'entered', 'restored', 'unmasked', 'buried'];

test('every step is among those tried', (t) => {
	const tried = ['none', ...TAKE, ...END, ...PRECOPY];
	t.deepEqual(steps().filter((step) => !tried.includes(step)), []);
});

for (const mode of MODES) {
	test(`the requester is killed at each step; target ${mode}`, async (t) => {
		const target = await start(t, 'death', mode), enough = signals(target);
		for (const [verb, steps] of [['at', TAKE], ['at-end', END]] as const)
			for (const step of steps) {
				t.is(await request(t, verb, step, target.pid).ended, 'SIGKILL', `the requester dies at ${step}`);
				await assertAlone(t, target);
				t.deepEqual(children(target.pid), [], `${verb} ${step}: a child is left, zombie or not`);
			}
		await assertUnharmed(t, target, await enough());
	});

	test(`the requester is killed while it has something; target ${mode}`, async (t) => {
		const target = await start(t, 'death', mode, 48);
		for (const verb of ['duplicate', 'hold']) {
			const requester = request(t, verb, target.pid);
			await until('it has it', () => requester.said.length === 2);
			t.is(isFree(target.pid), verb !== 'hold');
			t.is(children(target.pid).length, verb === 'hold' ? 0 : 1);
			requester.process.kill('SIGKILL');
			await requester.ended;
			await assertAlone(t, target);
			t.deepEqual(children(target.pid), []);
			await assertUnharmed(t, target, 0);
		}
		let amid = 0;
		for (let round = 0; round < 3; round++) {
			const requester = request(t, 'copies', target.pid);
			await until('the first copy', () => requester.said.length > 1);
			await sleep(round * 5);
			await until('the target is stopped', () => !isFree(target.pid));
			requester.process.kill('SIGKILL');
			if (!isFree(target.pid)) amid++;
			await requester.ended;
			await assertAlone(t, target);
			await assertUnharmed(t, target, 0);
		}
		t.true(amid > 0, 'killed while the target was stopped');
	});
}

/**
 * A duplicate was there, and the tracer that would have had it reaped is gone: it is a zombie until the target ends.
 */
const ZOMBIE = ['take restored', 'take unmasked', 'take released', 'take held', 'end killed', 'end masked'];

for (const mode of MODES)
	test(`the tracer is killed at each step; target ${mode}`, async (t) => {
		for (const [phase, steps] of [['take', TAKE], ['end', END]] as const)
			for (const step of steps) {
				const target = await start(t, 'death', mode), tracer = Tracer.start();
				await target.runs(TURNS);
				let error: unknown;
				try {
					if (phase === 'take') tracer.killAt(step, 'tracer');
					tracer.inject(target.pid);
					tracer.killAt(step, 'tracer');
					tracer.end();
				} catch (caught) {
					error = caught;
				}
				t.true(error instanceof ProcsnapError && error.code === 'EPIPE', `${phase} ${step}: ${String(error)}`);
				tracer.close();
				const where = `${phase} ${step}`;
				await afterTracer(t, target, where, WINDOW[step] ?? 'unharmed', ZOMBIE.includes(where) ? 1 : 0);
				target.process.kill('SIGKILL');
				await target.ended();
			}
	});

for (const kind of ['epoll_wait', 'recv-rcvtimeo'])
	for (const step of ['stopped', 'released'])
		test(`the tracer is killed at "${step}": a call that is blocked, ${kind}, goes on`, async (t) => {
			const target = await start(t, 'blocked', kind), tracer = Tracer.start();
			await target.asleep();
			tracer.killAt(step, 'tracer');
			t.throws(() => tracer.inject(target.pid), { instanceOf: ProcsnapError });
			tracer.close();
			await target.asleep();
			target.tell('x');
			const [result, expected] = (await target.line()).split(' ');
			t.is(result, expected);
		});

test('the tracer is killed while it holds a duplicate, a target, a copy', async (t) => {
	const target = await start(t, 'death', 'busy', 16);
	for (const action of ['inject', 'hold', 'stopCopy'] as const) {
		const tracer = Tracer.start();
		tracer[action](target.pid);
		process.kill(tracer.pid, 'SIGKILL');
		await assertUnharmed(t, target, 0);
		tracer.close();
		await until('the duplicate is dead', () => children(target.pid).every((pid) => state(pid) === 'Z'));
		await assertAlone(t, target);
	}
	t.is(children(target.pid).length, 1);
});

test('the window is a part of the pause', async (t) => {
	const target = await start(t, 'death', 'busy'), tracer = tracerFor(t), windows: number[] = [];
	for (let i = 0; i < 101; i++) {
		const { windowNs, pauseNs } = tracer.inject(target.pid);
		t.true(windowNs > 0 && windowNs <= pauseNs);
		windows.push(windowNs);
		tracer.end();
	}
	t.log(`windowNs: median ${windows.sort((a, b) => a - b)[50]!}, largest ${windows[100]!}`);
});
