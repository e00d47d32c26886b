/** An EINTR that is the target's own, because one of its handlers ran, is not swallowed. */
import test from 'ava';
import { Tracer } from '../../native/index.ts';
import { duplicated, sleep, start } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const EINTR = '-4';
/** Kinds that the core restarts; SIGUSR1 has a handler there, SIGUSR2 is ignored. */
const KINDS = [
	'epoll_wait', 'epoll_pwait2', 'semop', 'semtimedop', 'io_getevents', 'recv-rcvtimeo', 'accept-rcvtimeo', 'poll',
	'futex-timeout',
];

for (const kind of KINDS) {
	test(`${kind}: a handler that is due during a hold ends the call`, async (t) => {
		const target = await start(t, 'blocked', kind);
		await target.asleep();
		tracer.hold(target.pid);
		target.process.kill('SIGUSR1');
		tracer.letGo();
		t.is((await target.line()).split(' ')[0], EINTR);
		t.is(target.number(1), 1, 'the handler ran once');
	});

	test(`${kind}: an ignored signal during a hold does not`, async (t) => {
		const target = await start(t, 'blocked', kind);
		await target.asleep();
		tracer.hold(target.pid);
		target.process.kill('SIGUSR2');
		target.process.kill('SIGWINCH');
		tracer.letGo();
		await target.asleep();
		target.tell('x');
		const [result, expected] = (await target.line()).split(' ');
		t.is(result, expected);
	});
}

for (const kind of ['epoll_wait', 'semtimedop', 'recv-rcvtimeo'])
	test(`${kind}: a handler amid injections ends the call`, async (t) => {
		for (let round = 0; round < 10; round++) {
			const target = await start(t, 'blocked', kind);
			await target.asleep();
			const sender = sleep(2 + round / 3).then(() => target.process.kill('SIGUSR1'));
			for (let i = 0; i < 20 && duplicated(tracer, target.pid); i++) await sleep(0);
			await sender;
			t.is((await target.line()).split(' ')[0], EINTR);
			t.is(target.number(1), 1);
		}
	});
