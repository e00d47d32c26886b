/**
 * A target that is frozen, before a take or amid it: an error in time, and nothing of the take is left when it thaws.
 */
import test, { type ExecutionContext } from 'ava';
import { setTimeout } from 'node:timers/promises';
import { ProcsnapError, type Tracer } from '../../native/index.ts';
import { isFree } from '../processes.ts';
import { freezer, FREEZERS } from './freezers.ts';
import { children, start, state, status, tracerFor, until, type Target } from './help.ts';

/** Of targets/death.c. */
const [TURNS, BAD, OTHER_PID, FAILED_SLEEPS, CUT_SLEEPS] = [1, 2, 5, 6, 8];

async function assertUnharmed(t: ExecutionContext, target: Target): Promise<void> {
	await until('nobody holds the target', () => isFree(target.pid));
	await target.runs(TURNS);
	t.deepEqual([BAD, OTHER_PID, FAILED_SLEEPS, CUT_SLEEPS].map((word) => target.number(word)), [0, 0, 0, 0],
		'a register changed, code ran elsewhere, a sleep failed or was cut off');
	t.is(BigInt(`0x${status(target.pid, 'SigBlk')}`), 0n, 'the signal mask');
	await until(`no child is left: ${children(target.pid).map((pid) => `${pid} ${state(pid)}`).join(', ')}`,
		() => children(target.pid).length === 0);
}

/** 'taken', or the error. */
function take(tracer: Tracer, pid: number): string {
	try {
		tracer.inject(pid);
	} catch (error) {
		if (error instanceof ProcsnapError) return `${error.code} ${error.message}`;
		throw error;
	}
	tracer.end();
	return 'taken';
}

/** Once it has thawed, and as often as a busy machine wants. */
async function takeInTheEnd(tracer: Tracer, pid: number): Promise<void> {
	for (let tries = 0; tries < 100 && take(tracer, pid) !== 'taken'; tries++) await setTimeout(20);
}

for (const version of FREEZERS) {
	test(`a ${version} freezer, frozen before the take`, async (t) => {
		const target = await start(t, 'death', 'asleep'), tracer = tracerFor(t, { timeoutMs: 200 }), group = freezer(
			t, version
		);
		if (!group) return t.pass();
		group.add(target.pid);
		await group.freeze();
		for (let i = 0; i < 2; i++) t.regex(take(tracer, target.pid), /^(EBUSY|ETIMEDOUT) /);
		const turns = target.number(TURNS);
		await setTimeout(20);
		t.is(target.number(TURNS), turns, 'still frozen');
		group.thaw();
		await assertUnharmed(t, target);
		await takeInTheEnd(tracer, target.pid);
		await assertUnharmed(t, target);
		return undefined;
	});

	test(`a ${version} freezer that freezes and thaws all the time`, async (t) => {
		const target = await start(t, 'death', 'asleep'), tracer = tracerFor(t, { timeoutMs: 200 }), group = freezer(
			t, version
		);
		if (!group) return t.pass();
		group.add(target.pid);
		const calm = group.storm(), results: string[] = [];
		for (const end = Date.now() + 15_000; results.length < 300 && Date.now() < end;) {
			results.push(take(tracer, target.pid));
			if (results.at(-1) !== 'taken') await setTimeout(5);
		}
		await calm();
		const count = (what: RegExp): number => results.filter((result) => what.test(result)).length;
		t.log(`${results.length} takes: ${count(/^taken/)} taken, ${count(/does not come back/)} with a first ` +
			`thread that did not come back, ` +
			`${count(/does not get/)} that did not get to run, ${count(/state D/)} in state D, ` +
				`${count(/did not stop/)} not stopped`);
		t.deepEqual(results.filter((result) => !/^(taken|EBUSY|ETIMEDOUT)/.test(result)), []);
		t.true(count(/^taken/) > 0 && count(/^E/) > 0, 'some were taken, and some were met by the freezer');
		await assertUnharmed(t, target);
		await takeInTheEnd(tracer, target.pid);
		await assertUnharmed(t, target);
		return undefined;
	});
}
