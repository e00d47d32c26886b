/**
 * Okabe and Ito's colours, which stay apart for colour-blind readers; yellow is
 * left out, as it does not show on white.
 */
const BLUE = '#0072b2';
const ORANGE = '#e69f00';
const VERMILION = '#d55e00';
const GREEN = '#009e73';
const SKY = '#56b4e9';
const PURPLE = '#cc79a7';
const BLACK = '#333333';

/** The paper's figures in charts, and lines that mark a budget. */
export const PAPER_COLOUR = '#7a7a7a';
export const BUDGET_COLOUR = '#a3262a';

export const PALETTE = [BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK];

/** A mechanism, and a way of reading, has one colour in every chart of every run. */
const COLOURS = new Map(Object.entries({
	inject: BLUE,
	stop: VERMILION,
	syscall: GREEN,
	fork: ORANGE,
	precopy: PURPLE,
	gcore: BLACK,
	'proc-mem-paper': BLUE,
	'proc-mem': SKY,
	peek: VERMILION,
	'vm-readv': GREEN,
	memcpy: BLACK,
	paper: PAPER_COLOUR,
}));

/** A scale for a chart's colour channel: known names have their own colour, others the first that is still free. */
export function colourScale(names: readonly string[]): { domain: string[]; range: string[] } {
	const domain = [...new Set(names)];
	const taken = new Set(domain.map((name) => COLOURS.get(name)));
	const free = PALETTE.filter((colour) => !taken.has(colour));
	let next = 0;
	const range = domain.map((name) => COLOURS.get(name) ?? free[next++ % Math.max(1, free.length)] ?? PAPER_COLOUR);
	return { domain, range };
}
