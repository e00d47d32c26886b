/** Registers as people read them, one a line. Pure. */
import type { Named, RawPart, ThreadRegistersText } from './evidence/registers.ts';

const BYTES_A_LINE = 32;

/** `withRaw`: what was read where that is not in the layout that is shown. */
export const registerLines = (threads: readonly ThreadRegistersText[], withRaw: boolean): string[] =>
	threads.flatMap(({ tid, general, extended, raw }) => [
		`thread ${tid}`, ...namedLines(general),
		...(extended === null ? ['  the core has no XSAVE area of it'] : namedLines(extended)),
		...(withRaw ? rawLines(raw) : []),
	]);

const namedLines = (named: Named): string[] =>
	Object.entries(named).map(([name, value]) => `  ${name.padEnd(10)} ${value}`);

function rawLines(raw: ThreadRegistersText['raw']): string[] {
	if (raw === null) return ['  raw: its XSAVE area was read as it is shown'];
	return [
		`  raw: its XSAVE area was read with ${raw.bytes} bytes, XCR0 ${raw.xcr0}, XSTATE_BV ${raw.xstateBv}`,
		`    x87 and SSE: ${raw.legacySame ? 'as shown' : 'NOT as shown'}`,
		...raw.parts.flatMap(partLines),
	];
}

function partLines({ number, name, bytes, offset, expectedAt, content }: RawPart): string[] {
	const head = `    component ${number} (${name}), ${bytes} bytes at ${offset}: `;
	if (content === null) return [`${head}as shown`];
	const lines = content.match(new RegExp(`.{1,${2 * BYTES_A_LINE}}`, 'g')) ?? [];
	return [
		head + (expectedAt === null ? 'only here; what is not listed of it is zeros' : 'NOT as shown'),
		// AMX's tiles are 8 KiB, and most threads have none in use.
		...lines.map((text, i) => `      ${offset + i * BYTES_A_LINE}: ${text}`)
			.filter((_, i) => expectedAt !== null || !/^0*$/.test(lines[i] ?? '')),
	];
}
