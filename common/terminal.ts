/**
 * The only way to a terminal or a log. Names, reasons and texts of a target, a peer, a folder or a time stamp are
 * somebody else's choice: what is written here is escaped, all of it, and the only newlines are those that end a line.
 */
import { codeOf } from './errors.ts';

/**
 * Controls, what turns text around, what is not seen, what is no character; what looks like a blank and is none; and
 * the backslash, so that what looks like an escape in a name is told from one.
 */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\\]|(?! )\p{Zs}/gu;

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');

/**
 * Bytes that were no UTF-8 are lone surrogates from U+DC80 to U+DCFF (Python's surrogateescape), and shown as what they
 * were. A control character beyond ASCII is \u0080, since \x80 is such a byte.
 */
function escape(character: string): string {
	const code = character.codePointAt(0) ?? 0;
	if (character === '\\') return '\\\\';
	if (code < 0x80) return `\\x${hex(code, 2)}`;
	if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hex(code - 0xdc00, 2)}`;
	return code > 0xffff ? `\\u{${hex(code, 5)}}` : `\\u${hex(code, 4)}`;
}

/**
 * On one line, with nothing that steers a terminal, and nothing lost: two texts that differ look different. Whoever
 * writes by `out` and `err` need not call it, and what is escaped twice shows its backslashes twice.
 */
export const printable = (text: string): string => text.replace(UNSEEN, escape);

/** The value as JSON in ASCII, on one line: what machines read is what was there, and people may look at it too. */
export const jsonText = (value: unknown): string =>
	JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${hex(unit.charCodeAt(0), 4)}`);

export interface Lines {
	/** One line, whatever is in the text. */
	line: (text: string) => void;
	/** One line each. */
	lines: (texts: readonly string[]) => void;
	/** One line of JSON. */
	json: (value: unknown) => void;
}

function linesTo(stream: () => NodeJS.WriteStream): Lines {
	const lines = (texts: readonly string[]): void =>
		void stream().write(texts.map((text) => `${printable(text)}\n`).join(''));
	return {
		lines, line: (text) => lines([text]), json: (value) => void stream().write(`${jsonText(value)}\n`),
	};
}

/** What was asked for. */
export const out = linesTo(() => process.stdout);

/** What is said besides. */
export const err = linesTo(() => process.stderr);

/** For people, beside what was asked for. */
export const note = (text: string): void => err.line(`procsnap: ${text}`);

/** Nobody reads any more: that is no error of ours. */
export function letReadersGo(): void {
	for (const stream of [process.stdout, process.stderr]) {
		stream.on('error', (error) => {
			if (codeOf(error) !== 'EPIPE') throw error;
		});
	}
}
