/**
 * A thread's XSAVE area as readers of cores expect it. Where AVX-512 and PKRU lie in it is the processor's choice
 * (CPUID leaf 0xD), and AMD's is not Intel's; but gdb and those that learned from it know a core's layout by its size
 * and XCR0 alone, and most of them know one: Intel's. So that is what is written; gdb's gcore does the same. Pure.
 */
import type { XsaveComponent } from '../../native/index.ts';

/** x87 and SSE, XCR0 and the header: the same everywhere. */
const COMMON_BYTES = 576;
/** Among the bytes that the processor leaves to software the kernel keeps XCR0; the header begins with XSTATE_BV. */
const XCR0 = 464, XSTATE_BV = 512;
const X87_AND_SSE = 0b11n;

/** By number: where readers expect it. */
const EXPECTED_AT = new Map([
	[2, 576],	// AVX: the upper halves of ymm0 to ymm15
	[3, 960], [4, 1024],	// MPX
	[5, 1088], [6, 1152], [7, 1664],	// AVX-512: k0 to k7, upper halves of zmm0 to zmm15, zmm16 to zmm31
	[9, 2688],	// PKRU
	[19, 960],	// APX: r16 to r31, which readers pass over so far; no processor has it beside MPX
]);

/** The size that says which of them are there, largest first: gdb takes no other. */
const EXPECTED_BYTES: ReadonlyArray<readonly [bits: bigint, bytes: number]> = [
	[bit(9), 2696], [bit(5) | bit(6) | bit(7), 2688], [bit(3) | bit(4), 1088], [bit(2), 832],
];

export interface ExpectedXsave {
	/** The very array that was given, if it is as expected. */
	area: Uint8Array;
	/** What is where in `area`. */
	components: XsaveComponent[];
}

function bit(number: number): bigint {
	return 1n << BigInt(number);
}

/**
 * `read` is what PTRACE_GETREGSET gave, on a processor that keeps `machine` where. What has no expected place (AMX's
 * tiles) is left out, with its bits in XCR0 and XSTATE_BV: the area is that of a processor without it.
 */
export function expectedXsave(read: Uint8Array, machine: readonly XsaveComponent[]): ExpectedXsave {
	if (read.length < COMMON_BYTES) return { area: read, components: [] };	// no XSAVE at all
	const words = new DataView(read.buffer, read.byteOffset, read.length);
	const inUse = words.getBigUint64(XCR0, true);
	const there = machine.filter(({ number, bytes, offset }) =>
		(inUse & bit(number)) !== 0n && offset >= COMMON_BYTES && offset + bytes <= read.length);
	const bits = there.reduce((sum, { number }) => (EXPECTED_AT.has(number) ? sum | bit(number) : sum), 0n);
	const size = EXPECTED_BYTES.find(([some]) => (bits & some) !== 0n)?.[1] ?? COMMON_BYTES;
	const area = Buffer.alloc(size);
	area.set(read.subarray(0, COMMON_BYTES));
	const components: XsaveComponent[] = [];
	for (const { number, bytes, offset: from } of there) {
		const offset = EXPECTED_AT.get(number);
		if (offset === undefined || offset + bytes > size) continue;
		area.set(read.subarray(from, from + bytes), offset);
		components.push({ number, bytes, offset });
	}
	const kept = components.reduce((sum, { number }) => sum | bit(number), X87_AND_SSE);
	for (const at of [XCR0, XSTATE_BV]) area.writeBigUInt64LE(words.getBigUint64(at, true) & kept, at);
	return { area: area.equals(read) ? read : area, components };
}
