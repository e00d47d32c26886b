/**
 * What C and TypeScript say to each other: one table of operations, and one place for each number
 * (native/tracer/protocol.h).
 */
import test from 'ava';
import { fileURLToPath } from 'node:url';
import { addon, checkOperations, checkWays, type OperationTable } from '../../native/addon.ts';
import { steps, WAYS } from '../../native/index.ts';
import { start, tracerFor } from './help.ts';

const TABLE: OperationTable = addon().operations;

test('every operation has a number of its own, and names for its results', (t) => {
	const numbers = Object.values(TABLE).map(({ op }) => op);
	t.deepEqual(numbers, numbers.map((_, i) => i), 'from 0, the hello, on');
	for (const [name, { results }] of Object.entries(TABLE)) {
		t.is(new Set(results).size, results.length, name);
		for (const result of results) t.regex(result, /^[a-z]+([A-Z][a-z]*)*$/, name);
	}
});

test('a table that differs from what TypeScript reads is refused at load', (t) => {
	t.notThrows(() => checkOperations(TABLE));
	for (const name of Object.keys(TABLE))
		t.throws(
			() => checkOperations(Object.fromEntries(Object.entries(TABLE).filter(([other]) => other !== name))),
			{ message: new RegExp(`operation ${name} is not as .*no such operation`) }
		);
	t.throws(
		() => checkOperations({ ...TABLE, another: { op: 99, results: [] } }),
		{ message: /operation another is not as/ }
	);
	t.throws(
		() => checkOperations({ ...TABLE, read: { op: 7, results: ['ns'] } }),
		{ message: /operation read is not as native\/addon.ts has it \(C: ns; here: bytes, ns\)/ }
	);
	t.throws(
		() => checkOperations({ ...TABLE, count: { op: 8, results: ['calls'] } }),
		{ message: /operation count is not as/ }
	);
});

test('the tracer answers every operation that is in the table, and no other', (t) => {
	const tracer = addon().startTracer(
		fileURLToPath(new URL('../../native/build/procsnap-tracer', import.meta.url)), -1, 0, 1 << 20
	);
	t.is(tracer.hello.result['pid'], tracer.pid);
	const codeOf = (op: number): string => addon().request(tracer.socket, op, 0, 1e9, 0, 0).message;
	for (const [name, { op }] of Object.entries(TABLE)) {
		if (name === 'hello') t.regex(codeOf(op), /has no operation 0/);
		else t.notRegex(codeOf(op), /has no operation/, name);
	}
	for (const op of [-1, Object.keys(TABLE).length]) t.regex(codeOf(op), new RegExp(`has no operation ${op}`));
	t.true(addon().stopTracer(tracer.socket, tracer.process));
});

test('a reply has the names that C declares, and each figure its own', async (t) => {
	const target = await start(t, 'states', 'idle'), tracer = tracerFor(t);
	const taken = tracer.inject(target.pid);
	t.deepEqual(
		Object.keys(taken),
		[
			'pid', 'threads', 'takeNs', 'pauseNs', 'windowNs', 'cloneNs', 'momentNs', 'leftOut',
			'restartedCalls', 'lengthenedTimeouts', 'cutCalls', 'calls',
		]
	);
	t.is(taken.threads, 1);
	t.true(
		taken.takeNs >= taken.pauseNs && taken.pauseNs >= taken.windowNs && taken.windowNs >= taken.cloneNs &&
			taken.cloneNs > 0
	);
	t.is(tracer.registers().length, 1);
	const ended = tracer.end();
	t.deepEqual(
		Object.keys(ended),
		[
			'killNs', 'reapNs', 'pauseNs', 'unaskedPauseNs', 'unburied', 'endedEarly', 'restartedCalls',
			'lengthenedTimeouts', 'cutCalls', 'calls',
		]
	);
	t.true(ended.reapNs >= ended.killNs && ended.killNs > 0);
	t.is(ended.unaskedPauseNs, 0);
	const copied = tracer.stopCopy(target.pid);
	t.deepEqual(
		Object.keys(copied),
		[
			'bytes', 'threads', 'takeNs', 'pauseNs', 'unreadableBytes', 'regions', 'restartedCalls',
			'lengthenedTimeouts', 'cutCalls', 'calls',
		]
	);
	t.true(copied.bytes > copied.regions && copied.regions > 1);
	tracer.end();
	t.is(tracer.hold(target.pid), 1);
	t.true(tracer.letGo() > 0);
});

test('the names of ways and steps are in C\'s order', (t) => {
	const { ways } = addon().constants;
	t.deepEqual([...ways], [...WAYS]);
	t.notThrows(() => checkWays(ways));
	t.throws(
		() => checkWays(ways.toReversed()),
		{ message: /ways of reading are not as native\/addon.ts has them \(C: memcpy, vm-readv, .*; here: proc-mem-paper, / }
	);
	t.deepEqual([steps()[0], steps().at(-1)], ['none', 'unregistering']);
	t.is(new Set(steps()).size, steps().length);
});
