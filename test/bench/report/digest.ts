/** Prints a digest of everything that a report has, for the test that it is the same in every process. */
import { createHash } from 'node:crypto';
import { chartToSvg, svgToPng } from '../../../bench/report/chart.ts';
import { renderHtml } from '../../../bench/report/html.ts';
import { chart, sampleReport } from './sample.ts';

// What was drawn before must not show.
for (let before = Number(process.argv[2] ?? 0); before > 0; before--) {
	await chartToSvg({ ...chart, name: `before-${before}` });
}
const svg = await chartToSvg(chart);
const digest = createHash('sha256').update(svg).update(svgToPng(svg)).update(renderHtml(await sampleReport()));
console.log(digest.digest('hex'));
