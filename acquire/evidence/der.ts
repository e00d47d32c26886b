/**
 * Lengths of a DER structure (X.690, 10.1). asn1js lets parts stick out of what they are in, so that one text could
 * be read in two ways: what passes here cannot. Pure.
 */

const CONSTRUCTED = 0x20;
const LONG_TAG = 0x1f;
const MOST_DEPTH = 32;

/** One structure from end to end: lengths definite and as short as can be, and parts that fill what they are in. */
export const isWhole = (bytes: Uint8Array): boolean => countParts(bytes, 0) === 1;

/** How many structures there are, one after the other; NaN where they are not whole. */
function countParts(bytes: Uint8Array, depth: number): number {
	let count = 0;
	for (let at = 0; at < bytes.length; count++) {
		const tag = bytes[at] ?? 0;
		const { start, length } = lengthAt(bytes, at + 1);
		// No structure here has a tag of several bytes. A length that is not one is NaN.
		if ((tag & LONG_TAG) === LONG_TAG || !(start + length <= bytes.length) || depth > MOST_DEPTH) return NaN;
		if ((tag & CONSTRUCTED) !== 0 && Number.isNaN(countParts(bytes.subarray(start, start + length), depth + 1)))
			return NaN;
		at = start + length;
	}
	return count;
}

/** Where the content begins, and how long it is; NaN: no DER. */
function lengthAt(bytes: Uint8Array, at: number): { start: number; length: number } {
	const first = bytes[at] ?? NaN;
	if (!(first >= 0x80)) return { start: at + 1, length: first };
	const count = first & 0x7f;
	const length = bytes.subarray(at + 1, at + 1 + count).reduce((sum, byte) => sum * 256 + byte, 0);
	return { start: at + 1 + count, length: length >= Math.max(0x80, 256 ** (count - 1)) ? length : NaN };
}
