import test from 'ava';
import { cellWriter, formatNumber, fromNs, fullTitle, heading } from '../../../bench/report/format.ts';
import type { CellValue, Column } from '../../../bench/types.ts';

function written(column: Omit<Column, 'key' | 'title'>, values: CellValue[]): string[] {
	const rows = values.map((value) => ({ a: value }));
	return values.map(cellWriter({ key: 'a', title: 'a', ...column }, rows));
}

test('numbers have commas for thousands, whatever the locale, and fixed decimals', (t) => {
	t.is(formatNumber(1_705.594, 2), '1,705.59');
	t.is(formatNumber(999, 0), '999');
	t.is(formatNumber(1_000_000, 0), '1,000,000');
	t.is(formatNumber(1234.56789, 5), '1,234.56789');
	t.is(formatNumber(-12_345.6, 1), '-12,345.6');
	t.is(formatNumber(-0.001, 1), '0.0');
	t.is(formatNumber(NaN, 1), 'not measured');
	t.is(formatNumber(1.5e21, 1), '1.500e+21');
});

test('digits stand under digits: a column has one number of decimals, four digits for its smallest', (t) => {
	t.deepEqual(written({ unit: 'us' }, [5.0712, 1705.594]), ['5.07', '1,705.59']);
	t.deepEqual(written({ unit: 'us' }, [155.04, 6845.02]), ['155.0', '6,845.0']);
	t.deepEqual(written({ unit: 'ms' }, [0.00812, 0.5]), ['0.0081', '0.5000']);
	t.deepEqual(written({ unit: 'GB/s' }, [12.3456, 1.2]), ['12.35', '1.20']);
	t.deepEqual(written({ unit: 'KiB' }, [16, 1024]), ['16', '1,024']);
	t.deepEqual(written({ unit: 'B' }, [978305.4]), ['978,305']);
});

test('what is not 0 is not written as 0', (t) => {
	t.deepEqual(written({ unit: 'ratio' }, [0.00042, 500]), ['0.0004', '500.00']);
	t.deepEqual(written({ unit: 'ratio' }, [0, 0.5]), ['0.00', '0.50']);
});

test('the paper’s numbers are as precise as printed', (t) => {
	t.deepEqual(written({ unit: 'ms', paper: true }, [0.191, 0.204, 0.22]), ['0.191', '0.204', '0.220']);
	t.deepEqual(written({ unit: 'us', paper: true }, [5.58, 193.21]), ['5.58', '193.21']);
});

test('what was not measured says so, and what the paper does not give is a dash', (t) => {
	t.deepEqual(written({ unit: 'us' }, [null, 1]), ['not measured', '1']);
	t.deepEqual(written({ unit: 'us', paper: true }, [null, 42.24]), ['–', '42.24']);
	t.is(cellWriter({ key: 'b', title: 'b' }, [])(undefined), 'not measured');
});

test('nanoseconds become a column’s unit', (t) => {
	t.is(fromNs(42_240, 'us'), 42.24);
	t.is(fromNs(250_000, 'ms'), 0.25);
	t.is(fromNs(7, 'ns'), 7);
});

test('titles have their number once, headings say once that they are the paper’s', (t) => {
	t.is(fullTitle({ name: 'table-5', title: 'Clone' }), 'Table 5. Clone');
	t.is(fullTitle({ name: 'table-5', title: 'Table 5: clone' }), 'Table 5: clone');
	t.is(fullTitle({ name: 'clone-kill', title: 'Clone' }), 'Clone');
	t.is(heading({ key: 'a', title: 'clone', paper: true }), 'paper: clone');
	t.is(heading({ key: 'a', title: 'clone in the paper', paper: true }), 'clone in the paper');
});
