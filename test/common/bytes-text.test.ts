import test from 'ava';
import { bytesOfText, textOf } from '../../common/bytes-text.ts';

test('what is UTF-8 is read as such, and every other byte is kept', (t) => {
	for (const [bytes, text] of [
		[[], ''], [[0x61], 'a'], [[0xc3, 0xa4], 'ä'], [[0xf0, 0x9f, 0x92, 0xa9], '\u{1f4a9}'],
		[[0xef, 0xbf, 0xbd], '\ufffd'],	// as it is written by others who could not read something
		[[0xff], '\udcff'], [[0x61, 0x80, 0x62], 'a\udc80b'],
		[[0xc3], '\udcc3'], [[0xe2, 0x82], '\udce2\udc82'], [[0xe2, 0x82, 0x61], '\udce2\udc82a'],
		[[0xc0, 0x80], '\udcc0\udc80'],	// overlong
		[[0xed, 0xb2, 0x80], '\udced\udcb2\udc80'],	// a surrogate
		[[0xf4, 0x90, 0x80, 0x80], '\udcf4\udc90\udc80\udc80'],	// behind the last one
		[[0xff, 0xc3, 0xa4, 0xef, 0xbf, 0xbd], '\udcffä\ufffd'],
	] as Array<[number[], string]>) {
		t.is(textOf(Uint8Array.from(bytes)), text, bytes.map((byte) => byte.toString(16)).join(' '));
		t.deepEqual([...bytesOfText(text)], bytes);
		t.deepEqual([...bytesOfText(JSON.parse(JSON.stringify(text)) as string)], bytes, 'by way of JSON');
	}
});

test('any bytes come back', (t) => {
	let seed = 1;
	for (let i = 0; i < 2000; i++) {
		const bytes = Uint8Array.from({ length: i % 17 }, () => {
			seed = (seed * 1103515245 + 12345) % 2147483648;
			return seed >> 16;
		});
		t.deepEqual([...bytesOfText(textOf(bytes))], [...bytes]);
	}
});
