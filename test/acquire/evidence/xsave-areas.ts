/**
 * XSAVE areas of processors that are not here, filled with registers that are known; nothing of what writes cores is
 * used.
 */
import type { XsaveComponent } from '../../../native/index.ts';

/** Numbers of components in XCR0. */
export const AVX = 2, BNDREGS = 3, BNDCSR = 4, K = 5, ZMM_HI256 = 6, HI16_ZMM = 7, PKRU = 9, TILECFG = 17,
	TILEDATA = 18, APX = 19;
export const AVX512 = [K, ZMM_HI256, HI16_ZMM];
const BYTES: Record<number, number> = {
	[AVX]: 256, [BNDREGS]: 64, [BNDCSR]: 64, [K]: 64, [ZMM_HI256]: 512, [HI16_ZMM]: 1024, [PKRU]: 8, [TILECFG]: 64,
	[TILEDATA]: 8192, [APX]: 128,
};

export interface Layout {
	/** Where each component lies. */
	components: XsaveComponent[];
	/** Of the whole area, as PTRACE_GETREGSET gives it. */
	bytes: number;
}

const layout = (bytes: number, offsets: Record<number, number>): Layout => ({
	bytes,
	components: Object.entries(offsets)
		.map(([number, offset]) => ({ number: Number(number), bytes: BYTES[Number(number)]!, offset })),
});

const INTEL = { [AVX]: 576, [K]: 1088, [ZMM_HI256]: 1152, [HI16_ZMM]: 1664 };
const AMD = { [AVX]: 576, [K]: 832, [ZMM_HI256]: 896, [HI16_ZMM]: 1408 };

export const LAYOUTS = {
	'x87 and SSE alone': layout(576, {}),
	'AVX': layout(832, { [AVX]: 576 }),
	'AVX, MPX': layout(1088, { [AVX]: 576, [BNDREGS]: 960, [BNDCSR]: 1024 }),
	'Intel, AVX, PKRU': layout(2696, { [AVX]: 576, [PKRU]: 2688 }),
	'Intel, AVX-512': layout(2688, INTEL),
	'Intel, AVX-512, PKRU': layout(2696, { ...INTEL, [PKRU]: 2688 }),
	'Intel, AVX-512, PKRU, AMX': layout(11_008, { ...INTEL, [PKRU]: 2688, [TILECFG]: 2752, [TILEDATA]: 2816 }),
	'Intel, AVX-512, PKRU, AMX, APX': layout(
		11_008, { ...INTEL, [PKRU]: 2688, [TILECFG]: 2752, [TILEDATA]: 2816, [APX]: 960 }
	),
	'AMD, AVX, PKRU': layout(2440, { [AVX]: 576, [PKRU]: 2432 }),
	'AMD, AVX-512': layout(2432, AMD),
	'AMD, AVX-512, PKRU': layout(2440, { ...AMD, [PKRU]: 2432 }),
	'one that nobody has': layout(
		3000, { [PKRU]: 576, [HI16_ZMM]: 640, [AVX]: 1664, [K]: 2000, [ZMM_HI256]: 2112, [TILECFG]: 2900 }
	),
} as const satisfies Record<string, Layout>;

/**
 * Where gdb 14 and later, which go by size and XCR0, find a component: in an area that has all of AVX, AVX-512 and
 * PKRU.
 */
export const STANDARD: Record<number, number> = { ...INTEL, [BNDREGS]: 960, [BNDCSR]: 1024, [PKRU]: 2688, [APX]: 960 };

const bits = (numbers: number[]): bigint => numbers.reduce((sum, number) => sum | 1n << BigInt(number), 0n);
export const xcr0Of = ({ components }: Layout): bigint => bits([0, 1, ...components.map(({ number }) => number)]);
export const has = ({ components }: Layout, number: number): boolean =>
	components.some((each) => each.number === number);

/** The n-th 64-bit word of a register, of thread `thread`: each is another. */
const word = (thread: number, kind: number, index: number, n: number): bigint =>
	BigInt(thread) << 56n | BigInt(kind) << 48n | BigInt(index) << 32n | BigInt(n + 1);
const KIND = { xmm: 1, zmm: 2, k: 3, other: 4 };

/** The eight words of zmm0 to zmm31; of an xmm the first two, of a ymm the first four. */
export const zmm = (thread: number, index: number): bigint[] =>
	Array.from({ length: 8 }, (_, n) => word(thread, n < 2 ? KIND.xmm : KIND.zmm, index, n));
export const k = (thread: number, index: number): bigint => word(thread, KIND.k, index, 0);
export const pkru = (thread: number): number => 0x5555_0000 + thread;
export const MXCSR = 0x1fa0;
/** 1.0 in x87's format. */
const ONE = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]);

/**
 * The area of a thread with known registers in a layout; `initial` are components that the processor says are not in
 * use.
 */
export function areaOf(shape: Layout, thread: number, initial: number[] = []): Buffer {
	const area = Buffer.alloc(shape.bytes);
	area.writeUInt16LE(0x37f, 0);
	area.writeUInt16LE(0x3800, 2);	// st0 is the eighth
	area.writeUInt8(0x80, 4);
	area.writeUInt32LE(MXCSR, 24);
	area.writeUInt32LE(0xffff, 28);
	ONE.copy(area, 32);
	const put = (words: bigint[], at: number): void =>
		words.forEach((value, n) => area.writeBigUInt64LE(value, at + 8 * n));
	for (let i = 0; i < 16; i++) put(zmm(thread, i).slice(0, 2), 160 + 16 * i);
	area.writeBigUInt64LE(xcr0Of(shape), 464);
	area.writeBigUInt64LE(xcr0Of(shape) & ~bits(initial), 512);
	for (const { number, bytes, offset } of shape.components) {
		if (initial.includes(number)) continue;
		if (number === AVX) for (let i = 0; i < 16; i++) put(zmm(thread, i).slice(2, 4), offset + 16 * i);
		else if (number === K) put(Array.from({ length: 8 }, (_, i) => k(thread, i)), offset);
		else if (number === ZMM_HI256) for (let i = 0; i < 16; i++) put(zmm(thread, i).slice(4), offset + 32 * i);
		else if (number === HI16_ZMM) for (let i = 16; i < 32; i++) put(zmm(thread, i), offset + 64 * (i - 16));
		else if (number === PKRU) area.writeUInt32LE(pkru(thread), offset);
		else put(Array.from({ length: bytes / 8 }, (_, n) => word(thread, KIND.other, number, n)), offset);
	}
	return area;
}
