/** Adding an experiment or a mechanism is one new file: drop one in, and see it run. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { aFolder, run } from './procsnap.ts';

const EXPERIMENT = `
import { Workload } from '../targets/workload.ts';
export const experiment = {
	name: 'dropped-in', order: 99, title: 'Dropped in', question: 'Does one file do?',
	metrics: { pauseNs: { title: 'Pause', unit: 'ns' } },
	variants: (profile, backends) => backends.map(({ name }) => ({ id: name, factors: { mechanism: name }, rounds: 5, warmupRounds: 1, blockRounds: 5 })),
	open: async ({ factors }, lab) => {
		const target = await Workload.start('resident', ['--rss', '4M']);
		const backend = lab.backends.find(({ name }) => name === factors.mechanism);
		return {
			round: () => {
				const taken = backend.take(lab.tracer, target);
				taken.end();
				return { pauseNs: taken.pauseNs };
			},
			close: () => target.close(),
		};
	},
	tables: (results) => [{ name: 'dropped-in', title: 'Dropped in', columns: [{ key: 'mechanism', title: 'mechanism' }, { key: 'pause', title: 'pause', unit: 'us' }], notes: [],
		rows: results.variants.map(({ id, summary }) => ({ mechanism: id, pause: (summary.pauseNs?.median ?? NaN) / 1e3 })) }],
	charts: () => [], claims: () => [],
};
`;

const BACKEND = `
import { backend as inject } from './inject.ts';
export const backend = { ...inject, name: 'dropped-in-mechanism', title: 'inject by another name' };
`;

test.serial('a temporary experiment and a temporary mechanism, one file each, are listed, measured and reported', async (t) => {
	const files = [['bench/experiments/dropped-in.ts', EXPERIMENT], ['bench/backends/dropped-in-mechanism.ts', BACKEND]] as const;
	t.teardown(() => { for (const [path] of files) rmSync(path, { force: true }); });
	for (const [path, text] of files) writeFileSync(path, text);
	const list = await run(['bench', '--list']);
	t.regex(list.output, /dropped-in {2,}Dropped in/);
	t.regex(list.output, /dropped-in-mechanism {2,}inject by another name/);
	const dir = join(aFolder(t), 'run');
	const { code, output } = await run(['bench', '--environment', 'host', '--profile', 'smoke', '--experiment', 'dropped-in', '--out', dir]);
	t.is(code, 0, output);
	const table = readFileSync(join(dir, 'tables/dropped-in.csv'), 'utf8');
	t.regex(table, /^dropped-in-mechanism,\d+/m);
	t.regex(table, /^inject,\d+/m);
	t.regex(readFileSync(join(dir, 'report.html'), 'utf8'), /Does one file do\?/);
});
