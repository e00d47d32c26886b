import type { Config } from 'vega-lite';
import { FONT_FAMILY } from './font.ts';
import { PALETTE } from './palette.ts';

/** Width of a chart's plot, in pixels, if its spec does not say. Narrow, so that its text can be read on a phone. */
export const PLOT_WIDTH = 360;
export const TITLE_SIZE = 15;

const TEXT = '#222222';
const QUIET = '#555555';
const SIZE = 13;

/** Log scales have unlabelled lines between the labelled ones: those stay in the background. */
const MINOR_FAINT = { condition: { test: "datum.label === ''", value: 0.4 }, value: 1 };

/** The look that all charts share. A chart's spec says what is in it and overrides this only for a reason. */
export const CHART_CONFIG: Config = {
	background: '#ffffff',
	padding: 10,
	font: FONT_FAMILY,
	view: {
		stroke: null, continuousWidth: PLOT_WIDTH, continuousHeight: 240, discreteWidth: PLOT_WIDTH,
		discreteHeight: { step: 30 },
	},
	title: {
		anchor: 'start', frame: 'bounds', fontSize: TITLE_SIZE, fontWeight: 'bold', color: TEXT, offset: 14,
		lineHeight: 19,
	},
	axis: {
		labelFontSize: SIZE, titleFontSize: SIZE, titleFontWeight: 'normal', labelColor: QUIET, titleColor: TEXT,
		labelLimit: 220, titlePadding: 8, labelPadding: 5, labelOverlap: 'greedy', labelSeparation: 6,
		grid: true, gridColor: '#e4e4e4', gridOpacity: MINOR_FAINT, domainColor: '#999999', tickColor: '#999999',
		tickSize: 4,
	},
	axisX: { grid: false, tickCount: 6 },
	axisY: { tickCount: 5 },
	axisBand: { grid: false },
	header: { labelFontSize: SIZE, titleFontSize: SIZE, labelColor: TEXT, titleColor: TEXT, titleFontWeight: 'normal' },
	legend: {
		orient: 'top', direction: 'horizontal', labelFontSize: SIZE, titleFontSize: SIZE, titleFontWeight: 'normal',
		labelColor: TEXT, titleColor: QUIET, labelLimit: 240, symbolSize: 90, columnPadding: 16, rowPadding: 4,
		offset: 10,
	},
	range: { category: PALETTE },
	line: { strokeWidth: 2 },
	point: { filled: true, size: 60, opacity: 1 },
	rule: { strokeWidth: 1.5 },
	errorbar: { ticks: true },
	bar: { color: PALETTE[0] as string },
	text: { fontSize: SIZE, color: TEXT },
};
