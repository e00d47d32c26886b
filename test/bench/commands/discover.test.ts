import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { discoverCommands, discoverExperiments } from '../../../bench/discover.ts';
import { Failure } from '../../../common/errors.ts';
import { aFolder } from '../store/fixtures.ts';

const experiment = (name: string, order: number) => `
export const experiment = {
	name: '${name}', order: ${order}, title: 'T', question: 'Q?', metrics: {},
	variants: () => [], open: async () => {}, tables: () => [], charts: () => [], claims: () => [],
};\n`;

test('every file of the folder is an experiment, in their order and then by name', async (t) => {
	const folder = aFolder(t);
	mkdirSync(join(folder, 'shared'));
	writeFileSync(join(folder, 'shared', 'common.ts'), 'export const nothing = 1;\n');
	writeFileSync(join(folder, 'README.md'), '');
	for (const [name, order] of [['last', 9], ['b', 2], ['a', 2], ['first', 1]] as const) {
		writeFileSync(join(folder, `${name}.ts`), experiment(name, order));
	}
	t.deepEqual((await discoverExperiments(folder)).map(({ name }) => name), ['first', 'a', 'b', 'last']);
});

for (const [title, text, message] of [
	['no export', 'export const other = 1;\n', /broken\.ts: has no export `experiment`/],
	[
		'a field is missing', 'export const experiment = { name: "x" };\n',
		/broken\.ts: its export `experiment` lacks `order`/,
	],
	[
		'a field is of the wrong kind', experiment('x', 1).replace('metrics: {}', 'metrics: 3'),
		/broken\.ts: .* has `metrics`, but it is no object/,
	],
	['it cannot be loaded', 'import "./missing.ts";\n', /broken\.ts: cannot be loaded: .*missing\.ts/],
] as Array<[string, string, RegExp]>) {
	test(`an error that names the file: ${title}`, async (t) => {
		const folder = aFolder(t);
		writeFileSync(join(folder, 'broken.ts'), text);
		await t.throwsAsync(discoverExperiments(folder), { instanceOf: Failure, message });
	});
}

test('two files of one name are an error that names both', async (t) => {
	const folder = aFolder(t);
	writeFileSync(join(folder, 'a.ts'), experiment('same', 1));
	writeFileSync(join(folder, 'b.ts'), experiment('same', 1));
	await t.throwsAsync(
		discoverExperiments(folder), { instanceOf: Failure, message: /b\.ts: the name same is taken by .*a\.ts/ }
	);
});

test('the verbs are the files of bench/commands', async (t) => {
	t.deepEqual([...(await discoverCommands()).keys()], ['bench', 'doctor', 'guest', 'report', 'tune']);
});
