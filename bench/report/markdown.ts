import type { Column, Table } from '../types.ts';
import { cellWriter, heading, isNumeric, markedTitle, NOT_MEASURED, UNIT_LABELS } from './format.ts';

/**
 * A table as GitHub's Markdown, with its title before it and its notes after it; the paper's figures are in italics.
 */
export function tableToMarkdown(table: Table): string {
	const { columns, rows } = table;
	const writers = columns.map((column) => cellWriter(column, rows));
	const cells = rows.map((row) =>
		columns.map((column, i) => emphasize(column, escapeCell(writers[i]?.(row[column.key]) ?? ''))));
	const lines = [
		line(columns.map((column) => emphasize(column, escapeCell(headingWithUnit(column))))),
		line(columns.map((column) => (isNumeric(column, rows) ? '---:' : ':---'))),
		...cells.map(line),
	];
	const parts = [`**${escapeText(markedTitle(table))}**`, lines.join('\n')];
	if (rows.length === 0) {
		parts.push(`*${NOT_MEASURED}*`);
	}
	if (table.notes.length > 0) {
		parts.push(table.notes.map((note) => `- ${escapeText(note)}`).join('\n'));
	}
	return `${parts.join('\n\n')}\n`;
}

function headingWithUnit(column: Column): string {
	const label = column.unit === undefined ? '' : UNIT_LABELS[column.unit];
	return label === '' ? heading(column) : `${heading(column)} (${label})`;
}

function line(cells: string[]): string {
	return `| ${cells.join(' | ')} |`;
}

function emphasize(column: Column, cell: string): string {
	return column.paper === true && cell !== '' ? `*${cell}*` : cell;
}

/** What Markdown or the HTML in it would take for markup is shown as it is. */
function escapeText(value: string): string {
	return value.replace(/[\\`*_[\]<>&#~]/g, '\\$&').replace(/\s*[\r\n]+\s*/g, ' ');
}

function escapeCell(value: string): string {
	return escapeText(value).replaceAll('|', '\\|');
}
