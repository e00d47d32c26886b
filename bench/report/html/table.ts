import type { CellValue, Column, Table } from '../../types.ts';
import { cellWriter, fullTitle, isNumeric, NOT_MEASURED, UNIT_LABELS } from '../format.ts';
import { html, type Html } from './markup.ts';

/** From this many columns on, a table is set smaller in print, so that none is cut off. */
const WIDE = 9;

/** A table in a container of its own to scroll in, the paper's columns set apart, its notes below. */
export function tableFigure(table: Table, id: string): Html {
	const { columns, rows } = table;
	const writers = columns.map((column) => cellWriter(column, rows));
	const kinds = columns.map((column, i) => columnClass(column, rows, columns[i - 1]));
	const groups = columns.some((column) => column.paper === true)
		? html`<tr class="groups">${groupCells(columns)}</tr>\n`
		: null;
	const head = columns.map((column, i) => html`<th scope="col" class="${kinds[i] ?? ''}">${headingCell(column)}</th>`);
	const body = rows.map((row) => {
		const cells = columns.map((column, i) =>
			bodyCell(row[column.key], writers[i]?.(row[column.key]) ?? '', kinds[i] ?? '', i === 0));
		return html`<tr>${cells}</tr>\n`;
	});
	const empty = html`<tr><td class="none" colspan="${columns.length}">${NOT_MEASURED}</td></tr>\n`;
	const notes = table.notes.map((note) => html`<li>${note}</li>`);
	return html`<figure class="table${columns.length >= WIDE ? ' wide' : ''}" id="${id}">
<figcaption id="${id}-title"><strong>${fullTitle(table)}</strong>${table.mark === undefined ? null : html` <span class="mark">${table.mark}</span>`}</figcaption>
<div class="scroll" role="region" aria-labelledby="${id}-title" tabindex="0">
<table>
<thead>
${groups}<tr>${head}</tr>
</thead>
<tbody>
${rows.length === 0 ? empty : body}</tbody>
</table>
</div>${notes.length === 0 ? null : html`\n<ul class="notes">${notes}</ul>`}
</figure>
`;
}

function columnClass(column: Column, rows: Table['rows'], before: Column | undefined): string {
	const names = [isNumeric(column, rows) ? 'number' : 'text'];
	if (column.paper === true) {
		names.push(before?.paper === true ? 'paper' : 'paper first');
	}
	return names.join(' ');
}

/** Above the headings: which columns are the paper's. */
function groupCells(columns: Column[]): Html[] {
	const cells: Html[] = [];
	for (let start = 0, end = 0; start < columns.length; start = end) {
		const paper = columns[start]?.paper === true;
		while (end < columns.length && (columns[end]?.paper === true) === paper) {
			end++;
		}
		const span = end - start;
		cells.push(
			paper
				? html`<th scope="colgroup" class="paper first" colspan="${span}"><span class="source">paper</span></th>`
				: html`<td colspan="${span}"></td>`
		);
	}
	return cells;
}

function headingCell(column: Column): Html {
	const unit = column.unit === undefined ? '' : UNIT_LABELS[column.unit];
	return html`${column.title}${unit === '' ? null : html` <span class="unit">${unit}</span>`}`;
}

function bodyCell(value: CellValue | undefined, written: string, kind: string, first: boolean): Html {
	const missing = value === null || value === undefined ? ' none' : '';
	return first
		? html`<th scope="row" class="${kind}${missing}">${written}</th>`
		: html`<td class="${kind}${missing}">${written}</td>`;
}
