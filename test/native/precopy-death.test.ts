/** Whoever is killed while a copy is made by precopy: the target is whole, and nothing of the copy is left in it. */
import type { ExecutionContext } from 'ava';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mechanism } from '../../mechanisms/precopy.ts';
import { ProcsnapError, Tracer } from '../../native/index.ts';
import { testUnless } from '../unless.ts';
import { afterTracer, assertAlone, assertUnharmed, MODES, PRECOPY, request, signals, TURNS, WINDOW } from './dying.ts';
import { start, tracerFor, until, type Target } from './help.ts';

const precopyTest = testUnless(mechanism.unavailable());

const take = (tracer: Tracer, pid: number): void => {
	tracer.precopy(pid);
	while (!tracer.precopyGoOn(20).done);
};

/** No region is registered, and there is no descriptor that was not there before: proc_pid_smaps(5), `uw` and `um`. */
async function assertNothingLeft(t: ExecutionContext, target: Target, where: string): Promise<void> {
	const registered = (): boolean => /^VmFlags:.* u[wm]\b/m.test(readFileSync(`/proc/${target.pid}/smaps`, 'utf8'));
	await until(`${where}: no region is registered`, () => !registered());
	const open = readdirSync(`/proc/${target.pid}/fd`).map((fd) => readlinkSync(`/proc/${target.pid}/fd/${fd}`));
	t.false(open.some((path) => path.includes('userfaultfd')), where);
}

for (const mode of MODES) {
	precopyTest(`the requester is killed at each step; target ${mode}`, async (t) => {
		const target = await start(t, 'death', mode), enough = signals(target);
		for (const step of PRECOPY) {
			t.is(await request(t, 'at', step, target.pid, 'precopy').ended, 'SIGKILL', `the requester dies at ${step}`);
			await assertAlone(t, target);
			await assertNothingLeft(t, target, step);
		}
		await assertUnharmed(t, target, await enough());
	});

	precopyTest(`the tracer is killed at each step; target ${mode}`, async (t) => {
		for (const step of PRECOPY) {
			const target = await start(t, 'death', mode), tracer = Tracer.start();
			await target.runs(TURNS);
			tracer.killAt(step, 'tracer');
			const error = t.throws(() => take(tracer, target.pid), { instanceOf: ProcsnapError }, step);
			t.is(error.code, 'EPIPE', `${step}: ${error.message}`);
			tracer.close();
			await afterTracer(t, target, step, WINDOW[step] ?? 'unharmed', 0);
			if (WINDOW[step] !== 'lost') await assertNothingLeft(t, target, step);
			target.process.kill('SIGKILL');
			await target.ended();
		}
	});

	precopyTest(`given up after each step, or kept: nothing is left in the target; ${mode}`, async (t) => {
		const target = await start(t, 'death', mode, 8), tracer = tracerFor(t);
		tracer.precopy(target.pid);
		tracer.end();
		await assertNothingLeft(t, target, 'given up at once');
		tracer.precopy(target.pid);
		tracer.precopyGoOn(1);
		t.regex(readFileSync(`/proc/${target.pid}/smaps`, 'utf8'), /^VmFlags:.* uw\b/m, 'that it is seen');
		tracer.end();
		await assertNothingLeft(t, target, 'given up in the first pass');
		take(tracer, target.pid);
		await assertNothingLeft(t, target, 'kept');
		tracer.end();
		await assertUnharmed(t, target, 0);
	});
}
