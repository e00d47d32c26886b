/**
 * Whatever the processor's layout: a core has the area that readers expect, its layout, and, where that is another,
 * what was read.
 */
import test from 'ava';
import { layOut } from '../../../acquire/evidence/core.ts';
import { allNotes, NT, RAW} from '../../../acquire/evidence/notes.ts';
import type { ProcessNote } from '../../../common/proc/process.ts';
import { expectedXsave } from '../../../acquire/evidence/xsave.ts';
import { xsaveComponents, type XsaveComponent } from '../../../native/index.ts';
import {
	APX, areaOf, AVX, AVX512, BNDREGS, HI16_ZMM, has, LAYOUTS, PKRU, STANDARD, TILEDATA, xcr0Of, ZMM_HI256, type Layout,
} from './xsave-areas.ts';

const PROCESS: ProcessNote = {
	pid: 9, ppid: 2, pgrp: 3, sid: 4, uid: 0, gid: 0, nice: 0, state: 'S', command: 'x', commandLine: 'x',
};
const ENTRIES = Object.entries(LAYOUTS) as Array<[keyof typeof LAYOUTS, Layout]>;
/** Those whose processors keep all of it where readers expect it, and nothing else. */
const AS_EXPECTED = [
	'x87 and SSE alone', 'AVX', 'AVX, MPX', 'Intel, AVX, PKRU', 'Intel, AVX-512', 'Intel, AVX-512, PKRU',
];

/** Sizes that gdb from 14 on takes for what XCR0 says; gdb 13 wants as much at least. */
const sizeFor = (shape: Layout): number => {
	if (has(shape, PKRU)) return 2696;
	if (AVX512.some((number) => has(shape, number))) return 2688;
	if (has(shape, BNDREGS)) return 1088;
	return has(shape, AVX) ? 832 : 576;
};

const known = (shape: Layout): XsaveComponent[] =>
	shape.components.filter(({ number }) => number in STANDARD)
		.map((each) => ({ ...each, offset: STANDARD[each.number]! }));

for (const [name, shape] of ENTRIES) {
	test(`${name}: the area has the expected size, and everything is where it is expected`, (t) => {
		const read = areaOf(shape, 1);
		const { area, components } = expectedXsave(read, shape.components);
		t.is(area.length, sizeFor(shape));
		t.deepEqual(components, known(shape));
		t.is(area === read, AS_EXPECTED.includes(name), 'the same array where it is the same');
		t.deepEqual(
			Buffer.from(area), areaOf({ bytes: sizeFor(shape), components: known(shape) }, 1),
			'all bytes: as a processor with that layout has it'
		);
	});
}

test('what is not in use stays so, and its bytes are those that were read', (t) => {
	const shape = LAYOUTS['AMD, AVX-512, PKRU'];
	const { area } = expectedXsave(areaOf(shape, 1, [ZMM_HI256, HI16_ZMM]), shape.components);
	t.deepEqual(Buffer.from(area), areaOf(LAYOUTS['Intel, AVX-512, PKRU'], 1, [ZMM_HI256, HI16_ZMM]));
	t.is(Buffer.from(area).readBigUInt64LE(512), xcr0Of(shape) & ~0b1100_0000n);
});

test('what the machine could have and the kernel does not use is not there', (t) => {
	const shape = LAYOUTS['AMD, AVX-512'];
	// The processor has PKRU, the kernel was told nopku: XCR0 has no such bit, and the area ends before it.
	const { area, components } = expectedXsave(areaOf(shape, 1), LAYOUTS['AMD, AVX-512, PKRU'].components);
	t.deepEqual(Buffer.from(area), areaOf(LAYOUTS['Intel, AVX-512'], 1));
	t.false(components.some(({ number }) => number === PKRU));
});

test('an area that is shorter than it says, or no area, is no fault', (t) => {
	const shape = LAYOUTS['AMD, AVX-512, PKRU'];
	const cut = areaOf(shape, 1).subarray(0, 1400);
	const { components } = expectedXsave(cut, shape.components);
	t.deepEqual(components.map(({ number }) => number), [AVX, 5], 'just what is there as a whole');
	for (const bytes of [0, 512, 575]) {
		const area = new Uint8Array(bytes);
		t.is(expectedXsave(area, shape.components).area, area);
	}
	// A view into the middle of a larger buffer, as they come from the tracer.
	const shared = Buffer.concat([Buffer.alloc(24, 0xff), areaOf(shape, 1), Buffer.alloc(24, 0xff)])
		.subarray(24, 24 + shape.bytes);
	t.deepEqual(Buffer.from(expectedXsave(shared, shape.components).area), areaOf(LAYOUTS['Intel, AVX-512, PKRU'], 1));
});

const thread = (tid: number, xstate: Uint8Array) =>
	({ tid, skewNs: 0, running: false, partial: false, general: new Uint8Array(216), xstate });

/** Owner, type and content of all notes, one after the other. */
function split(notes: Buffer): Array<{ owner: string; type: number; content: Buffer }> {
	const found = [];
	for (let at = 0; at < notes.length;) {
		const [nameBytes, bytes, type] =
			[0, 4, 8].map((offset) => notes.readUInt32LE(at + offset)) as [number, number, number];
		const start = at + 12 + Math.ceil(nameBytes / 4) * 4;
		found.push({
			owner: notes.toString('latin1', at + 12, at + 11 + nameBytes), type,
			content: notes.subarray(start, start + bytes),
		});
		at = start + Math.ceil(bytes / 4) * 4;
	}
	return found;
}

const table = (content: Buffer): XsaveComponent[] => Array.from({ length: content.length / 16 }, (_, i) => {
	const [number = 0, bytes = 0, offset = 0, flags = 0] = [0, 4, 8, 12].map((at) => content.readUInt32LE(16 * i + at));
	if (flags !== 0) throw new Error('flags are reserved');
	return { number, bytes, offset };
});

for (const [name, shape] of ENTRIES) {
	test(`${name}: notes of the layout, and of what was read where it is another`, (t) => {
		const reads = [areaOf(shape, 1), areaOf(shape, 2)];
		const notes = split(allNotes(
			[thread(9, reads[0]!), thread(10, reads[1]!)], PROCESS, Buffer.alloc(0), [], shape.components
		));
		const of = (owner: string, type: number): Buffer[] =>
			notes.filter((each) => each.owner === owner && each.type === type).map(({ content }) => content);
		const areas = of('LINUX', NT.X86_XSTATE), raw = of('procsnap', RAW.XSTATE);
		const [layout, ...more] = of('LINUX', NT.X86_XSAVE_LAYOUT), rawLayouts = of('procsnap', RAW.XSAVE_LAYOUT);
		t.deepEqual([areas.length, more.length], [2, 0], 'one for each thread, the layout for all');
		t.deepEqual(table(layout!), known(shape));
		if (AS_EXPECTED.includes(name)) {
			t.deepEqual([raw.length, rawLayouts.length], [0, 0]);
			t.deepEqual(areas, reads, 'what was read');
			return;
		}
		t.deepEqual(raw, reads, 'what was read, of each');
		t.is(rawLayouts.length, 1);
		// As an examiner would check it: by the core alone.
		const where = new Map(table(rawLayouts[0]!).map(({ number, offset }) => [number, offset]));
		t.deepEqual([...where.keys()], shape.components.map(({ number }) => number));
		areas.forEach((area, i) => {
			t.true(area.subarray(0, 464).equals(raw[i]!.subarray(0, 464)), 'x87 and SSE');
			for (const { number, bytes, offset } of table(layout!)) {
				const from = where.get(number)!;
				t.true(
					area.subarray(offset, offset + bytes).equals(raw[i]!.subarray(from, from + bytes)),
					`component ${number}`
				);
				t.true(area.subarray(offset, offset + bytes).some((byte) => byte !== 0));
			}
		});
	});
}

test('a thread whose area could not be read has none, and the others theirs', (t) => {
	const shape = LAYOUTS['AMD, AVX-512'];
	const notes = split(allNotes(
		[thread(9, new Uint8Array()), thread(10, areaOf(shape, 2))], PROCESS, Buffer.alloc(0), [], shape.components
	));
	t.deepEqual(notes.filter(({ type }) => type === NT.X86_XSTATE).map(({ content }) => content.length), [0, 2688]);
	t.deepEqual(notes.filter(({ type }) => type === RAW.XSTATE).map(({ content }) => content.length), [2432]);
	t.deepEqual(table(notes.find(({ type }) => type === NT.X86_XSAVE_LAYOUT)!.content), known(shape));
	const none = allNotes([thread(9, new Uint8Array())], PROCESS, Buffer.alloc(0), [], shape.components);
	t.true(layOut([], none).head.length > 0);
});

test('tiles are in what was read alone', (t) => {
	const shape = LAYOUTS['Intel, AVX-512, PKRU, AMX, APX'];
	const { area, components } = expectedXsave(areaOf(shape, 1), shape.components);
	t.deepEqual([APX, TILEDATA].map((number) => components.some((each) => each.number === number)), [true, false]);
	t.is(
		Buffer.from(area).readBigUInt64LE(464), xcr0Of(LAYOUTS['Intel, AVX-512, PKRU']) | 1n << 19n,
		'XCR0 of a processor without them'
	);
});

test('this machine\'s layout: components do not overlap, and AVX is where the architecture has it', (t) => {
	const found = xsaveComponents().sort((a, b) => a.offset - b.offset);
	t.log(found.map(({ number, bytes, offset }) => `${number} at ${offset} (${bytes} bytes)`).join(', ') || 'no XSAVE');
	let end = 576;
	for (const { bytes, offset } of found) {
		t.true(bytes > 0 && offset >= end);
		end = offset + bytes;
	}
	t.true(
		found.every(({ number }) => number !== AVX) ||
			found.some(({ number, bytes, offset }) => number === AVX && bytes === 256 && offset === 576)
	);
});
