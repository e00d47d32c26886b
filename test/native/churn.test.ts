/** Targets that exec or end while they are taken: a duplicate or a clean error, never a hang, never a harmed target. */
import test from 'ava';
import { ProcsnapError, type Tracer } from '../../native/index.ts';
import { children, sleep, start, status, tracerFor, until } from './help.ts';

const DONE = 1, WRONG = 2, CURRENT = 3;
/** EBUSY: it did not get to run in time, on a machine that is busy. */
const CLEAN = ['ESRCH', 'EAGAIN', 'ETIMEDOUT', 'EBUSY'];

/** Take by inject or by copy; the error's code where it failed. */
function take(tracer: Tracer, pid: number, way: 'inject' | 'stopCopy'): string {
	try {
		tracer[way](pid);
		tracer.end();
		return 'taken';
	} catch (error) {
		if (error instanceof ProcsnapError) return error.code;
		throw error;
	}
}

for (const [mode, rounds] of [['exec', 300], ['exit', 300]] as const)
	test(`a target that ${mode}s all the time`, async (t) => {
		const tracer = tracerFor(t, { timeoutMs: 2000 }), target = await start(t, 'churn', mode);
		const counts = new Map<string, number>();
		// Those that end are there for less long than a look at them takes: most are gone by then.
		for (let i = 0; i < rounds || (i < 10 * rounds && (counts.get('taken') ?? 0) <= rounds / 20); i++) {
			const result = take(
				tracer, mode === 'exec' ? target.pid : target.number(CURRENT), i % 4 === 3 ? 'stopCopy' : 'inject'
			);
			counts.set(result, (counts.get(result) ?? 0) + 1);
			if (i % 4 === 0) await sleep(Math.random() * 3);
		}
		t.log([...counts].map(([code, count]) => `${code} ${count}`).join(', '));
		t.deepEqual([...counts.keys()].filter((code) => code !== 'taken' && !CLEAN.includes(code)), []);
		t.true((counts.get('taken') ?? 0) > rounds / 20, 'some were taken');
		await target.runs(DONE);
		t.is(
			target.number(WRONG), 0,
			mode === 'exec' ? 'EINTR, or an exec() that failed' : 'children that ended otherwise than they should'
		);
		tracer.close();
		await until(
			'nothing is left', () => children(target.pid).filter((pid) => status(pid, 'TracerPid') !== '0').length === 0
		);
		await target.runs(DONE);
	});

test('a target that is killed at any moment: its parent can wait for it, and nothing is left', async (t) => {
	const tracer = tracerFor(t);
	for (let i = 0; i < 60; i++) {
		const target = await start(t, i % 2 === 0 ? 'states' : 'churn', i % 2 === 0 ? 'threaded' : 'threads');
		const killer = sleep(Math.random() * 2).then(() => target.process.kill('SIGKILL'));
		for (let k = 0; k < 200 && take(tracer, target.pid, 'inject') === 'taken'; k++) await sleep(0);
		await killer;
		await target.ended();
		t.is(target.process.signalCode, 'SIGKILL');
	}
});

test('a duplicate goes when its target has gone', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'states', 'idle');
	const { pid } = tracer.inject(target.pid);
	target.process.kill('SIGKILL');
	await target.ended();
	t.is(status(pid, 'State').slice(0, 1), 't', 'it outlives its target');
	tracer.end();
	await until('it is gone', () => status(pid, 'State') === '');
});
