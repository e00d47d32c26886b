/**
 * A relative timeout goes on where it was when a call is put back, and does not
 * start anew: with stops at a quarter, a half and three quarters of the time an
 * unmended call would take 1.75 times as long as it was asked to.
 */
import test from 'ava';
import { Tracer } from '../../native/index.ts';
import { duplicated, sleep, start, type Target } from './help.ts';

const tracer = Tracer.start();
test.after.always(() => tracer.close());

const TIMEOUT_MS = 800;
const KINDS = [
	// Restarted by the kernel:
	'poll', 'ppoll', 'select', 'pselect', 'nanosleep', 'clock_nanosleep', 'futex',
	// Mended, the rest of the time in a register:
	'epoll_wait', 'epoll_pwait', 'epoll_pwait2',
	// Mended, and ended by the tracer when the time is over:
	'semtimedop', 'sigtimedwait', 'io_getevents', 'io_uring_enter', 'recv-rcvtimeo', 'read-rcvtimeo', 'recvmsg-rcvtimeo',
	'accept-rcvtimeo', 'connect-sndtimeo', 'send-sndtimeo',
];

async function ratio(target: Target): Promise<{ right: boolean; ratio: number; text: string }> {
	const text = await target.line(), [result, expected, ns] = text.split(' ').map(Number);
	return { right: result === expected, ratio: (ns ?? 0) / (TIMEOUT_MS * 1e6), text };
}

/** All kinds at once: the tracer keeps many deadlines, and the test takes the time of one. */
test('timeouts are neither lengthened nor shortened', async (t) => {
	const targets = new Map<string, Target>();
	for (const kind of KINDS) {
		const target = await start(t, 'blocked', kind, TIMEOUT_MS);
		if (target.process.exitCode === null) targets.set(kind, target);
		else t.log(`${kind} is not here: ${await target.line()}`);
		const began = Date.now();
		void (async () => {
			for (const part of [0.25, 0.5, 0.75]) {
				await sleep(Math.max(0, began + part * TIMEOUT_MS - Date.now()));
				duplicated(tracer, target.pid);
			}
		})().catch((error: unknown) => t.fail(`${kind}: ${String(error)}`));
	}
	for (const [kind, target] of targets) {
		const got = await ratio(target);
		t.true(got.right, `${kind}: ${got.text}`);
		t.true(got.ratio >= 0.98 && got.ratio < 1.35, `${kind} took ${got.ratio.toFixed(2)} of its time`);
	}
});

test('the negative control: what a call takes that starts anew three times', async (t) => {
	// SIGSTOP and SIGCONT give EINTR in sigtimedwait() and epoll_wait(), signal(7): so these calls are not restarted by anybody.
	const target = await start(t, 'blocked', 'epoll_wait', TIMEOUT_MS);
	await target.asleep();
	target.process.kill('SIGSTOP');
	await sleep(20);
	target.process.kill('SIGCONT');
	t.regex(await target.line(), /^-4 /, 'EINTR, as the core must not let it happen');
});

for (const kind of ['epoll_wait', 'epoll_pwait2', 'semtimedop', 'recv-rcvtimeo', 'poll'])
	test(`the time of a hold counts: ${kind}`, async (t) => {
		const target = await start(t, 'blocked', kind, TIMEOUT_MS);
		await sleep(TIMEOUT_MS * 0.2);
		tracer.hold(target.pid);
		await sleep(TIMEOUT_MS * 0.7);
		tracer.letGo();
		const got = await ratio(target);
		t.true(got.right && got.ratio >= 0.98 && got.ratio < 1.4, `${kind} took ${got.ratio.toFixed(2)} of its time`);
	});

test('a timeout is kept by a tracer that has been closed', async (t) => {
	const own = Tracer.start(), target = await start(t, 'blocked', 'recv-rcvtimeo', TIMEOUT_MS);
	await sleep(TIMEOUT_MS / 2);
	own.inject(target.pid);
	own.close();
	t.is(target.process.exitCode, null, 'close() does not wait for it');
	const got = await ratio(target);
	t.true(got.right && got.ratio >= 0.98 && got.ratio < 1.35, got.text);
});
