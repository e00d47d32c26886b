import test from 'ava';
import { Failure } from '../../../common/errors.ts';
import { parseManifest } from '../../../bench/store/manifest.ts';
import { aManifest } from './fixtures.ts';

const parse = (value: unknown) => parseManifest(JSON.stringify(value), 'run/manifest.json');
const seedless = { ...aManifest(), seed: undefined };

test('a manifest is read as it was written', (t) => {
	t.deepEqual(parse(aManifest()), aManifest());
});

test('fields that a later version of the same schema adds do no harm', (t) => {
	t.notThrows(() => parse({ ...aManifest(), extra: 1 }));
});

for (const [title, value, message] of [
	[
		'a newer one', { ...aManifest(), schemaVersion: 2 },
		/^run\/manifest\.json: was written by a newer procsnap \(schema 2, this one reads 1\): update/,
	],
	[
		'a newer one that we could not read otherwise', { schemaVersion: 7 },
		/newer procsnap \(schema 7, this one reads 1\)/,
	],
	['one without a version', {}, /^run\/manifest\.json: has no schemaVersion/],
	['a broken version', { ...aManifest(), schemaVersion: '1' }, /has no schemaVersion/],
	['no object', 3, /has no schemaVersion/],
	['a missing field', seedless, /^run\/manifest\.json: `seed` is missing, not a number: the file is corrupt/],
	[
		'a wrong field deep inside', { ...aManifest(), machine: { ...aManifest().machine, cores: 'two' } },
		/`machine\.cores` is a string, not a number/,
	],
	[
		'a label of our wishes', { ...aManifest(), environment: { name: 'host', label: 'fast', evidence: [] } },
		/`environment\.label` is "fast", not one of bare-metal, vm, nested-vm, emulated, unknown/,
	],
	[
		'a missing field that may be null', { ...aManifest(), error: undefined },
		/`error` is missing, not a string or null: the file is corrupt/,
	],
	[
		'a missing field in a list', { ...aManifest(), experiments: [{ name: 'a', variants: [] }, { name: 'b' }] },
		/`experiments\[1\]\.variants` is missing, not a list/,
	],
	['a missing object', { ...aManifest(), clock: undefined }, /`clock` is missing, not an object/],
	['a missing choice', { ...aManifest(), profile: undefined }, /`profile` is missing, not one of smoke, paper/],
	[
		'a list for an object of any names',
		{ ...aManifest(), machine: { ...aManifest().machine, mitigations: ['x'] } },
		/`machine\.mitigations` is a list, not an object/,
	],
	[
		'a choice of another type', { ...aManifest(), profile: ['paper'] },
		/`profile` is \["paper"\], not one of smoke, paper/,
	],
	['null where something must be', { ...aManifest(), experiments: null }, /`experiments` is null, not a list/],
] as Array<[string, unknown, RegExp]>) {
	test(`refused: ${title}`, (t) => {
		t.throws(() => parse(value), { instanceOf: Failure, message });
	});
}

test('refused: not JSON', (t) => {
	t.throws(
		() => parseManifest('{"schemaVersion":1', 'm.json'), { instanceOf: Failure, message: /^m\.json: is not JSON/ }
	);
});
