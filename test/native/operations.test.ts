/**
 * What C and TypeScript say to each other: operations by their names, and one place for each number
 * (native/tracer/operations.h).
 */
import test, { type ExecutionContext } from 'ava';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../common/errors.ts';
import { addon, checkWays } from '../../native/addon.ts';
import type { Asked } from '../../native/connection.ts';
import { steps, WAYS } from '../../native/index.ts';
import { checkOperations, operationsIn, RESULTS } from '../../native/operations.ts';
import { failure, start, tracerFor } from './help.ts';

/** A tracer by the addon alone. */
function startRaw(t: ExecutionContext): { socket: number; operations: string } {
	const tracer = addon().startTracer(
		fileURLToPath(new URL('../../native/build/procsnap-tracer', import.meta.url)), -1, 0, 1 << 20
	);
	t.teardown(() => addon().stopTracer(tracer.socket, tracer.process));
	return tracer;
}

test('every operation has a number and a name of its own, and names for its results', (t) => {
	const table = operationsIn(startRaw(t).operations), numbers = [...table.values()].map(({ op }) => op);
	t.deepEqual(numbers, numbers.map((_, i) => i));
	t.true(table.has('hello') && table.size > 10);
	for (const [name, { results }] of table) {
		t.is(new Set(results).size, results.length, name);
		for (const result of [name, ...results]) t.regex(result, /^[a-z]+([A-Z][a-z]*)*$/, name);
	}
	t.throws(
		() => operationsIn('take_one pid\nread ns bytes\ntake_one\n'),
		{ message: 'two files of native/tracer/ have an operation takeOne: rename one' }
	);
});

test('a tracer that differs from what TypeScript reads is refused at its start', (t) => {
	const table = operationsIn(startRaw(t).operations);
	t.notThrows(() => checkOperations(table));
	for (const name of Object.keys(RESULTS))
		t.throws(
			() => checkOperations(new Map([...table].filter(([other]) => other !== name))),
			{ message: new RegExp(`operation ${name} is not as .*no such operation`) }
		);
	t.throws(
		() => checkOperations(new Map([...table, ['read', { op: 7, results: ['ns'] }]])),
		{ message: /operation read is not as native\/operations.ts has it \(tracer: ns; here: bytes, ns\): sh scripts\/setup/ }
	);
	t.throws(
		() => checkOperations(new Map([...table, ['count', { op: 8, results: ['calls'] }]])),
		{ message: /operation count is not as/ }
	);
	const another = new Map([...table, ['another', { op: 99, results: ['ns'] }]]);
	t.notThrows(() => checkOperations(another), 'a mechanism\'s own');
});

test('an operation or a result that C has not is an error, and the tracer is not asked', async (t) => {
	const target = await start(t, 'states', 'idle'), tracer = tracerFor(t);
	t.throws(() => tracer.ask('takeNone', []), { instanceOf: Failure, message: /has no operation takeNone \(it has .*stopCopy/ });
	t.throws(
		() => tracer.askStopping('hold', ['threads', 'takenNs'], { pid: target.pid }),
		{ message: /operation hold has no result takenNs \(it has threads, registers\)/ }
	);
	t.throws(() => tracer.ask('hold', ['registers']), { message: /no result registers/ }, 'they are not read as a figure');
	t.is(failure(t, () => tracer.letGo()).code, 'ENOENT', 'nothing was held');
	t.deepEqual(tracer.askStopping('hold', ['threads'], { pid: target.pid }), { threads: 1 });
	t.is(tracer.registers().length, 1);
	t.true(tracer.ask('letGo', ['heldNs']).heldNs > 0);
});

test('bytes and numbers of a request are bounded', (t) => {
	const tracer = tracerFor(t, { dataBytes: 8192 });
	const asked = (options: Asked): string => failure(t, () => tracer.ask('precopy', [], options)).message;
	t.regex(asked({ bytes: new Uint8Array(8192) }), /asked with 0 numbers and 8192 bytes: there is room for 4 and 7\d\d\d/);
	t.regex(asked({ bytes: new Uint8Array(4096) }), /4096 bytes go with a request that takes fewer than 4096/);
	t.regex(asked({ numbers: [1, 2, 3, 4, 5] }), /asked with 5 numbers/);
	const { socket, operations } = startRaw(t), op = operationsIn(operations).get('precopy')!.op;
	for (const bytes of [4096, 1 << 20, 2 ** 53])
		t.regex(addon().request(socket, op, 0, 1e9, 0, bytes, 0).message, new RegExp(`${bytes} bytes go with`));
});

test('the tracer answers every operation that it names, and no other', (t) => {
	const { socket, operations } = startRaw(t), table = operationsIn(operations);
	const messageOf = (op: number): string => addon().request(socket, op, 0, 1e9, 0, 0).message;
	for (const [name, { op }] of table) t.notRegex(messageOf(op), /has no operation/, name);
	for (const op of [-1, table.size, 2 ** 31 - 1]) t.regex(messageOf(op), new RegExp(`has no operation ${op}`));
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
