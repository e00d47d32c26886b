/**
 * Of what a take meets beside the threads that it has looked at: other tracees, threads that begin in the stop, the
 * kernel's workers.
 */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { Tracer } from '../../native/index.ts';
import { testUnless } from '../unless.ts';
import { duplicated, inTheEnd, sleep, start, state } from './help.ts';

const rootTest = testUnless(process.getuid?.() === 0 ? null : 'pid namespaces, and reading filters, take root');

const tracer = Tracer.start();
test.after.always(() => tracer.close());

rootTest('a child of the target whose call is followed is not taken for the duplicate', async (t) => {
	const target = await start(t, 'neighbours', 'worker');
	const parent = target.number(1), child = target.number(2);
	// From then on the child's epoll_wait(2) is followed.
	duplicated(tracer, child);
	const duplicate = await inTheEnd(() => tracer.inject(parent));
	t.not(duplicate.pid, child);
	tracer.end();
	await sleep(20);
	t.is(target.number(3), 0, 'the child lives');
	t.true(['S', 't'].includes(state(child)), state(child));
});

rootTest('threads that begin in the stop are not made to call restart_syscall(2), which their filter forbids',
	async (t) => {
	const target = await start(t, 'neighbours', 'starting'), before = target.number(1);
	for (let i = 0; i < 25; i++) {
		await inTheEnd(() => duplicated(tracer, target.pid));
		await sleep(5);
	}
	t.is(target.process.signalCode, null);
	t.true(target.number(1) > before);
});

test('no thread runs on in a stop, though each makes the next one and ends', async (t) => {
	const target = await start(t, 'neighbours', 'relay');
	for (let i = 0; i < 60; i++) {
		await inTheEnd(() => tracer.hold(target.pid));
		const before = target.number(1);
		await sleep(2);
		const after = target.number(1);
		tracer.letGo();
		t.is(after, before);
	}
});

/** For how long the first thread has waited for a CPU until now, in ms: proc_pid_schedstat(5), the second field. */
const waitedForCpu = (pid: number): number =>
	Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[1]) / 1e6;

test('signals to the process are for its first thread after a take, as before it', async (t) => {
	const [interrupted, made] = [1, 2];
	const seen = { first: 0, another: 0, unfit: 0 };
	while (seen.first + seen.another < 6 && seen.unfit < 3) {
		const target = await start(t, 'neighbours', 'addressee');
		await target.atLeast(made, 50);
		t.is(target.number(interrupted), 0, 'nobody has taken it yet');
		let most = 0;
		for (let take = 0; take < 12 && target.number(interrupted) === 0; take++) {
			const before = waitedForCpu(target.pid);
			await inTheEnd(() => duplicated(tracer, target.pid));
			await sleep(25);
			most = Math.max(most, waitedForCpu(target.pid) - before);
		}
		await target.atLeast(made, target.number(made) + 20);
		// One that does not get a CPU for so long may lose its turn (docs/inject.md).
		seen[most > 5 ? 'unfit' : target.number(interrupted) > 0 ? 'another' : 'first']++;
		target.process.kill('SIGKILL');
	}
	t.log(`in ${seen.first} processes it has them, in ${seen.another} another`);
	if (seen.unfit === 3) t.log('undecided: in 3 more it waited for a CPU for over 5 ms, as on a machine that is busy');
	else t.true(seen.another <= 1);
});

test('a thread that has ended, and whose tracer takes no note, is not waited for', async (t) => {
	const target = await start(t, 'neighbours', 'zombie');
	t.is(tracer.inject(target.number(1)).threads, 1);
	tracer.end();
});

/** The others wait until the first thread has taken what is for it, for 20 ms at most: this one nobody takes. */
test('a signal that all threads block makes no pause longer', async (t) => {
	const target = await start(t, 'neighbours', 'blocking');
	const shortest = async (): Promise<number> => {
		const pausesNs = [];
		for (let take = 0; take < 15; take++) {
			pausesNs.push((await inTheEnd(() => tracer.inject(target.pid))).pauseNs);
			tracer.end();
		}
		return Math.min(...pausesNs);
	};
	const before = await shortest();
	target.process.kill('SIGUSR1');
	const after = await shortest();
	t.log(`${before / 1e6} ms without such a signal, ${after / 1e6} ms with one`);
	t.true(after < 5 * before, `${after} ns, and ${before} ns without it`);
});

test('a worker of io_uring is not interrupted', async (t) => {
	const target = await start(t, 'neighbours', 'uring');
	if (target.number(0) === 0) {
		t.log(await target.line());
		t.pass();
		return;
	}
	for (let i = 0; i < 5; i++) {
		t.is(tracer.inject(target.pid).threads, 1);
		tracer.end();
	}
	target.tell('x');
	t.true(Number(await target.line()) >= 0, 'the file was opened');
});
