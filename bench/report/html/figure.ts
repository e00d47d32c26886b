import type { Listing } from '../../types.ts';
import { fullTitle } from '../format.ts';
import type { DrawnChart } from '../model.ts';
import { html, trusted, type Html } from './markup.ts';

/** How much a chart may be enlarged where there is room. */
const LARGEST = 1.2;
/** A chart that would shrink below this scrolls on a phone, so that its text stays readable. */
const SMALLEST = 0.72;

/**
 * A chart on a white card, which keeps it legible in the dark; its title is in the picture. `prefix` begins its ids.
 */
export function chartFigure(chart: DrawnChart, prefix: string): Html {
	const width = Number(/<svg[^>]* width="([\d.]+)"/.exec(chart.svg)?.[1] ?? 480);
	const style = `min-width:min(100%,${Math.round(width * SMALLEST)}px);max-width:${Math.round(width * LARGEST)}px`;
	return html`<figure class="chart" id="${prefix}${chart.name}">
<div class="card" role="img" aria-label="${fullTitle(chart)}">
<div class="drawing" style="${width > 520 ? style.replace('min(100%,', '').replace(')', '') : style}">${trusted(prefixed(chart.svg.trim(), prefix))}</div>
</div>
<figcaption>${chart.caption}</figcaption>
</figure>
`;
}

/** The ids that report/chart.ts gave, unique on a page that has the same chart of several environments. */
function prefixed(svg: string, prefix: string): string {
	return prefix === '' ? svg : svg.replace(/( id="|url\(#|href="#)/g, (before) => `${before}${prefix}`);
}

/** A passage of text such as a hexdump. */
export function listingFigure(listing: Listing, prefix: string): Html {
	return html`<figure class="listing" id="${prefix}${listing.name}">
<figcaption><strong>${fullTitle(listing)}</strong> ${listing.caption}</figcaption>
<pre tabindex="0">${listing.text}</pre>
</figure>
`;
}
