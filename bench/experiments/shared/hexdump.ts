/** As `hexdump -C`: address, 16 bytes, and the characters among them that can be printed. */
export function hexdump(bytes: Uint8Array, address: bigint): string {
	const lines: string[] = [];
	for (let at = 0; at < bytes.length; at += 16) {
		const row = [...bytes.subarray(at, at + 16)];
		const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
		const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
		lines.push(`${(address + BigInt(at)).toString(16).padStart(12, '0')}  ${hex}  |${text}|`);
	}
	return lines.join('\n');
}
