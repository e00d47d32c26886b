/** create_proc_snap() of a patched kernel; where there is none, that it says so. */
import test from 'ava';
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { nowNs, snapUnavailable, WAYS } from '../../native/index.ts';
import { VERSIONS } from '../../bench/environments/guest/kernel.ts';
import { readRegions } from '../../bench/targets/program.ts';
import { isFree, NODE } from '../processes.ts';
import { children, failure, program, sleep, snapTest, start, state, status, tracerFor, until } from './help.ts';
import {
	assertGoesOn, assertOneMoment, assertRegisters, counts, memoryOf, startThreads, tidsFound, tidsOf,
} from './turns.ts';

const reason = snapUnavailable();
const PAGE = 4096;
/** Of targets/vforking.c. */
const END_CHILD = 2;

test(`this kernel: ${reason ?? 'has create_proc_snap()'}`, (t) => {
	const tracer = tracerFor(t);
	for (const ask of ['snap', 'snapPlain'] as const) {
		const { code, message } = failure(t, () => tracer[ask](reason === null ? 4_000_000 : process.pid));
		if (reason === null) t.is(code, 'ESRCH');
		else t.is(message, reason);
	}
	if (reason !== null) t.regex(reason, /kernel-patch\/README\.md.*--environment guest|seccomp filter/);
});

test('a seccomp filter that refuses it, or hides it: the error says so', (t) => {
	const script =
		`const { snapUnavailable, Tracer } = await import(${JSON.stringify(new URL('../../native/index.ts', import.meta.url).href)});
		const tracer = Tracer.start();
		console.log(snapUnavailable());
		try { tracer.snap(process.pid) } catch (error) { console.log(error.code, error.message) }
		tracer.close();`;
	const under = (errno: number): string[] => {
		const { stdout, stderr } = spawnSync(
			program('refused'), [String(errno), ...NODE, '--input-type=module', '-e', script], { encoding: 'utf8' }
		);
		t.is(stderr, '');
		return stdout.trim().split('\n');
	};
	for (const [name, said] of [
		['EPERM', /refused here.*does not let it through.*seccomp=unconfined/],
		['ENOSYS', /no create_proc_snap\(\).*seccomp filter.*hides it/],
	] as const) {
		const [probed, taken] = under(constants.errno[name]);
		t.regex(probed ?? '', said);
		t.is(taken, `${name} ${probed}`, 'a take says the same');
	}
});

test('the kernel\'s words are those of the patches', (t) => {
	const ours = readFileSync('kernel-patch/proc_snap.h', 'utf8');
	for (const version of VERSIONS) {
		const folder = `kernel-patch/${version}`;
		const patches = readdirSync(folder).filter((name) => name.endsWith('.patch')).sort()
			.map((name) => readFileSync(`${folder}/${name}`, 'utf8')).join('\n');
		const added =
			/^\+\+\+ b\/include\/uapi\/linux\/proc_snap\.h\n@@ .*\n((?:\+.*\n)+)/m.exec(patches)?.[1]?.replace(
				/^\+/gm, ''
			);
		t.is(added, ours, `${version}: include/uapi/linux/proc_snap.h`);
		const numbers = [...patches.matchAll(/^\+(\d+)\s+\w+\s+(create_proc_snap2?)\s/gm)].map(([, number, name]) =>
			`${name} ${number}`);
		t.deepEqual(numbers, ['create_proc_snap 600', 'create_proc_snap2 601'], `${version}: syscall_64.tbl`);
	}
});

for (const threads of [1, 4, 16])
	snapTest(`${threads} threads: one moment, the registers of all, and the target goes on`, async (t) => {
		const tracer = tracerFor(t), target = await startThreads(t, tracer, threads), tids = tidsOf(
			tracer, target, threads
		);
		for (let round = 0; round < 15; round++) {
			const before = Number(nowNs()), snapshot = tracer.snap(target.pid), copy = counts(
				target, memoryOf(tracer, snapshot.pid)
			);
			t.true(isFree(target.pid), 'nobody stops or traces it');
			t.is(snapshot.threads, threads);
			assertOneMoment(t, copy);
			const found = assertRegisters(t, tracer, target, threads, copy);
			t.deepEqual(tidsFound(found), tids);
			for (const { skewNs } of tracer.registers())
				t.true(skewNs <= snapshot.skewNs, `read ${skewNs} ns after the moment, the last ${snapshot.skewNs}`);
			t.deepEqual(counts(target, memoryOf(tracer, snapshot.pid)), copy, 'a duplicate stands still');
			const { takeNs, pauseNs, momentNs, lockWaitNs, pagesShared } = snapshot;
			t.true(
				pauseNs > 0 && lockWaitNs >= 0 && lockWaitNs + pauseNs <= takeNs,
				`${lockWaitNs} + ${pauseNs} of ${takeNs} ns`
			);
			t.true(momentNs > before && momentNs < Number(nowNs()), 'the moment is within the call');
			t.true(pagesShared > (8 << 20) / PAGE, 'at least what the target wrote to');
			const { pauseNs: endPauseNs } = tracer.end();
			t.is(endPauseNs, 0);
			await sleep(round % 3);
		}
		await assertGoesOn(t, tracer, target, threads);
	});

snapTest('threads that come and go all the time', async (t) => {
	const STEADY = 2, tracer = tracerFor(t), target = await startThreads(t, tracer, STEADY, 'churn');
	const seen = new Set<number>();
	for (let round = 0; round < 60; round++) {
		const { pid, threads } = tracer.snap(target.pid), copy = counts(target, memoryOf(tracer, pid));
		assertOneMoment(t, copy);
		const found = assertRegisters(t, tracer, target, threads, copy);
		for (let i = 0; i < STEADY; i++) t.true(found.has(i), `thread ${i} is among those read`);
		seen.add(threads);
		tracer.end();
	}
	t.log(`threads: ${[...seen].sort((a, b) => a - b).join(', ')}`);
	t.true(seen.size > 1);
	await assertGoesOn(t, tracer, target, STEADY);
});

snapTest('all private memory that can be read is the target\'s, byte for byte', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'pattern');
	// It would go on between the two readings, if only to another CPU, of which the kernel leaves the number in its
	// memory (rseq).
	process.kill(target.pid, 'SIGSTOP');
	await until('the target is stopped', () => state(target.pid) === 'T');
	const { pid } = tracer.snap(target.pid);
	let bytes = 0;
	for (const { start: from, end, permissions, name } of readRegions(target.pid)) {
		if (!permissions.startsWith('r') || permissions.endsWith('s') || /^\[v(var|syscall)/.test(name)) continue;
		for (let at = from; at < end; at += 1n << 20n) {
			const length = Math.min(1 << 20, Number(end - at));
			const read = (whose: number): Buffer =>
				Buffer.from(tracer.data.subarray(0, tracer.read('vm-readv', whose, at, length).bytes));
			t.true(read(pid).equals(read(target.pid)), `0x${at.toString(16)} ${name}`);
			bytes += length;
		}
	}
	t.true(bytes > 1 << 20);
	tracer.end();
});

snapTest('the plain call: the same duplicate, without figures', async (t) => {
	const tracer = tracerFor(t), target = await startThreads(t, tracer, 4);
	const { pid, threads, takeNs } = tracer.snapPlain(target.pid), copy = counts(target, memoryOf(tracer, pid));
	t.is(threads, 4);
	t.true(takeNs > 0);
	assertOneMoment(t, copy);
	const registers = tracer.registers();
	t.is(registers.length, 4);
	t.is(registers[0]?.tid, target.pid, 'the first thread\'s are the first');
	t.deepEqual(registers.slice(1).map(({ tid }) => tid), [0, 0, 0], 'whose the others are is not told');
	tracer.end();
	await assertGoesOn(t, tracer, target, 4);
});

snapTest('the duplicate: the tracer\'s child, a task a thread, parked whatever it is sent', async (t) => {
	const tracer = tracerFor(t), target = await startThreads(t, tracer, 4), { pid } = tracer.snap(target.pid);
	t.deepEqual(children(tracer.pid), [pid]);
	t.deepEqual(children(target.pid), []);
	t.is(readdirSync(`/proc/${pid}/task`).length, 4);
	const copy = counts(target, memoryOf(tracer, pid)), registers = tracer.registers();
	for (const signal of ['SIGCONT', 'SIGUSR1', 'SIGTERM', 'SIGSEGV'] as const) process.kill(pid, signal);
	await sleep(50);
	t.deepEqual(counts(target, memoryOf(tracer, pid)), copy);
	for (let i = 0; i < 3; i++) {
		tracer.read('peek', pid, target.word[4]!, 8);
		t.deepEqual(Array.from({ length: 4 }, (_, n) => tracer.registers()[n]), registers);
	}
	t.is(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[11], '0', 'no time in user mode');
	tracer.end();
	t.deepEqual(children(tracer.pid), []);
	t.is(state(pid), '');
});

snapTest('every way reads it, peek too, and never the target', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'pattern'), address = target.word[1]!, length = 100_003;
	const pattern = Buffer.from(Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8) * 13));
	for (let round = 0; round < 3; round++) {
		const { pid } = tracer.snap(target.pid);
		for (const way of [...WAYS, ...WAYS].filter((name) => name !== 'memcpy')) {
			tracer.data.fill(0xee, 0, length);
			t.is(tracer.read(way, pid, address, length).bytes, length, way);
			t.true(Buffer.from(tracer.data.subarray(0, length)).equals(pattern), way);
			t.is(tracer.registers().length, 1, `registers, after ${way}`);
			t.is(status(target.pid, 'TracerPid'), '0');
		}
		t.regex(failure(t, () => tracer.read('peek', target.pid, address, 8)).message, /neither a duplicate nor held/);
		tracer.end();
		t.true(['ESRCH', 'ENOENT', 'EIO'].includes(failure(t, () => tracer.read('peek', pid, address, 8)).code));
		t.is(state(pid), '', 'peek had it traced: it is gone all the same');
	}
});

for (const kind of ['epoll_wait', 'semtimedop', 'recv-rcvtimeo', 'futex-timeout'])
	snapTest(`a target that is blocked in ${kind} does not notice`, async (t) => {
		const tracer = tracerFor(t), target = await start(t, 'blocked', kind);
		await target.asleep();
		for (let i = 0; i < 20; i++) {
			tracer.snap(target.pid);
			tracer.registers();
			tracer.end();
		}
		await target.asleep();
		target.tell('x');
		const [result, expected] = (await target.line()).split(' ');
		t.is(result, expected);
	});

snapTest('targets that cannot be stopped or traced: held, in vfork(), job-stopped, filtered', async (t) => {
	const tracer = tracerFor(t), other = tracerFor(t);
	const held = await start(t, 'states', 'threaded');
	const take = (pid: number): number => {
		const { threads } = tracer.snap(pid);
		t.is(tracer.registers().length, threads);
		tracer.end();
		return threads;
	};
	t.is(other.hold(held.pid), take(held.pid));
	other.letGo();
	await held.runs(1);
	held.process.kill('SIGSTOP');
	await until('it is stopped', () => state(held.pid) === 'T');
	take(held.pid);
	t.is(state(held.pid), 'T');
	held.process.kill('SIGCONT');
	await held.runs(1);
	const vforking = await start(t, 'vforking');
	take(vforking.pid);
	vforking.word[END_CHILD] = 1n;		// it has the test's output open
	await vforking.runs(1);
	const filtered = await start(t, 'filtered', 'strict');
	await filtered.runs(1);
	take(filtered.pid);
	await filtered.runs(1);
});

snapTest('one thing at a time; a target may be held beside its snapshot', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'states', 'threaded');
	tracer.snap(target.pid);
	for (const ask of ['snap', 'snapPlain', 'inject', 'stopCopy'] as const)
		t.is(failure(t, () => tracer[ask](target.pid)).code, 'EBUSY');
	tracer.hold(target.pid);
	tracer.end();
	tracer.letGo();
	tracer.snap(target.pid);
	tracer.end();
	t.is(failure(t, () => tracer.registers()).code, 'ENOENT', 'too late');
	t.is(failure(t, () => tracer.end()).code, 'ENOENT');
	tracer.inject(target.pid);
	t.is(tracer.registers()[0]?.tid, target.pid, 'those of another take are as ever');
	tracer.end();
	await target.runs(1);
});

snapTest('what is no process that could be taken', async (t) => {
	const tracer = tracerFor(t), other = tracerFor(t), target = await start(t, 'states', 'threaded');
	const kernelThread = readdirSync('/proc').map(Number).find((pid) => pid > 0 && status(pid, 'Kthread') === '1') ?? 2;
	const zombie = spawn('sh', ['-c', 'sleep 0 & exec sleep 60'], { stdio: 'ignore' });
	t.teardown(() => zombie.kill('SIGKILL'));
	await until('there is a zombie', () => children(zombie.pid!).some((pid) => state(pid) === 'Z'));
	const cases: Array<[number, string, RegExp]> = [
		[4_000_000, 'ESRCH', /no process 4000000/],
		[0, 'EINVAL', /0 is no process id/],
		[-1, 'EINVAL', /-1 is no process id/],
		[kernelThread, 'EINVAL', /kernel thread/],
		[children(zombie.pid!)[0]!, 'ESRCH', /zombie/],
		[other.snap(target.pid).pid, 'EINVAL', /is a snapshot itself/],
	];
	for (const [pid, code, message] of cases)
		for (const ask of ['snap', 'snapPlain'] as const) {
			const error = failure(t, () => tracer[ask](pid));
			t.is(error.code, code, `${ask} ${pid}: ${error.message}`);
			t.regex(error.message, message);
		}
	tracer.snap(target.pid);
	tracer.end();
});

const NOBODY = '65534';

snapTest('somebody else\'s process, and no room for one more: errors that say what to do', (t) => {
	if (process.getuid?.() !== 0) {
		t.log('not tried: it takes root to become nobody');
		t.pass();
		return;
	}
	const script =
		`const { Tracer } = await import(${JSON.stringify(new URL('../../native/index.ts', import.meta.url).href)});
		const { spawn } = await import('node:child_process');
		const own = spawn('sleep', ['60']), tracer = Tracer.start();
		await new Promise((resolve) => setTimeout(resolve, 300));
		for (const pid of [${process.pid}, own.pid]) {
			if (pid === own.pid) spawn('prlimit', ['--nproc=1', '--pid', String(tracer.pid)]).on('exit', () => take(pid));
			else take(pid);
		}
		function take(pid) {
			try { tracer.snap(pid); console.log('taken'); } catch (error) { console.log(error.code, error.message); }
			if (pid === own.pid) { own.kill(); tracer.close(); }
		}`;
	const { stdout, stderr } =
		spawnSync('setpriv', ['--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', '--inh-caps=-all',
		...NODE, '--input-type=module', '-e', script], { encoding: 'utf8' });
	const [foreign = '', full = ''] = stdout.trim().split('\n');
	t.regex(foreign, /^EPERM no permission to trace process \d+: run as root/, stderr);
	t.regex(full, /^EAGAIN .*RLIMIT_NPROC/, stderr);
});
