import test from 'ava';
import paper from '../../../results/paper.json' with { type: 'json' };

/** Figures that are printed with so many decimals differ by rounding only. */
const close = (a: number, b: number, rounding: number) => Math.abs(a - b) <= rounding + 1e-12;

test('the paper’s sizes and times add up', (t) => {
	for (const sizes of [paper.table4, paper.table8]) {
		t.is(sizes.textBytes + sizes.dataBytes + sizes.bssBytes, sizes.totalBytes);
	}
	t.true(close(paper.table5.cloneMeanUs + paper.table5.killMeanUs, paper.table5.totalMeanUs, 0.01));
});

test('its ratios and its numbers of calls follow from its times and sizes', (t) => {
	for (const row of paper.table6.rows) {
		t.true(Math.abs(row.ptraceMeanUs / row.readMeanUs / row.ptraceToReadRatio - 1) < 0.002, `${row.sizeKiB} KiB`);
	}
	for (const row of paper.table7.rows) {
		t.is(row.ptraceCalls, (row.sizeKiB * 1024) / paper.table7.wordBytes);
	}
});

test('its delays are the times with the method less the mean without, and per page those by the pages', (t) => {
	for (const row of paper.table9.rows) {
		const pages = row.sizeKiB / paper.table9.pageKiB;
		for (const [withMs, delayMs, perPageMs] of [
			[row.withMinMs, row.delayMinMs, row.delayPerPageMinMs],
			[row.withMeanMs, row.delayMeanMs, row.delayPerPageMeanMs],
			[row.withMaxMs, row.delayMaxMs, row.delayPerPageMaxMs],
		] as const) {
			t.true(close(withMs - row.withoutMeanMs, delayMs, 0.001), `${row.sizeKiB} KiB: ${delayMs}`);
			t.true(close(delayMs / pages, perPageMs, 0.0001), `${row.sizeKiB} KiB: ${perPageMs} per page`);
		}
	}
});
