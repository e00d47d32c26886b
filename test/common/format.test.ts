/** Sizes and times as text. */
import test from 'ava';
import { atMostText, bytesText, durationText } from '../../common/format.ts';

test('sizes', (t) => {
	for (const [bytes, text] of [
		[0, '0 KiB'], [1, '1 KiB'], [4096, '4 KiB'], [4097, '5 KiB'], [2 ** 20, '1.0 MiB'], [1.5 * 2 ** 20, '1.5 MiB'],
		[2 ** 30, '1.0 GiB'], [10 * 2 ** 30, '10.0 GiB'], [2 ** 40, '1024.0 GiB'],
	] as const) t.is(bytesText(bytes), text);
});

test('sizes that would be rounded up to the next unit are of that unit', (t) => {
	t.is(bytesText(2 ** 20 - 1), '1.0 MiB');
	t.is(bytesText(2 ** 20 - 1024), '1023 KiB');
	t.is(bytesText(2 ** 30 - 1), '1.0 GiB');
	t.is(bytesText(1023.9 * 2 ** 20), '1023.9 MiB');
});

test('times', (t) => {
	for (const [ns, text] of [
		[0, '0 µs'], [312_400, '312 µs'], [4_100_000, '4.1 ms'], [2e9, '2.0 s'], [90e9, '90.0 s'],
	] as const)
		t.is(durationText(ns), text);
	t.is(durationText(999_600), '1.0 ms', 'not 1000 µs');
	t.is(durationText(999_960_000), '1.0 s', 'not 1000.0 ms');
});

test('what is at most so long is rounded up, never down', (t) => {
	for (const [ns, text] of [
		[0, '0 µs'], [1, '1 µs'], [312_001, '313 µs'], [999_000, '999 µs'], [999_001, '1.0 ms'], [4_100_000, '4.1 ms'],
		[4_100_001, '4.2 ms'],
		[999_900_000, '999.9 ms'], [999_900_001, '1.0 s'], [2e9, '2.0 s'], [2e9 + 1, '2.1 s'],
	] as const) t.is(atMostText(ns), text);
});
