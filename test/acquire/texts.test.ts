/** texts.ts and arguments.ts. */
import test from 'ava';
import { pidOf } from '../../acquire/arguments.ts';
import { identityText, momentOf, partialText } from '../../acquire/texts.ts';
import { UsageError } from '../../common/errors.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';

test('what is missing of partial evidence; whoever writes it escapes it', (t) => {
	t.is(
		partialText({ missingBytes: 3 * 2 ** 20, reason: 'no\nroom\u001b[2J' }),
		'partial: 3.0 MiB of the duplicate were not read: no\nroom\u001b[2J'
	);
});

test('which evidence it is: host, program, process, moment and id', (t) => {
	const manifest = {
		target: { pid: 12, command: 'plcd', program: '/usr/sbin/plcd' }, collector: { host: 'plc-1' },
		before: { wallClock: '2026-01-02T03:04:05.500Z', monotonicNs: 7_000_000_000 }, momentNs: 7_250_000_000,
	} as unknown as Manifest;
	t.is(
		identityText(manifest, '0123456789abcdef'),
		'process 12 (plcd, /usr/sbin/plcd) on plc-1, as of 2026-01-02T03:04:05.750Z, id 0123456789abcdef'
	);
	t.is(momentOf({ ...manifest, momentNs: 2 ** 64 }), '2610-07-24T02:38:32.209Z');
	const late = { wallClock: '9999-12-31T23:59:59Z', monotonicNs: -(2 ** 64) };
	t.regex(momentOf({ before: late, momentNs: 2 ** 64 }), /^\+011169-/, 'what anybody may write throws nothing');
	t.is(momentOf({ ...manifest, before: { wallClock: 'never', monotonicNs: 0 } }), 'a time that no clock shows');
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
			{ instanceOf: UsageError, message: `"${text}" is no process id: procsnap take PID` }
		);
	}
});
