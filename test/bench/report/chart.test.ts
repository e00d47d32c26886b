import test from 'ava';
import { Resvg } from '@resvg/resvg-js';
import { chartToSvg, svgToPng } from '../../../bench/report/chart.ts';
import { textWidth } from '../../../bench/report/font.ts';
import { colourScale } from '../../../bench/report/palette.ts';
import { chart, HOSTILE } from './sample.ts';

function pngWithoutFonts(svg: string): Buffer {
	return new Resvg(
		svg, { background: '#ffffff', fitTo: { mode: 'zoom', value: 2 }, font: { loadSystemFonts: false } }
	).render().asPng();
}

test('a chart has its data’s marks, its axes’ titles and its own title', async (t) => {
	const svg = await chartToSvg(chart);
	const marks = /<g class="mark-symbol role-mark[^>]*>(.*?)<\/g>/.exec(svg)?.[1] ?? '';
	t.is(marks.match(/<path/g)?.length, 4);
	t.regex(svg, /<g class="mark-line role-mark/);
	t.true(svg.includes('>region (KiB)<'));
	t.true(svg.includes('>delay (ms)<'));
	t.true(svg.includes('Figure 4. Delay of'));
});

test('what stands in the data is text in the SVG', async (t) => {
	const svg = await chartToSvg(chart);
	t.false(svg.includes('<img'));
	t.true(svg.includes('&lt;img src=x onerror=alert(1)&gt;'), HOSTILE);
});

test('a chart is the same bytes again, and no two charts share an id', async (t) => {
	const first = await chartToSvg(chart);
	t.is(await chartToSvg(chart), first);
	const ids = (svg: string) => [...svg.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]);
	t.true(ids(first).length > 0, 'the sample has a clip path');
	t.true(ids(first).every((id) => first.includes(`url(#${id})`)));
	const other = await chartToSvg({ ...chart, name: 'figure-5' });
	t.deepEqual(ids(other).filter((id) => ids(first).includes(id)), []);
	t.is(other.replaceAll('figure-5-', 'figure-4-').replaceAll('Figure 5', 'Figure 4'), first);
});

test('two charts drawn at the same time do not disturb each other', async (t) => {
	const alone = await chartToSvg(chart);
	const [a, , b] = await Promise.all([chartToSvg(chart), chartToSvg({ ...chart, name: 'other' }), chartToSvg(chart)]);
	t.is(a, alone);
	t.is(b, alone);
});

test('the PNG is twice the SVG’s size and its text is drawn', async (t) => {
	const svg = await chartToSvg(chart);
	const png = svgToPng(svg);
	t.deepEqual([...png.subarray(1, 4)], [...Buffer.from('PNG')]);
	t.is(png.readUInt32BE(16), 2 * Number(/ width="(\d+)"/.exec(svg)?.[1]));
	t.true(png.length > 10_000, `${png.length}`);
	t.false(png.equals(pngWithoutFonts(svg)), 'without fonts the picture differs');
	t.true(svgToPng(svg.replaceAll('region (KiB)', '')).length < png.length);
});

test('a chart with no data says that nothing was measured', async (t) => {
	const svg = await chartToSvg({
		...chart, spec: { data: { values: [] }, mark: 'point', encoding: { x: { field: 'a', type: 'quantitative' } } },
	});
	t.true(svg.includes('>not measured<'));
});

test('a chart that cannot be drawn names itself', async (t) => {
	const spec = {
		data: { values: [{ a: 1 }] }, mark: 'point', encoding: { x: { field: 'a', type: 'quantitative' } },
		transform: [{ calculate: 'datum.(', as: 'b' }],
	} as const;
	await t.throwsAsync(
		chartToSvg({ ...chart, spec: spec as unknown as typeof chart.spec }),
		{ message: /^Chart 'figure-4' cannot be drawn/ }
	);
});

test('text is measured with the bundled font’s widths', (t) => {
	// Arial's and so Arimo's advance widths, of 2048 units: H 1479, i 455; bold H 1479, i 569.
	t.is(textWidth('Hi', 2048), 1479 + 455);
	t.is(textWidth('Hi', 2048, 'bold'), 1479 + 569);
	t.is(textWidth('µ', 20) > 0, true);
	t.is(textWidth('', 20), 0);
});

test('labels keep their room: neither the title nor the legend is wider than the picture', async (t) => {
	const who = ['proc-mem-paper', 'proc-mem', 'peek', 'vm-readv', 'memcpy'];
	const values = who.flatMap((name, i) => [1, 1000].map((size) => ({ name, size, speed: size * (i + 1) * 1e6 })));
	const title = 'A title that is long enough to need a second line in a chart so narrow';
	const svg = await chartToSvg({ ...chart, title, spec: {
		data: { values }, mark: 'point',
		encoding: {
			x: { field: 'size', type: 'quantitative' }, y: { field: 'speed', type: 'quantitative' },
			color: { field: 'name', type: 'nominal', scale: colourScale(who), title: null },
		},
	} });
	const width = Number(/ width="(\d+)"/.exec(svg)?.[1]);
	t.true(width < 360 + 140, `${width}`);
	const yLabel = Math.max(
		...[...svg.matchAll(/>([\d,]+)<\/text>/g)].map((match) => textWidth(match[1] as string, 13))
	);
	const left = Number(/translate\((\d+),\d+\)/.exec(svg)?.[1]);
	t.true(left >= yLabel + 5 + 13, `${left} px for labels of ${yLabel} px and a title`);
	t.true(left <= yLabel + 60, 'and no more room than they need');
});

test('a mechanism has its colour in every chart, others get one that is free', (t) => {
	const { range } = colourScale(['inject', 'stop']);
	t.deepEqual(
		colourScale(['stop', 'new', 'inject']).range,
		[range[1], colourScale(['stop', 'new', 'inject']).range[1], range[0]]
	);
	const all = colourScale(['inject', 'fork', 'stop', 'syscall', 'constructor', 'second']).range;
	t.is(new Set(all).size, 6);
	t.true(all.every((colour) => /^#[0-9a-f]{6}$/.test(colour)));
});
