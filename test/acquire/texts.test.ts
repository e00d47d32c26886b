/** texts.ts and arguments.ts. */
import test from 'ava';
import { pidOf } from '../../acquire/arguments.ts';
import { partialText } from '../../acquire/texts.ts';
import { UsageError } from '../../common/errors.ts';

test('what is missing of partial evidence, by whoever chose the reason', (t) => {
	t.is(
		partialText({ missingBytes: 3 * 2 ** 20, reason: 'no\nroom\u001b[2J' }),
		'partial: 3.0 MiB of the duplicate were not read: no?room?[2J'
	);
});

test('process ids', (t) => {
	t.is(pidOf('1', 'take'), 1);
	t.is(pidOf('4194304', 'take'), 4194304);
	t.throws(
		() => pidOf(undefined, 'take'), { instanceOf: UsageError, message: 'take wants a process: procsnap take PID' }
	);
	for (const text of ['', '0', '01', '-1', '+1', '1.0', '1e3', '0x10', ' 1', '1\n', 'self', '٣', '99999999999']) {
		t.throws(
			() => pidOf(text, 'take'),
			{ instanceOf: UsageError, message: `${JSON.stringify(text)} is no process id: procsnap take PID` }
		);
	}
});
