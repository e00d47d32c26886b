/**
 * Registers of an x86-64 thread by name; and where its XSAVE area was read in another layout, what of it is other.
 * Pure.
 */
import type { XsaveComponent } from '../../native/index.ts';
import type { CoreRegisters, CoreThread } from './core-notes.ts';

/** Hexadecimal, as long as the register is. */
export type Named = Record<string, string>;

/** A component of the area as it was read. */
export interface RawPart {
	number: number;
	name: string;
	bytes: number;
	offset: number;
	/** In the layout that readers expect; null: it is not there. */
	expectedAt: number | null;
	/** null where the same bytes are there. */
	content: string | null;
}

export interface ThreadRegistersText {
	tid: number;
	general: Named;
	/** null: the core has none. */
	extended: Named | null;
	/** null: what was read was in the layout that readers expect. `legacySame`: x87 and SSE are the same in both. */
	raw: { bytes: number; xcr0: string; xstateBv: string; legacySame: boolean; parts: RawPart[] } | null;
}

/** struct user_regs_struct of <sys/user.h>. */
const GENERAL = [
	'r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10', 'r9', 'r8', 'rax', 'rcx', 'rdx', 'rsi', 'rdi', 'orig_rax',
	'rip', 'cs', 'eflags', 'rsp', 'ss', 'fs_base', 'gs_base', 'ds', 'es', 'fs', 'gs',
];
/** The legacy part of an XSAVE area (Intel SDM 1, 13.4.1): offset and bytes. */
const X87: ReadonlyArray<readonly [name: string, offset: number, bytes: number]> = [
	['fcw', 0, 2], ['fsw', 2, 2], ['ftw', 4, 1], ['fop', 6, 2], ['fip', 8, 8], ['fdp', 16, 8], ['mxcsr', 24, 4],
	['mxcsr_mask', 28, 4],
];
const ST = 32, XMM = 160, USED_BYTES = 464, XCR0 = 464, XSTATE_BV = 512, HEAD_BYTES = 576;
/** Numbers of components in XCR0. */
const AVX = 2, K = 5, ZMM_HI256 = 6, HI16_ZMM = 7, PKRU = 9, APX = 19;
const COMPONENTS: Record<number, string> = {
	[AVX]: 'AVX', 3: 'MPX bounds', 4: 'MPX configuration', [K]: 'AVX-512 k0 to k7', 17: 'AMX configuration',
	[ZMM_HI256]: 'AVX-512 zmm0 to zmm15', [HI16_ZMM]: 'AVX-512 zmm16 to zmm31', [PKRU]: 'PKRU', 18: 'AMX tiles',
	[APX]: 'APX',
};

/** The bytes of a register, least significant first. */
const value = (...parts: Uint8Array[]): string => `0x${Buffer.concat(parts).reverse().toString('hex')}`;

export const registersByName = (core: CoreRegisters): ThreadRegistersText[] =>
	core.threads.map((thread) => ({
		tid: thread.tid,
		general: Object.fromEntries(GENERAL.map((name, i) => [name, value(thread.general.subarray(8 * i, 8 * i + 8))])),
		extended: thread.area === null || thread.area.length < HEAD_BYTES ? null : extended(thread.area, core.layout),
		raw: rawOf(thread, core),
	}));

/** Components that are within the area; what XCR0 lacks is in no layout of ours. */
const within = (area: Buffer, layout: readonly XsaveComponent[]): XsaveComponent[] =>
	layout.filter(({ offset, bytes }) => offset >= HEAD_BYTES && offset + bytes <= area.length);

function extended(area: Buffer, layout: readonly XsaveComponent[]): Named {
	const named: Named = {
		xcr0: value(area.subarray(XCR0, XCR0 + 8)), xstate_bv: value(area.subarray(XSTATE_BV, XSTATE_BV + 8)),
	};
	for (const [name, offset, bytes] of X87) named[name] = value(area.subarray(offset, offset + bytes));
	for (let i = 0; i < 8; i++) named[`st${i}`] = value(area.subarray(ST + 16 * i, ST + 16 * i + 10));
	const there = new Map(within(area, layout).map((component) => [component.number, component]));
	/** The i-th of so many bytes each; undefined: there is no such component, or it is too short for it. */
	const element = (number: number, i: number, bytes: number): Buffer | undefined => {
		const component = there.get(number);
		if (component === undefined || (i + 1) * bytes > component.bytes) return undefined;
		return area.subarray(component.offset + i * bytes, component.offset + (i + 1) * bytes);
	};
	for (let i = 0; i < 16; i++) {
		const low = area.subarray(XMM + 16 * i, XMM + 16 * i + 16), middle = element(AVX, i, 16);
		const high = element(ZMM_HI256, i, 32);
		if (middle === undefined) named[`xmm${i}`] = value(low);
		else if (high === undefined) named[`ymm${i}`] = value(low, middle);
		else named[`zmm${i}`] = value(low, middle, high);
	}
	for (const [prefix, first, number, count, bytes] of [
		['zmm', 16, HI16_ZMM, 16, 64], ['k', 0, K, 8, 8], ['r', 16, APX, 16, 8],
	] as const) {
		for (let i = 0; i < count; i++) {
			const content = element(number, i, bytes);
			if (content !== undefined) named[`${prefix}${first + i}`] = value(content);
		}
	}
	const pkru = element(PKRU, 0, 4);
	if (pkru !== undefined) named['pkru'] = value(pkru);
	for (const [number, { offset, bytes }] of there) {
		if (![AVX, K, ZMM_HI256, HI16_ZMM, PKRU, APX].includes(number))
			named[`component${number}`] = value(area.subarray(offset, offset + bytes));
	}
	return named;
}

function rawOf({ area, raw }: CoreThread, { layout, rawLayout }: CoreRegisters): ThreadRegistersText['raw'] {
	if (raw === null || raw.length < HEAD_BYTES) return null;
	const inUse = raw.readBigUInt64LE(XCR0), expected = area === null ? [] : within(area, layout);
	const there = within(raw, rawLayout).filter(({ number }) => (inUse & 1n << BigInt(number)) !== 0n);
	const parts = there.map(({ number, bytes, offset }): RawPart => {
		const content = raw.subarray(offset, offset + bytes), other = expected.find((each) => each.number === number);
		const same = area !== null && other?.bytes === bytes &&
			area.subarray(other.offset, other.offset + bytes).equals(content);
		return {
			number, name: COMPONENTS[number] ?? 'unknown', bytes, offset, expectedAt: other?.offset ?? null,
			content: same ? null : content.toString('hex'),
		};
	});
	return {
		bytes: raw.length, xcr0: value(raw.subarray(XCR0, XCR0 + 8)),
		xstateBv: value(raw.subarray(XSTATE_BV, XSTATE_BV + 8)),
		legacySame: area !== null && raw.subarray(0, USED_BYTES).equals(area.subarray(0, USED_BYTES)), parts,
	};
}
