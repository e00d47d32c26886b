/** A container is gone as soon as its init is killed, whatever is held of it. */
import test from 'ava';
import { children, start, state, tracerFor, until } from './help.ts';

const [INIT, GONE] = [1, 3];

for (const who of ['its init', 'another process'])
	test(`the init of a pid namespace is killed while a duplicate of ${who} is held`, async (t) => {
		const target = await start(t, 'container'), tracer = tracerFor(t);
		if (target.process.exitCode !== null) {
			t.log(`not here: ${await target.line()}`);
			return t.pass();
		}
		const init = target.number(INIT), pid = who === 'its init' ? init : children(init)[0]!;
		const duplicate = tracer.inject(pid).pid;
		t.is(state(duplicate), 't');
		process.kill(init, 'SIGKILL');
		await target.atLeast(GONE, 1);
		t.is(state(init), '');
		await until('nothing is left of it', () => state(pid) === '' && state(duplicate) === '');
		t.notThrows(() => tracer.end());
		const other = await start(t, 'states', 'idle');
		tracer.inject(other.pid);
		tracer.end();
		return other.runs(1);
	});
