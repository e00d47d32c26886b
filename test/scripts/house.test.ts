import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ESLint } from 'eslint';

/** The house's rules bite: each is broken once, in the text of a file that is there. */
const BROKEN: Array<[string, string, string, RegExp | null]> = [
	[
		'stats import no runner', 'bench/stats/random.ts',
		'import { planBlocks } from \'../runner/plan.ts\';\nexport const x = planBlocks;\n',
		/No import runs upwards: bench\/stats is below/,
	],
	[
		'stats import no environment', 'bench/stats/random.ts',
		'import { host } from \'../environments/host.ts\';\nexport const x = host;\n', /No import runs upwards/,
	],
	[
		'stats do no I/O', 'bench/stats/random.ts',
		'import { readFileSync } from \'node:fs\';\nexport const x = readFileSync;\n', /stats are pure/,
	],
	[
		'report imports no runner', 'bench/report/csv.ts',
		'import { planBlocks } from \'../runner/plan.ts\';\nexport const x = planBlocks;\n', /No import runs upwards/,
	],
	[
		'report imports no environment', 'bench/report/csv.ts',
		'import { host } from \'../environments/host.ts\';\nexport const x = host;\n', /No import runs upwards/,
	],
	[
		'a deeper file is of its room too', 'bench/report/html/style.ts',
		'import { host } from \'../../environments/host.ts\';\nexport const x = host;\n', /No import runs upwards/,
	],
	[
		'report may import stats and store', 'bench/report/csv.ts',
		'import { collect } from \'../stats/results.ts\';\nimport { LABELS } from \'../store/manifest.ts\';\nexport ' +
			'const x = [collect, LABELS];\n',
		null,
	],
	[
		'store imports no report', 'bench/store/run.ts',
		'import { tableToCsv } from \'../report/csv.ts\';\nexport const x = tableToCsv;\n', /No import runs upwards/,
	],
	[
		'native imports no bench', 'native/index.ts',
		'import { describeHere } from \'../bench/environments/here.ts\';\nexport const x = describeHere;\n',
		/No import runs upwards/,
	],
	[
		'the runner imports no command', 'bench/runner/plan.ts',
		'import { command } from \'../commands/bench.ts\';\nexport const x = command;\n', /No import runs upwards/,
	],
	[
		'nothing imports the command line', 'bench/commands/bench.ts', 'import \'../cli.ts\';\n',
		/No import runs upwards/,
	],
	[
		'types do not slip through', 'bench/stats/random.ts',
		'import type { Progress } from \'../runner/progress.ts\';\nexport type X = Progress;\n',
		/No import runs upwards/,
	],
	['only cli.ts ends the process', 'bench/runner/plan.ts', 'process.exit(1);\n', /Only cli\.ts ends the process/],
	['nor by its exit code', 'bench/commands/bench.ts', 'process.exitCode = 1;\n', /Only cli\.ts ends the process/],
	['cli.ts may', 'bench/cli.ts', 'process.exit(1);\n', null],
	['the tool\'s may', 'acquire/cli.ts', 'process.exit(1);\n', null],
	[
		'a verb writes by terminal.ts alone', 'acquire/commands/info.ts', 'process.stdout.write(\'x\');\n',
		/Only common\/terminal\.ts writes/,
	],
	[
		'on standard error too', 'acquire/take.ts', 'const { stderr } = process;\nexport const x = stderr;\n',
		/Only common\/terminal\.ts writes/,
	],
	['nor does cli.ts write by itself', 'acquire/cli.ts', 'process.stderr.write(\'x\');\n', /Only common\/terminal\.ts/],
	['nor by the console', 'acquire/verify.ts', 'console.error(1);\n', /Unexpected console statement/],
	[
		'only store knows a run\'s files', 'bench/environments/host.ts', 'export const x = \'samples.jsonl\';\n',
		/Only bench\/store\/ knows/,
	],
	[
		'only store knows where runs are', 'bench/environments/host.ts', 'export const x = \'../../results/runs\';\n',
		/Only bench\/store\/ knows/,
	],
	['only erasable syntax', 'bench/runner/plan.ts', 'export enum X { A }\n', /erasable syntax only/],
	['named exports', 'bench/runner/plan.ts', 'export default 1;\n', /Named exports/],
	['no any', 'bench/runner/plan.ts', 'export const x: any = 1;\n', /Unexpected any/],
];

for (const [title, file, text, message] of BROKEN) {
	test(title, async (t) => {
		const [result] = await new ESLint().lintText(text, { filePath: file });
		const messages = result?.messages.map((found) => found.message).join('\n') ?? '';
		if (message === null) {
			t.is(messages, '');
		} else {
			t.regex(messages, message);
		}
	});
}

test('only binding.cc knows N-API', (t) => {
	const knowing = readdirSync('native', { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile() && /\.(?:c|cc|h)$/.test(entry.name))
		.map((entry) => join(entry.parentPath, entry.name))
		.filter((file) => !file.startsWith('native/build/') && /napi|node_api|Napi::/.test(readFileSync(file, 'utf8')));
	t.deepEqual(knowing, ['native/binding.cc']);
});

test('only common/terminal.ts writes to a terminal or a log', (t) => {
	// What lint does not see: another name for the stream, or its descriptor.
	const others = /node:(?:process|console|tty)'|\bprocess\[|(?:write|writev)Sync\((?:1|2)\b|\/dev\/(?:tty|std|fd)/;
	const files = readdirSync('acquire', { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
	t.true(files.length > 40);
	t.deepEqual(files.filter((file) => others.test(readFileSync(file, 'utf8'))), []);
	const streams = readdirSync('common').filter((file) =>
		file.endsWith('.ts') && /process\.std(?:out|err)/.test(readFileSync(join('common', file), 'utf8')));
	t.deepEqual(streams, ['progress.ts', 'terminal.ts']);
});

test('only native/addon.ts loads the addon', (t) => {
	const loading = ['bench', 'native', 'acquire', 'scripts'].flatMap((room) => {
		try {
			return readdirSync(room, { recursive: true, withFileTypes: true });
		} catch {
			return [];
		}
	}).filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
		.map((entry) => join(entry.parentPath, entry.name))
		.filter((file) => /procsnap\.node/.test(readFileSync(file, 'utf8')));
	t.deepEqual(loading, ['native/addon.ts']);
});
