/** Which mechanisms there are, and how users choose one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Failure, UsageError } from '../../common/errors.ts';
import { discoverMechanisms, forEvidence, MECHANISMS, mechanismFor } from '../../mechanisms/shared/all.ts';

function folderOf(t: ExecutionContext, files: Record<string, string>): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(folder, { recursive: true }));
	for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
	return folder;
}

const source = (name: string, order: number, evidence = 'null'): string => `export const mechanism = {
	name: '${name}', order: ${order}, title: 'T', description: 'D', duplicates: true, forked: true, keepsShared: false, allFlags: true, ofOneMoment: true, cooperative: false, notForEvidence: ${evidence},
	unavailable: () => null, open: () => {},
};\n`;

test('each file of the folder is one, in their order and then by name', async (t) => {
	const folder = folderOf(
		t, { 'stop.ts': source('stop', 2), 'inject.ts': source('inject', 2), 'syscall.ts': source('syscall', 1) }
	);
	t.deepEqual((await discoverMechanisms(folder)).map(({ name }) => name), ['syscall', 'inject', 'stop']);
	t.deepEqual(await discoverMechanisms(join(folder, 'none')), []);
});

test('what is no mechanism is an error that names the file and the field', async (t) => {
	await t.throwsAsync(discoverMechanisms(folderOf(t, { 'broken.ts': 'export const mechanism = { name: "x" };\n' })),
		{
			instanceOf: Failure,
			message: /broken\.ts: its export `mechanism` lacks `order` \(see mechanisms\/shared\/types\.ts\)/,
		});
	await t.throwsAsync(discoverMechanisms(folderOf(t, { 'broken.ts': source('x', 1, '3') })),
		{ instanceOf: Failure, message: /has `notForEvidence`, but it is no string or null/ });
});

test('without a name: the first that evidence can be taken by on this machine', (t) => {
	const chosen = mechanismFor();
	t.is(chosen.notForEvidence, null);
	const before = MECHANISMS.slice(0, MECHANISMS.indexOf(chosen));
	t.true(before.every((mechanism) => mechanism.notForEvidence !== null || mechanism.unavailable() !== null));
});

test('by name: one for evidence; of another the reason is given, and which there are', (t) => {
	for (const mechanism of forEvidence()) t.is(mechanismFor(mechanism.name), mechanism);
	t.throws(
		() => mechanismFor('magic'),
		{ instanceOf: UsageError, message: '--mechanism magic: the mechanisms are syscall, inject, precopy and live' }
	);
	for (const { name, notForEvidence } of MECHANISMS) {
		if (notForEvidence === null) continue;
		t.throws(
			() => mechanismFor(name),
			{
				instanceOf: UsageError,
				message: `--mechanism ${name}: ${notForEvidence}; the mechanisms are syscall, inject, precopy and live`,
			}
		);
	}
});

test('names are as users type them and as the schema of a manifest has them', (t) => {
	for (const { name } of MECHANISMS) t.regex(name, /^[a-z][a-z0-9-]{0,63}$/);
});
