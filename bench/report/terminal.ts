import { stripVTControlCharacters } from 'node:util';
import type { Column, Table } from '../types.ts';
import { cellWriter, isNumeric, markedTitle, needsPaperMark, NOT_MEASURED, UNIT_LABELS } from './format.ts';
import { wrap } from './wrap.ts';

export interface TerminalOptions {
	/** Columns of the terminal. A table that is wider continues below, its first column repeated. */
	width?: number;
	/** The paper's figures dimmed. Off where the output is no terminal. */
	colour?: boolean;
}

interface TextColumn {
	lines: string[];
	cells: string[];
	width: number;
	right: boolean;
	paper: boolean;
}

const GAP = 2;

/** A table for a terminal: no boxes, digits under digits, a rule under the headings, notes wrapped. */
export function tableToTerminal(table: Table, { width = 100, colour = false }: TerminalOptions = {}): string {
	const columns = table.columns.map((column) => textColumn(column, table.rows));
	const lines = [...wrap(printable(markedTitle(table)), width), ''];
	for (const part of split(columns, width)) {
		lines.push(...partLines(part, table.rows.length, colour), '');
	}
	for (const note of table.notes) {
		const [first = '', ...rest] = wrap(printable(note), width - 2);
		lines.push(`* ${first}`, ...rest.map((line) => `  ${line}`));
	}
	return `${lines.join('\n').trimEnd()}\n`;
}

function textColumn(column: Column, rows: Table['rows']): TextColumn {
	const write = cellWriter(column, rows);
	const cells = rows.map((row) => printable(write(row[column.key])));
	// Headings are broken so that they do not make a column of short numbers wide.
	const lines = wrap(printable(column.title), Math.max(0, ...cells.map(length)));
	if (needsPaperMark(column)) {
		lines.unshift('paper');
	}
	const unit = column.unit === undefined ? '' : UNIT_LABELS[column.unit];
	if (unit !== '') {
		lines.push(unit);
	}
	const width = Math.max(...[...lines, ...cells].map(length));
	return { lines, cells, width, right: isNumeric(column, rows), paper: column.paper === true };
}

function split(columns: TextColumn[], width: number): TextColumn[][] {
	const [first, ...others] = columns;
	if (first === undefined) {
		return [];
	}
	const parts = [[first]];
	let used = first.width;
	const fits = first.width + others.reduce((sum, column) => sum + GAP + column.width, 0) <= width;
	for (const column of others) {
		const current = parts.at(-1) as TextColumn[];
		// Where the table has to be split, the paper's columns stay together.
		const turns = !fits && current.length > 1 && current.at(-1)?.paper !== column.paper;
		if (turns || (used + GAP + column.width > width && current.length > 1)) {
			parts.push([first, column]);
			used = first.width + GAP + column.width;
		} else {
			current.push(column);
			used += GAP + column.width;
		}
	}
	return parts;
}

function partLines(columns: TextColumn[], rowCount: number, colour: boolean): string[] {
	const height = Math.max(...columns.map((column) => column.lines.length));
	const paint = (column: TextColumn, text: string) => (colour && column.paper ? `\u001b[2m${text}\u001b[22m` : text);
	const line = (cell: (column: TextColumn) => string) =>
		columns.map((column) => paint(column, align(cell(column), column))).join(' '.repeat(GAP)).trimEnd();
	const lines: string[] = [];
	for (let i = 0; i < height; i++) {
		// Headings stand on the rule: the shorter ones begin lower.
		lines.push(line((column) => column.lines[i - (height - column.lines.length)] ?? ''));
	}
	lines.push(line((column) => '─'.repeat(column.width)));
	for (let row = 0; row < rowCount; row++) {
		lines.push(line((column) => column.cells[row] ?? ''));
	}
	if (rowCount === 0) {
		lines.push(NOT_MEASURED);
	}
	return lines;
}

function align(text: string, { width, right }: TextColumn): string {
	const padding = ' '.repeat(Math.max(0, width - length(text)));
	return right ? padding + text : text + padding;
}

function length(text: string): number {
	return [...text].length;
}

/** No control sequence of a hostile process name reaches the terminal. */
function printable(text: string): string {
	return stripVTControlCharacters(text).replace(/\p{Cc}+/gu, ' ');
}
