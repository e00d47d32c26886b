/**
 * What becomes of tables, charts and claims where the CPU is emulated. Its times
 * are no times: they carry a mark, and the paper's do not stand beside them. Where
 * it counts instructions, every unit of time becomes one of instructions. Pure.
 */
import type { Manifest } from '../store/manifest.ts';
import type { CellValue, Chart, Claim, Column, Listing, Table } from '../types.ts';

export interface Shown {
	tables: Table[];
	charts: Chart[];
	listings: Listing[];
	claims: Claim[];
}

export type Environment = Manifest['environment'];

/** null where times are times. */
export function markOf({ label, guest }: Environment): string | null {
	if (guest?.countInstructions === true) {
		return 'emulated, instructions counted: no times';
	}
	return label === 'emulated' ? 'emulated: not times of a real CPU' : null;
}

/** As a heading says it: `emulated`, `vm`. */
export function labelOf({ label, guest }: Environment): string {
	return guest?.countInstructions === true ? `${label}, instructions counted` : label;
}

export function showIn(environment: Environment, shown: Shown): Shown {
	const mark = markOf(environment);
	if (mark === null) {
		return shown;
	}
	const counted = environment.guest?.countInstructions === true;
	const table = (each: Table): Table => {
		const own = { ...withoutPaper(each), mark };
		return counted ? inInstructions(own) : own;
	};
	const chart = (each: Chart): Chart => {
		const own = {
			...each, title: `${each.title} (${labelOf(environment)})`, spec: dropPaper(each.spec) as Chart['spec'],
		};
		return counted ? { ...own, caption: words(own.caption), spec: rename(own.spec) as Chart['spec'] } : own;
	};
	return {
		tables: shown.tables.map(table),
		charts: shown.charts.map(chart),
		listings: shown.listings,
		claims: shown.claims.map((claim) => judge(claim, counted)),
	};
}

/** Neither its columns nor its rows. */
function withoutPaper(table: Table): Table {
	return {
		...table,
		columns: table.columns.filter((column) => column.paper !== true),
		rows: table.rows.filter((row) => !Object.values(row).some(isPapers)),
		notes: table.notes.filter((note) =>
			!/\bthe paper(?:'s|’s|:| has| prints| gives)?\b/i.test(note) || /As the paper/.test(note)),
	};
}

const isPapers = (value: unknown): boolean => typeof value === 'string' && /^paper(?::|$)/.test(value);

/** Of a chart's data the rows that are the paper's; of its scales the name. */
function dropPaper(node: unknown): unknown {
	if (Array.isArray(node)) {
		return node.filter((item) =>
			typeof item !== 'object' || item === null || !Object.values(item as object).some(isPapers)).map(dropPaper);
	}
	if (typeof node !== 'object' || node === null) {
		return node;
	}
	const entries = Object.entries(node).map(([key, value]): [string, unknown] => [key, dropPaper(value)]);
	const scale = node as { domain?: unknown; range?: unknown };
	if (Array.isArray(scale.domain) && Array.isArray(scale.range) && scale.domain.length === scale.range.length) {
		const kept = scale.domain.map((name, i): [unknown, unknown] => [name, (scale.range as unknown[])[i]])
			.filter(([name]) => !isPapers(name));
		return {
			...Object.fromEntries(entries), domain: kept.map(([name]) => name), range: kept.map(([, value]) => value),
		};
	}
	return Object.fromEntries(entries);
}

/** A column's unit of time: how many thousands of instructions are one of it, at one a nanosecond. */
const THOUSANDS: Partial<Record<NonNullable<Column['unit']>, number>> = { ns: 1e-3, us: 1, ms: 1e3 };

function inInstructions(table: Table): Table {
	const factors = new Map<string, number>();
	const columns = table.columns.map((column): Column => {
		const factor = column.unit === undefined ? undefined : THOUSANDS[column.unit];
		if (factor !== undefined) {
			factors.set(column.key, factor);
			return { ...column, title: words(column.title), unit: 'kinstr' };
		}
		return {
			...column, title: words(column.title), ...(column.unit === 'GB/s' ? { unit: 'B/instr' as const } : {}),
		};
	});
	const cell = (key: string, value: CellValue): CellValue => {
		const factor = factors.get(key);
		return factor === undefined || typeof value !== 'number'
			? (typeof value === 'string' ? words(value) : value)
			: value * factor;
	};
	return {
		...table,
		title: words(table.title),
		columns,
		rows: table.rows.map((row) =>
			Object.fromEntries(Object.entries(row).map(([key, value]) => [key, cell(key, value)]))),
		notes: table.notes.map(words),
	};
}

/** Axes and legends of a chart keep their numbers: 1 µs is a thousand instructions, 1 ms a million. */
function rename(node: unknown): unknown {
	if (typeof node === 'string') {
		return words(node);
	}
	if (Array.isArray(node)) {
		return node.map(rename);
	}
	return typeof node === 'object' && node !== null
		? Object.fromEntries(Object.entries(node)
			.map(([key, value]) =>
				[
					key,
					key === 'title' || key === 'text'
						? rename(value)
						: typeof value === 'object' ? rename(value) : value,
				]))
		: node;
}

const NAMES: Record<string, string> = { ns: 'instr.', µs: 'k instr.', ms: 'M instr.', 'GB/s': 'B/instr.' };

/** Units of time in a text, after a number or in brackets or alone. */
function words(text: string): string {
	return text
		.replace(
			/(\d\s?|\(|^|, )(ns|µs|ms|GB\/s)(?=$|\)|[\s,;.:])/g,
			(_, before: string, unit: string) => `${before.replace(/(\d)$/, '$1 ')}${NAMES[unit] ?? unit}`
		)
		.replace(/(\d) s(?=$|[\s,;.)])/g, '$1 G instr.')
		.replaceAll('instr..', 'instr.');
}

function judge(claim: Claim, counted: boolean): Claim {
	const own = counted ? { ...claim, here: words(claim.here) } : claim;
	return claim.byTime === true
		? { ...own, holds: null, here: 'an emulated CPU has no times to judge it by', unjudged: 'not judged: emulated' }
		: own;
}
