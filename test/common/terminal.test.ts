/** Whatever somebody else chose is one line, steers no terminal, and loses nothing. */
import { spawnSync } from 'node:child_process';
import test from 'ava';
import { jsonText, printable } from '../../common/terminal.ts';
import { NODE } from '../processes.ts';

test('what is text stays as it is', (t) => {
	for (const text of ['', '/usr/bin/ä 語 😀 (deleted)', 'naïve — “quoted” 1.5 µs', 'é', 'Ω≤≥'])
		t.is(printable(text), text);
});

test('controls, what turns text around and what is not seen are shown', (t) => {
	for (const [text, shown] of [
		['\0\t\n\r\u001b[2J\u007f', '\\x00\\x09\\x0a\\x0d\\x1b[2J\\x7f'],
		['\u0080\u009b2J\u009f', '\\u0080\\u009b2J\\u009f'],
		['\u061c\u200e\u200f\u202a\u202e\u2066\u2069', '\\u061c\\u200e\\u200f\\u202a\\u202e\\u2066\\u2069'],
		['\u2028\u2029', '\\u2028\\u2029'],
		['a\u00adb\u200bc\ufeffd', 'a\\u00adb\\u200bc\\ufeffd'],
		['e\u115ff\u3164g\ufe0fh\u034f', 'e\\u115ff\\u3164g\\ufe0fh\\u034f'],
		['\u00a0\u2003\u3000 ', '\\u00a0\\u2003\\u3000 '],
		['\u{e0041}\u{e01ef}\ue000', '\\u{e0041}\\u{e01ef}\\ue000'],
		['\u{f0000}\u{10ffff}\uffff', '\\u{f0000}\\u{10ffff}\\uffff'],
		['C:\\x1b', 'C:\\\\x1b'],
	] as const) t.is(printable(text), shown);
});

test('bytes that were no UTF-8 are shown as they were, and other halves of characters by their number', (t) => {
	t.is(printable('\udc80\udc9b\udcff'), '\\x80\\x9b\\xff');
	t.is(printable('\ud800 \udbff \udc7f \udd00 \udfff'), '\\ud800 \\udbff \\udc7f \\udd00 \\udfff');
});

test('no two texts look alike, and nothing is left that does anything', (t) => {
	const seen = new Map<string, string>();
	const all = Array.from({ length: 0x11_0000 }, (_, code) => String.fromCodePoint(code));
	for (const text of [...all, '\\x1b', '\\u202e', '\\\\x1b', '\\x80', '\\u0080']) {
		const shown = printable(text);
		if (seen.has(shown)) t.fail(`${JSON.stringify(text)} looks like ${JSON.stringify(seen.get(shown))}`);
		seen.set(shown, text);
		if (/[\p{C}\p{Zl}\p{Zp}\p{DI}]/u.test(shown)) t.fail(JSON.stringify(text));
	}
	t.is(seen.size, 0x11_0000 + 5);
});

test('JSON is ASCII on one line, and says what was there', (t) => {
	const value = { name: 'ä\u009b2J\u202e\n\u001b\udc80😀\\', more: [1, null] };
	const text = jsonText(value);
	t.regex(text, /^[ -~]+$/);
	t.deepEqual(JSON.parse(text), value);
});

test('out, err and note end lines, and nothing else does', (t) => {
	const script = `
		import { err, note, out } from './common/terminal.ts';
		out.line('a\\nb');
		out.lines(['c', 'd\\r\\u001b', '']);
		out.json({ e: '\\u009b' });
		err.line('f\\n');
		note('g\\u202e');`;
	const { stdout, stderr } = spawnSync(
		NODE[0], [...NODE.slice(1), '--input-type=module', '-e', script], { encoding: 'utf8' }
	);
	t.is(stdout, 'a\\x0ab\nc\nd\\x0d\\x1b\n\n{"e":"\\u009b"}\n');
	t.is(stderr, 'f\\x0a\nprocsnap: g\\u202e\n');
});
