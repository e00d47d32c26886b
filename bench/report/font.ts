import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * The charts' font. Arimo has the widths of Arial, Helvetica and Liberation
 * Sans, one of which nearly every machine has: a chart that is laid out with
 * Arimo's widths is right in every viewer without the font being shipped in it.
 */
export const FONT_FAMILY = 'Arimo, Arial, Helvetica, Liberation Sans, sans-serif';
export const FONT_FILES = {
	regular: fontPath('400Regular/Arimo_400Regular.ttf'),
	bold: fontPath('700Bold/Arimo_700Bold.ttf'),
};

type Weight = keyof typeof FONT_FILES;
const loaded = new Map<Weight, Font>();

interface Font {
	unitsPerEm: number;
	/** Advance width of a character, in font units. */
	advance: (codePoint: number) => number;
}

/** Width of a line of text, in the unit of `fontSize`. Kerning, which only narrows, is left out. */
export function textWidth(text: string, fontSize: number, weight: Weight = 'regular'): number {
	const { unitsPerEm, advance } = load(weight);
	let units = 0;
	for (const character of text) {
		units += advance(character.codePointAt(0) as number);
	}
	return (units * fontSize) / unitsPerEm;
}

function fontPath(file: string): string {
	return fileURLToPath(import.meta.resolve(`@expo-google-fonts/arimo/${file}`));
}

function load(weight: Weight): Font {
	const known = loaded.get(weight);
	if (known !== undefined) {
		return known;
	}
	const font = parse(readFileSync(FONT_FILES[weight]));
	loaded.set(weight, font);
	return font;
}

/** The few fields of a TrueType file that widths need: unitsPerEm, the character map, the advance widths. */
function parse(file: Buffer): Font {
	const tables = new Map<string, Buffer>();
	for (let i = 0; i < file.readUInt16BE(4); i++) {
		const entry = 12 + 16 * i;
		const start = file.readUInt32BE(entry + 8);
		tables.set(
			file.toString('latin1', entry, entry + 4), file.subarray(start, start + file.readUInt32BE(entry + 12))
		);
	}
	const table = (tag: string): Buffer => {
		const found = tables.get(tag);
		if (found === undefined) {
			throw new Error(`The bundled font has no table '${tag}': install the dependencies anew with npm ci`);
		}
		return found;
	};
	const glyph = glyphLookup(table('cmap'));
	const hmtx = table('hmtx');
	const lastMetric = table('hhea').readUInt16BE(34) - 1;
	return {
		unitsPerEm: table('head').readUInt16BE(18),
		advance: (codePoint) => hmtx.readUInt16BE(4 * Math.min(glyph(codePoint), lastMetric)),
	};
}

/** Character map, format 4: segments of the basic plane. What it does not have is glyph 0, the box. */
function glyphLookup(cmap: Buffer): (codePoint: number) => number {
	const starts = Array.from({ length: cmap.readUInt16BE(2) }, (_, i) => cmap.readUInt32BE(4 + 8 * i + 4));
	const start = starts.find((offset) => cmap.readUInt16BE(offset) === 4);
	if (start === undefined) {
		throw new Error('The bundled font has no character map of format 4: install the dependencies anew with npm ci');
	}
	const map = cmap.subarray(start);
	const doubled = map.readUInt16BE(6);
	return (codePoint) => {
		for (let segment = 0; segment < doubled; segment += 2) {
			if (codePoint > map.readUInt16BE(14 + segment)) {
				continue;
			}
			const first = map.readUInt16BE(16 + doubled + segment);
			if (codePoint < first) {
				return 0;
			}
			const delta = map.readUInt16BE(16 + 2 * doubled + segment);
			const rangeAt = 16 + 3 * doubled + segment;
			const range = map.readUInt16BE(rangeAt);
			const index = range === 0 ? codePoint : map.readUInt16BE(rangeAt + range + 2 * (codePoint - first));
			return index === 0 ? 0 : (index + delta) & 0xffff;
		}
		return 0;
	};
}
