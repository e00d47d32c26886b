import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Failure } from '../../../common/errors.ts';
import { createSamples, parseSamples, readSamples } from '../../../bench/store/samples.ts';
import { aBlock, aFolder } from './fixtures.ts';

const HEADER = '{"schemaVersion":1,"run":"r"}';
const line = (seq: number, changes = {}) => JSON.stringify(aBlock(seq, changes));
const parse = (...lines: string[]) => parseSamples(`${lines.join('\n')}\n`, 'samples.jsonl');

test('what is written is read back', (t) => {
	const file = join(aFolder(t), 'samples.jsonl');
	const writer = createSamples(file, 'r');
	writer.append(aBlock(0));
	t.deepEqual(readSamples(file).blocks, [aBlock(0)], 'a block is on the disk before the file is closed');
	writer.append(aBlock(1));
	writer.close();
	t.deepEqual(readSamples(file), { run: 'r', blocks: [aBlock(0), aBlock(1)], torn: null });
});

test('a file that is there is not overwritten', (t) => {
	const file = join(aFolder(t), 'samples.jsonl');
	createSamples(file, 'r').close();
	t.throws(
		() => createSamples(file, 'r'), { instanceOf: Failure, message: /samples\.jsonl: there is a file of that name/ }
	);
});

test('paths with a user name in them are not written', (t) => {
	const file = join(aFolder(t), 'samples.jsonl');
	const writer = createSamples(file, 'r');
	const project = process.cwd();
	writer.append(aBlock(
		0,
		{
			status: 'failed', error: `spawn ${project}/workloads/build/updater ENOENT`,
			facts: { file: `${homedir()}/x`, other: `${homedir()}work` },
		}
	));
	writer.close();
	const [block] = readSamples(file).blocks;
	t.is(block?.error, 'spawn ./workloads/build/updater ENOENT');
	t.deepEqual(block?.facts, { file: '~/x', other: `${homedir()}work` });
	t.false(readFileSync(file, 'utf8').includes(project));
});

test('a torn last line is left out, and that is said', (t) => {
	const whole = `${HEADER}\n${line(0)}\n`;
	for (const end of [1, 20, line(1).length - 1]) {
		const { blocks, torn } = parseSamples(whole + line(1).slice(0, end), 'samples.jsonl');
		t.is(blocks.length, 1);
		t.regex(torn ?? '', /samples\.jsonl:3: the last line is torn/);
	}
});

test('a whole last line without its line end is a line', (t) => {
	const { blocks, torn } = parseSamples(`${HEADER}\n${line(0)}`, 'samples.jsonl');
	t.is(blocks.length, 1);
	t.is(torn, null);
});

for (const [title, lines, message] of [
	['a broken line in the middle', [HEADER, line(0).slice(0, 30), line(1)], /^samples\.jsonl:2: is not JSON/],
	[
		'a broken last line that has its line end', [HEADER, line(0), line(1).slice(0, 30)],
		/^samples\.jsonl:3: is not JSON/,
	],
	['an empty line', [HEADER, '', line(0)], /^samples\.jsonl:2: is not JSON/],
	['a missing block', [HEADER, line(0), line(2)], /^samples\.jsonl:3: block 2 stands where block 1 should/],
	['a block twice', [HEADER, line(0), line(0)], /^samples\.jsonl:3: block 0 stands where block 1 should/],
	['a missing field', [HEADER, '{"seq":0}'], /^samples\.jsonl:2: `experiment` is missing/],
	[
		'a sample that is no number', [HEADER, line(0, { samples: { costNs: [1, 'x'] } })],
		/^samples\.jsonl:2: `samples\.costNs\[1\]` is a string/,
	],
	[
		'an unknown status', [HEADER, line(0, { status: 'fine' })],
		/^samples\.jsonl:2: `status` is "fine", not one of ok, failed, interrupted/,
	],
	[
		'metrics of different length', [HEADER, line(0, { samples: { a: [1], b: [1, 2] } })],
		/^samples\.jsonl:2: the metrics have different numbers/,
	],
	['no header', [line(0)], /^samples\.jsonl:1: has no schemaVersion/],
	[
		'a newer version', ['{"schemaVersion":2,"run":"r"}', line(0)],
		/^samples\.jsonl:1: was written by a newer procsnap \(schema 2, this one reads 1\): update/,
	],
	['no run', ['{"schemaVersion":1}', line(0)], /^samples\.jsonl:1: `run` is missing/],
] as Array<[string, string[], RegExp]>) {
	test(`refused with file and line: ${title}`, (t) => {
		t.throws(() => parse(...lines), { instanceOf: Failure, message });
	});
}

test('refused: an empty file, and one with half a header', (t) => {
	t.throws(() => parseSamples('', 'f'), { instanceOf: Failure, message: /^f:1: there is no header/ });
	t.throws(() => parseSamples('{"schema', 'f'), { instanceOf: Failure, message: /^f:1: there is no header/ });
});
