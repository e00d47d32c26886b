/**
 * Names are bytes, and texts are what JSON has. What is UTF-8 is read as such; each other byte is a code unit of its
 * own, U+DC80 to U+DCFF, which no UTF-8 gives: Python's `surrogateescape` (PEP 383), so that nothing is lost. Pure.
 */

const ESCAPE = 0xdc00;
const REPLACEMENT = '\ufffd';

export function textOf(bytes: Uint8Array): string {
	const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), text = buffer.toString('utf8');
	if (!text.includes(REPLACEMENT)) return text;
	const parts: string[] = [];
	let good = 0;	// from there on all is UTF-8
	for (let at = 0; at < buffer.length;) {
		const length = sequenceAt(buffer, at);
		if (length === 0) {
			parts.push(buffer.toString('utf8', good, at), String.fromCharCode(ESCAPE + (buffer[at] ?? 0)));
			good = at + 1;
		}
		at += Math.max(1, length);
	}
	parts.push(buffer.toString('utf8', good));
	return parts.join('');
}

/** Bytes of the character that begins here; 0: this is no UTF-8. */
function sequenceAt(buffer: Buffer, at: number): number {
	const first = buffer[at] ?? 0;
	const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (length === 1) return 1;
	const bytes = buffer.subarray(at, at + length);
	// What cannot be decoded comes back as something else: overlong, a surrogate, cut off, not begun.
	return Buffer.from(bytes.toString('utf8')).equals(bytes) ? length : 0;
}

/** The bytes that textOf() has read. */
export function bytesOfText(text: string): Buffer {
	if (!/[\udc80-\udcff]/.test(text)) return Buffer.from(text);
	return Buffer.concat([...text].map((character) => {
		const code = character.charCodeAt(0);
		return character.length === 1 && code >= 0xdc80 && code <= 0xdcff
			? Buffer.from([code - ESCAPE])
			: Buffer.from(character);
	}));
}
