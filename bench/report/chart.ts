import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Chart } from '../types.ts';
import { CHART_CONFIG, PLOT_WIDTH, TITLE_SIZE } from './chart-style.ts';
import { FONT_FILES, textWidth } from './font.ts';
import { fitLegends } from './legend.ts';
import { fullTitle, NOT_MEASURED } from './format.ts';
import { wrap } from './wrap.ts';

interface TextItem {
	fontSize?: number;
	fontWeight?: string | number;
	limit?: number;
}

useBundledFontsWidths();

/** A chart as SVG with its title in it: the same bytes for the same chart, whatever was drawn before. */
export async function chartToSvg(chart: Chart): Promise<string> {
	const spec = hasOnlyEmptyData(chart.spec) ? nothingMeasured() : chart.spec;
	try {
		const logger = vega.logger(vega.Error);
		const titled: TopLevelSpec = { ...spec, title: spec.title ?? title(chart, spec) };
		const compiled = compile(titled, { config: CHART_CONFIG, logger });
		const view = new vega.View(
			vega.parse(fitLegends(compiled.spec, plotWidth(spec))), { renderer: 'none', logger }
		);
		const svg = await view.toSVG();
		view.finalize();
		return `${ownIds(svg, chart.name)}\n`;
	} catch (cause) {
		throw new Error(
			`Chart '${chart.name}' cannot be drawn: ${String(cause)}. Its spec is in the experiment's charts()`,
			{ cause }
		);
	}
}

/** The SVG as PNG, twice its size. No font of the machine's is used, so it looks the same on all of them. */
export function svgToPng(svg: string): Buffer {
	const image = new Resvg(svg, {
		background: '#ffffff',
		fitTo: { mode: 'zoom', value: 2 },
		font: {
			loadSystemFonts: false, fontFiles: Object.values(FONT_FILES), defaultFontFamily: 'Arimo',
			sansSerifFamily: 'Arimo',
		},
	});
	return image.render().asPng();
}

/**
 * Vega asks a canvas how wide text is, and guesses 0.8 em for each character
 * where there is none: margins too wide, labels dropped that would fit. It lets
 * the measure be replaced, which its types do not tell.
 */
function useBundledFontsWidths(): void {
	const { textMetrics } = vega as unknown as {
		textMetrics: { width: (item: TextItem, text: string | number | null) => number };
	};
	textMetrics.width = (item, text) => {
		const bold = item.fontWeight === 'bold' || Number(item.fontWeight) >= 600;
		const width = textWidth(String(text ?? '').trim(), item.fontSize ?? 11, bold ? 'bold' : 'regular');
		return item.limit !== undefined && item.limit > 0 ? Math.min(item.limit, width) : width;
	};
}

function title(chart: Chart, spec: TopLevelSpec): string[] {
	return wrap(fullTitle(chart), plotWidth(spec) + 40, (text) => textWidth(text, TITLE_SIZE, 'bold'));
}

function plotWidth(spec: TopLevelSpec): number {
	return 'width' in spec && typeof spec.width === 'number' ? spec.width : PLOT_WIDTH;
}

/**
 * Vega counts clip paths and gradients up for as long as the process lives. The
 * ids are numbered anew here, with the chart's name before them: the same in
 * every process, and no two charts of one page share one.
 */
function ownIds(svg: string, name: string): string {
	const prefix = name.replace(/[^\w-]/g, '-');
	const ids = [
		...new Set([...svg.matchAll(/<(?:clipPath|linearGradient|radialGradient|pattern)[^>]* id="([^"]+)"/g)].map((match) => match[1] as string)),
	];
	const own = new Map(ids.map((id, i) => [id, `${prefix}-${i + 1}`]));
	return svg.replace(
		/( id="|url\(#|href="#)([^")]+)/g,
		(all, before: string, id: string) => (own.has(id) ? `${before}${own.get(id)}` : all)
	);
}

/** True of a spec that brings data and has not one row in it. */
function hasOnlyEmptyData(spec: TopLevelSpec): boolean {
	const rows = inlineData(spec);
	return rows.length > 0 && rows.every((values) => values.length === 0);
}

function inlineData(node: unknown): unknown[][] {
	if (typeof node !== 'object' || node === null) {
		return [];
	}
	if (Array.isArray(node)) {
		return node.flatMap(inlineData);
	}
	return Object.entries(node).flatMap(([key, value]: [string, unknown]) => {
		if (key === 'data' && typeof value === 'object' && value !== null && 'values' in value &&
			Array.isArray(value.values)) {
			return [value.values];
		}
		return inlineData(value);
	});
}

function nothingMeasured(): TopLevelSpec {
	return {
		data: { values: [{}] }, mark: { type: 'text', text: NOT_MEASURED, fontSize: 15 }, width: PLOT_WIDTH, height: 60,
	};
}
