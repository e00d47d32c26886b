import type { CellValue, Column, Table } from '../types.ts';

/** What a cell says where this run has no number for it. */
export const NOT_MEASURED = 'not measured';
/** What a cell of the paper's says where the paper gives no number. */
export const NOT_GIVEN = '–';

type ColumnUnit = NonNullable<Column['unit']>;

/** As the unit is written beside a heading; '' where the number speaks for itself. */
export const UNIT_LABELS: Record<ColumnUnit, string> = {
	ns: 'ns', us: 'µs', ms: 'ms', kinstr: 'k instr.', B: 'B', KiB: 'KiB', MiB: 'MiB', 'GB/s': 'GB/s',
	'B/instr': 'B/instr.', ratio: '×', count: '', percent: '%',
};

/** The most decimals that a unit's measurement bears. */
const MOST_DECIMALS: Record<ColumnUnit, number> = {
	ns: 1, us: 2, ms: 4, kinstr: 3, B: 0, KiB: 1, MiB: 1, 'GB/s': 2, 'B/instr': 3, ratio: 2, count: 1, percent: 2,
};
const DECIMALS_WITHOUT_UNIT = 3;
const SIGNIFICANT_DIGITS = 4;

/** Nanoseconds to the number that stands in a column of that unit: cells hold their column's unit, not nanoseconds. */
export function fromNs(ns: number, unit: 'ns' | 'us' | 'ms'): number {
	return ns / { ns: 1, us: 1e3, ms: 1e6 }[unit];
}

/** Fixed decimals with a comma for thousands, whatever the locale. */
export function formatNumber(value: number, decimals: number): string {
	if (!Number.isFinite(value)) {
		return NOT_MEASURED;
	}
	// toFixed gives up fixed notation at 1e21.
	if (Math.abs(value) >= 1e21) {
		return value.toExponential(SIGNIFICANT_DIGITS - 1);
	}
	const [whole = '', fraction] = Math.abs(value).toFixed(decimals).split('.');
	const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
	const digits = fraction === undefined ? grouped : `${grouped}.${fraction}`;
	return value < 0 && /[1-9]/.test(digits) ? `-${digits}` : digits;
}

/**
 * How a column's cells are written: one number of decimals for all of them, so
 * that digits stand under digits. Our numbers show four significant digits of
 * the smallest, as far as the unit's measurement bears it; the paper's are
 * written as precisely as it prints them.
 */
export function cellWriter(column: Column, rows: Table['rows']): (value: CellValue | undefined) => string {
	const numbers = rows.map((row) => row[column.key])
		.filter((value) => typeof value === 'number' && Number.isFinite(value));
	const decimals = column.paper === true
		? printedDecimals(numbers as number[])
		: decimalsFor(numbers as number[], column.unit);
	return (value) => {
		if (value === null || value === undefined) {
			return column.paper === true ? NOT_GIVEN : NOT_MEASURED;
		}
		return typeof value === 'string' ? value : writeNumber(value, decimals);
	};
}

/** A number that the column's decimals would make 0 is written with more, as it is not 0. */
function writeNumber(value: number, decimals: number): string {
	const written = formatNumber(value, decimals);
	if (value === 0 || /[1-9a-z]/.test(written)) {
		return written;
	}
	return formatNumber(value, Math.min(100, -Math.floor(Math.log10(Math.abs(value)))));
}

function decimalsFor(numbers: number[], unit: ColumnUnit | undefined): number {
	const most = unit === undefined ? DECIMALS_WITHOUT_UNIT : MOST_DECIMALS[unit];
	const sizes = numbers.map(Math.abs).filter((size) => size > 0);
	if (sizes.length === 0 || numbers.every(Number.isInteger)) {
		return 0;
	}
	const smallest = Math.floor(Math.log10(Math.min(...sizes)));
	return Math.max(0, Math.min(most, SIGNIFICANT_DIGITS - 1 - smallest));
}

function printedDecimals(numbers: number[]): number {
	const printed = numbers.map((number) => /^-?\d+\.(\d+)$/.exec(String(number))?.[1]?.length ?? 0);
	return Math.max(0, ...printed);
}

/** A column of numbers, which are aligned at the right. */
export function isNumeric(column: Column, rows: Table['rows']): boolean {
	return column.unit !== undefined || (rows.length > 0 && rows.every((row) => typeof row[column.key] === 'number'));
}

/** A column of the paper's whose title does not say so: it has to be marked. */
export function needsPaperMark(column: Column): boolean {
	return column.paper === true && !/\bpaper\b/i.test(column.title);
}

/** The column's heading without its unit; what is the paper's says so. */
export function heading(column: Column): string {
	return needsPaperMark(column) ? `paper: ${column.title}` : column.title;
}

/** `table-5` to `Table 5`, so that a title can be numbered as the paper's is; null where the name has no number. */
export function numbered(name: string): string | null {
	const match = /^(table|figure)-(\d+)$/.exec(name);
	return match === null ? null : `${match[1] === 'table' ? 'Table' : 'Figure'} ${match[2]}`;
}

/** The title with its number before it, unless it has it already. */
export function fullTitle({ name, title }: { name: string; title: string }): string {
	const number = numbered(name);
	return number === null || title.toLowerCase().startsWith(number.toLowerCase()) ? title : `${number}. ${title}`;
}

/** The same, and what the reader has to know of all of its figures. */
export function markedTitle(table: Pick<Table, 'name' | 'title' | 'mark'>): string {
	return table.mark === undefined ? fullTitle(table) : `${fullTitle(table)} [${table.mark}]`;
}
