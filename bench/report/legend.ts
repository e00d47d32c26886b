import type { Legend, Scale, Spec } from 'vega';
import { textWidth } from './font.ts';

const SYMBOL_AND_GAPS = 34;
const LABEL_SIZE = 13;

/** Legends above the plot in as many columns as fit its width, so that a legend never widens the chart. */
export function fitLegends(spec: Spec, width: number): Spec {
	if (spec.legends === undefined) {
		return spec;
	}
	const legends = spec.legends.map((legend) =>
		(legend.columns === undefined ? { ...legend, columns: columns(legend, spec.scales ?? [], width) } : legend));
	return { ...spec, legends };
}

function columns(legend: Legend, scales: Scale[], width: number): number {
	const name = [legend.fill, legend.stroke, legend.shape, legend.strokeDash].find((channel) => channel !== undefined);
	const scale = scales.find((candidate) => candidate.name === name);
	const domain = scale !== undefined && 'domain' in scale && Array.isArray(scale.domain) ? scale.domain : null;
	if (domain === null || domain.length === 0) {
		return 3;
	}
	const labels = domain.map((label) =>
		textWidth(typeof label === 'string' ? label : JSON.stringify(label), LABEL_SIZE) + SYMBOL_AND_GAPS);
	for (let count = domain.length; count > 1; count--) {
		// In a grid each column is as wide as its widest label.
		const widths = Array.from(
			{ length: count }, (_, column) => Math.max(...labels.filter((_, i) => i % count === column))
		);
		if (widths.reduce((sum, each) => sum + each, 0) <= width) {
			return count;
		}
	}
	return 1;
}
