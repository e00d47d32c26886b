/**
 * A stop interrupts every blocked call. The target must not learn of it: no
 * EINTR, whatever the call, and then the right result when the natural waker comes.
 */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { Tracer } from '../../native/index.ts';
import { program, start } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const kinds = execFileSync(program('blocked'), { encoding: 'utf8' }).trim().split('\n');

/** The kernel gives EINTR for these; the core has to mend them. */
const MENDED = [
	'epoll_wait', 'epoll_pwait', 'epoll_pwait2', 'epoll_pwait2-for-ever', 'epoll_pwait2-month', 'semop', 'semtimedop',
	'sigtimedwait', 'sigtimedwait-for-ever', 'io_getevents', 'io_uring_enter',
	'recv-rcvtimeo', 'read-rcvtimeo', 'recvmsg-rcvtimeo', 'accept-rcvtimeo', 'connect-sndtimeo', 'send-sndtimeo',
	'preadv2-rcvtimeo', 'recvmmsg-rcvtimeo', 'writev-sndtimeo', 'sendmmsg-sndtimeo', 'splice-rcvtimeo',
	'sendfile-sndtimeo',
	'waitall-rcvtimeo', 'ppoll-constant', 'read-vtime'];

test('all kinds are here', (t) => {
	t.true(kinds.length >= 40, kinds.join(' '));
	t.deepEqual(MENDED.filter((kind) => !kinds.includes(kind)), []);
});

/** Not to be woken at all: see timeouts.test.ts. */
const ENDED_BY_TIME = 'waitall-woken';

for (const kind of kinds.filter((kind) => kind !== ENDED_BY_TIME))
	test(`a target blocked in ${kind} does not see its stops`, async (t) => {
		const target = await start(t, 'blocked', kind);
		if (target.process.exitCode !== null) {
			t.log(`not here: ${await target.line()}`);
			t.pass();
			return;
		}
		for (let round = 0; round < 3; round++) {
			await target.asleep();
			const { restartedCalls } = tracer.inject(target.pid);
			t.is(restartedCalls, MENDED.includes(kind) ? 1 : 0, 'mended calls');
			tracer.end();
		}
		await target.asleep();
		t.is(tracer.hold(target.pid), 1);
		tracer.letGo();
		await target.asleep();
		t.is(tracer.stopCopy(target.pid).restartedCalls, MENDED.includes(kind) ? 1 : 0);
		tracer.end();
		await target.asleep();
		target.tell('x');
		const [result, expected] = (await target.line()).split(' ');
		t.is(result, expected, `${kind} returned ${String(result)} instead of ${String(expected)}`);
	});
