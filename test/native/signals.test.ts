/** Signals that come while a target is stopped, or runs an injected call, reach it: all of them, once, in order. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { Tracer } from '../../native/index.ts';
import { duplicated, program, sleep, start, state, until } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const [NUMBERED, DISORDER, USER1, CONTINUED, TURNS] = [1, 2, 3, 4, 5];
const [SENT, ENOUGH] = [1, 2];

for (const mode of ['asleep', 'busy'])
	test(`numbered real-time signals to a target that is ${mode}`, async (t) => {
		const target = await start(t, 'signals', mode), sender = await start(t, 'signals', 'send', target.pid);
		let amid = 0;
		while (amid < 60 || sender.number(SENT) < 4000) {
			const before = sender.number(SENT);
			tracer.inject(target.pid);
			tracer.end();
			if (sender.number(SENT) > before) amid++;
			await sleep(0);
		}
		sender.word[ENOUGH] = 1n;
		await sender.ended();
		await until('all signals have arrived', () => target.number(NUMBERED) >= sender.number(SENT));
		t.is(target.number(NUMBERED), sender.number(SENT));
		t.is(target.number(DISORDER), 0, 'out of order');
	});

test('SIGUSR1 to the process, one at a time', async (t) => {
	const target = await start(t, 'signals', 'asleep');
	for (let i = 1; i <= 300; i++) {
		// Before, at and after the duplicate: the signal is on its way in every phase of it.
		const later = i % 3 === 0 ? sleep(0).then(() => target.process.kill('SIGUSR1')) : target.process.kill(
			'SIGUSR1'
		);
		tracer.inject(target.pid);
		tracer.end();
		await later;
		await target.atLeast(USER1, i);
	}
	t.is(target.number(USER1), 300);
});

test('signals during a hold wait for its end', async (t) => {
	const target = await start(t, 'signals', 'asleep');
	tracer.hold(target.pid);
	target.process.kill('SIGUSR1');
	await sleep(20);
	t.is(target.number(USER1), 0);
	tracer.letGo();
	await target.atLeast(USER1, 1);
	t.is(target.number(USER1), 1);
});

test('SIGSTOP and SIGCONT from somebody else amid injections', async (t) => {
	const target = await start(t, 'signals', 'asleep');
	for (let round = 0; round < 40; round++) {
		const stopper = (async () => {
			await sleep(0);
			target.process.kill('SIGSTOP');
			if (round % 2 === 0) await sleep(1);
			target.process.kill('SIGCONT');
		})();
		for (let i = 0; i < 3; i++) {
			t.true(duplicated(tracer, target.pid));
			await sleep(0);
		}
		await stopper;
		await target.runs(TURNS);
	}
	t.is(target.number(CONTINUED), 40, 'each SIGCONT was handled');
	// The last word was SIGSTOP: it must hold.
	for (let round = 0; round < 10; round++) {
		target.process.kill('SIGSTOP');
		t.true(duplicated(tracer, target.pid));
		await until('the target is stopped', () => state(target.pid) === 'T');
		const turns = target.number(TURNS);
		t.true(duplicated(tracer, target.pid));
		await sleep(3);
		t.is(state(target.pid), 'T');
		t.is(target.number(TURNS), turns);
		target.process.kill('SIGCONT');
		await target.runs(TURNS);
	}
});

for (const what of ['stopped', 'continued'])
	test(`a SIGSTOP that comes when there is no time left for the injected call is not lost (${what})`, (t) => {
		t.is(execFileSync(program('core'), [what], { encoding: 'utf8' }).trim(), 'ok');
	});
