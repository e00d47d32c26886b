import { stringify } from 'csv-stringify/sync';
import type { CellValue, Column, Table } from '../types.ts';
import { heading, NOT_MEASURED } from './format.ts';

/** Raw numbers, unrounded; the unit is in the heading. */
export function tableToCsv(table: Table): string {
	const header = table.columns.map((column) => text(csvHeading(column)));
	const rows = table.rows.map((row) => table.columns.map((column) => csvCell(row[column.key], column)));
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
