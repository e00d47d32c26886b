import { stringify } from 'csv-stringify/sync';
import type { CellValue, Column, Table } from '../types.ts';
import { heading, NOT_MEASURED } from './format.ts';

/**
 * Raw numbers, unrounded; the unit is in the heading. A mark, as of emulated figures, is a last column: rows are
 * copied without their table.
 */
export function tableToCsv({ columns, rows: cells, mark }: Table): string {
	const marked = (row: string[], value: string): string[] => (mark === undefined ? row : [...row, text(value)]);
	const header = marked(columns.map((column) => text(csvHeading(column))), 'mark');
	const rows = cells.map((row) => marked(columns.map((column) => csvCell(row[column.key], column)), mark ?? ''));
	return stringify([header, ...rows], { record_delimiter: '\n' });
}

function csvHeading(column: Column): string {
	return column.unit === undefined ? heading(column) : `${heading(column)} (${column.unit})`;
}

function csvCell(value: CellValue | undefined, column: Column): string {
	if (value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))) {
		return column.paper === true ? '' : NOT_MEASURED;
	}
	return typeof value === 'number' ? String(value) : text(value);
}

/** A spreadsheet takes text that begins so for a formula; an apostrophe makes it text. Numbers keep their minus. */
function text(value: string): string {
	return /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
}
