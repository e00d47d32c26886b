import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { collect } from '../../../bench/stats/results.ts';
import type { Block } from '../../../bench/types.ts';
import { renderHtml } from '../../../bench/report/html.ts';
import { escapeHtml, html } from '../../../bench/report/html/markup.ts';
import { showIn } from '../../../bench/report/view.ts';
import { HOSTILE, manifest, sampleReport } from './sample.ts';

test('what is put into markup is escaped, what is markup is not escaped twice', (t) => {
	t.is(escapeHtml('<a href="x">\'&'), '&lt;a href=&quot;x&quot;&gt;&#39;&amp;');
	const item = html`<li>${'<b>'}</li>`;
	t.is(
		html`<ul title="${'"'}">${[item, item]}${null}${1}</ul>`.html,
		'<ul title="&quot;"><li>&lt;b&gt;</li><li>&lt;b&gt;</li>1</ul>'
	);
});

test('nothing in the data becomes markup, wherever it stands', async (t) => {
	const page = renderHtml(await sampleReport());
	t.false(page.includes('<img'));
	t.false(page.includes(HOSTILE));
	t.false(/<script/i.test(page));
	const tags = [...page.matchAll(/<[a-zA-Z][^>]*>/g)].map((match) => match[0]);
	t.false(
		tags.some((tag) => / onerror=(?![^"]*&quot;)/.test(tag.replace(/"[^"]*"/g, '""'))),
		'no attribute was made from data'
	);
	const shown = page.split('&lt;img src=x onerror=alert(1)&gt;').length - 1;
	t.true(shown > 25, `and yet it is shown: ${shown} times`);
});

test('nothing is fetched: no address but the names of XML', async (t) => {
	const page = renderHtml(await sampleReport());
	t.deepEqual(
		[...page.matchAll(/https?:[^"' <]*/g)].map((match) => match[0])
			.filter((url) => !url.startsWith('http://www.w3.org/')),
		[]
	);
	t.notRegex(page, /<link|@import|src="|url\((?!#)/);
	t.regex(page, /Content-Security-Policy" content="default-src &#39;none&#39;/);
});

test('tags are closed in the order in which they were opened', async (t) => {
	const open: string[] = [];
	for (const match of renderHtml(await sampleReport()).matchAll(/<(\/?)([a-zA-Z][\w-]*)(?:"[^"]*"|[^>"])*?(\/?)>/g)) {
		const [, closing, name = '', itself] = match;
		if (closing === '/') {
			t.is(open.pop(), name);
		} else if (itself !== '/' && !['meta', 'br'].includes(name)) {
			open.push(name);
		}
	}
	t.deepEqual(open, []);
});

test('ids are unique, and what refers to one finds it', async (t) => {
	const page = renderHtml(await sampleReport());
	const ids = [...page.matchAll(/ id="([^"]+)"/g)].map((match) => match[1] as string);
	t.is(new Set(ids).size, ids.length);
	for (const match of page.matchAll(/(?:href="#|aria-labelledby="|url\(#)([^")]+)/g)) {
		t.true(ids.includes(match[1] as string), match[1]);
	}
});

test('the page says what it is: label, isolation, verdicts, failures, what was given up', async (t) => {
	const page = renderHtml(await sampleReport());
	for (const words of [
		'class="badge vm">vm<', 'target on CPU 1, requester on CPU 0; SCHED_FIFO for the target only',
		'2025-11-22 19:39 UTC',
		'commit 0123456789ab, with changes that are not committed',
		'Of the paper’s 5 claims 1 holds, 2 do not, 1 is undecided, 1 was not measured.',
		'Of ours beyond it, 1 claim 1 holds.',
		'1 × <b>inject', 'was given up: memory is short',
		'<td class="yes"><span class="verdict"><span aria-hidden="true">✓</span> holds</span>',
		'<span class="why">some 400 rounds would decide it</span>', 'Ours, beyond the paper',
		'<td class="number none">not measured</td>', '<td class="number paper first none">–</td>', 'bootstrap',
		'8.0 GiB',
	]) {
		t.true(page.includes(words), words);
	}
});

test('charts and listings are in the page itself', async (t) => {
	const report = await sampleReport();
	const page = renderHtml(report);
	t.true(page.includes(report.sections[0]?.charts[0]?.svg.trim() ?? 'no chart'));
	t.true(page.includes(`<pre tabindex="0">00  ${escapeHtml(HOSTILE)}</pre>`));
});

test('an experiment of which nothing was measured says so', async (t) => {
	const page = renderHtml(await sampleReport());
	const section = page.slice(page.indexOf('<section class="experiment" id="read"'));
	t.regex(section, /<p class="none">not measured<\/p>/);
	t.regex(section, /<td class="none" colspan="4">not measured<\/td>/);
});

test('an emulated run is marked on every table, a broken-off run at the top', async (t) => {
	const report = await sampleReport();
	const environment = { ...manifest.environment, label: 'emulated' as const };
	const sections = report.sections.map((section) =>
		({
			...section, ...showIn(environment, section), charts: [],
			summaries: showIn(environment, { ...section, tables: section.summaries }).tables,
		}));
	const page = renderHtml({ sections, manifest: { ...manifest, environment, status: 'interrupted' } });
	const tables = page.match(/<figure class="table/g)?.length ?? 0;
	t.true(tables >= 3);
	t.is(page.match(/class="mark">emulated: not times of a real CPU/g)?.length, tables);
	t.regex(page, /class="notice"[^>]*>This run was interrupted/);
	t.notRegex(renderHtml(report), /class="(mark|notice)"/);
});

test('the report is the same bytes in every process, whatever was drawn before', async (t) => {
	const script = fileURLToPath(new URL('digest.ts', import.meta.url));
	const digest = async (before: number) =>
		(await promisify(execFile)(
			process.execPath, [script, String(before)],
			{
				env: {
					...process.env, LANG: before === 0 ? 'C' : 'de_DE.UTF-8', TZ: before === 0 ? 'UTC' : 'Asia/Tokyo',
				},
			}
		)).stdout;
	const first = await digest(0);
	t.regex(first, /^[0-9a-f]{64}\n$/);
	t.is(await digest(3), first);
});

test('a run that disagrees with itself says first that it is not fit, and names the cells', async (t) => {
	const report = await sampleReport();
	const drifting = (later: number) => collect(Array.from({ length: 12 }, (_, seq): Block => ({
		seq, experiment: 'clone-kill', variant: 'inject', factors: { mechanism: 'inject' }, status: 'ok', startedMs: 0,
		warmupRounds: 0, samples: { takeNs: [100, 101, 99].map((ns) => ns + seq % 3 + (seq < 6 ? 0 : later)) },
		failures: [], facts: {},
	})));
	const page = (later: number) =>
		renderHtml({ ...report, sections: report.sections.map((one) => ({ ...one, results: drifting(later) })) });
	t.regex(page(0), /The run agrees with itself\. Cells .*: 0 of \d+;/);
	const unfit = page(50);
	t.regex(unfit, /This run is not fit to be cited\..*earlier half against later half: (\d+) of \1\..* inject: takeNs/);
	t.true(unfit.indexOf('not fit to be cited') < unfit.indexOf('aria-label="Environment"'));
});
