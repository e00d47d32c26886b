import { join } from 'node:path';
import test from 'ava';
import { UsageError } from '../../common/errors.ts';
import { countOption, expectOneOf, helpFor, parseOptions, userPath, type Option } from '../../common/options.ts';

const OPTIONS = {
	out: { kind: 'one', value: 'DIR', help: 'where to' },
	fast: { kind: 'flag', help: 'quickly' },
	only: { kind: 'many', help: 'these' },
} satisfies Record<string, Option>;

const refused = (args: string[], positionals = 0): string => {
	try {
		parseOptions(args, OPTIONS, positionals);
	} catch (error) {
		if (error instanceof UsageError) return error.message;
		throw error;
	}
	return 'not refused';
};

test('options and arguments, in any order', (t) => {
	const { flags, values, positionals } = parseOptions(
		['--only', 'a', '12', '--fast', '--only=b', '--out', 'x', '--out=-y', 'z'], OPTIONS, 2
	);
	t.deepEqual([...flags], ['fast']);
	t.deepEqual(values, { only: ['a', 'b'], out: ['x', '-y'] });
	t.deepEqual(positionals, ['12', 'z']);
	t.deepEqual(parseOptions([], OPTIONS), { flags: new Set(), values: {}, positionals: [] });
	t.deepEqual(parseOptions(['--', '--fast'], OPTIONS, 1).positionals, ['--fast'], 'after -- there are no options');
});

test('what is wrong is said in one line that names what is right', (t) => {
	t.is(refused(['--slow']), 'unknown option --slow: the options are --out, --fast, --only');
	t.is(refused(['-f']), 'unknown option -f: the options are --out, --fast, --only');
	t.is(refused(['--toString']), 'unknown option --toString: the options are --out, --fast, --only');
	t.is(refused(['--__proto__=1']), 'unknown option --__proto__: the options are --out, --fast, --only');
	t.is(refused(['--fast=1']), '--fast takes no value');
	for (const args of [['--out'], ['--out='], ['--out', '--fast'], ['--out', '']])
		t.is(refused(args), '--out needs a value: --out DIR');
	t.is(refused(['--only']), '--only needs a value: --only VALUE');
	t.is(refused(['a']), 'unexpected argument "a": there are only options --out, --fast, --only');
	t.is(
		refused(['a', 'b\n'], 1),
		'unexpected argument "b\n": there is one argument and the options --out, --fast, --only'
	);
});

test('one of some names', (t) => {
	t.is(expectOneOf('shape', 'b', ['a', 'b']), 'b');
	t.throws(
		() => expectOneOf('shape', 'c', ['a', 'b', 'a']),
		{ instanceOf: UsageError, message: 'unknown shape "c": there are a, b' }
	);
	t.throws(() => expectOneOf('shape', 'c', ['a']), { message: 'unknown shape "c": there is a' });
	t.throws(() => expectOneOf('shape', 'c', []), { message: 'unknown shape "c": there are none' });
});

test('whole numbers within bounds', (t) => {
	t.is(countOption('n', '7', 1, 7), 7);
	t.is(countOption('n', '0', 0, 7), 0);
	for (const text of ['', '0', '8', '-1', '1.5', '1e1', '0x1', ' 1', '1 ', 'x', '٣', '9'.repeat(400)]) {
		t.throws(
			() => countOption('n', text, 1, 7),
			{ instanceOf: UsageError, message: `--n ${text}: it is a whole number from 1 to 7` }
		);
	}
});

test('help: one line for each option, in columns', (t) => {
	t.is(helpFor(OPTIONS), '  --out DIR     where to\n  --fast        quickly\n  --only VALUE  these\n');
});

test('paths are the user\'s: npm notes where it was called, another project\'s npm does not count', (t) => {
	const ours = join(process.cwd(), 'package.json');
	t.is(userPath('run', { npm_package_json: ours, INIT_CWD: '/home/me' }), '/home/me/run');
	t.is(userPath('/run', { npm_package_json: ours, INIT_CWD: '/home/me' }), '/run');
	t.is(
		userPath('run', { npm_package_json: '/other/package.json', INIT_CWD: '/home/me' }), join(process.cwd(), 'run')
	);
	t.is(userPath('run', {}), join(process.cwd(), 'run'));
});
