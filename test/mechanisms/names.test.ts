/**
 * The tool and the harness know no mechanism by its name: what they may say of one is what mechanisms/shared/types.ts
 * has. Prose may name them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { MECHANISMS } from '../../mechanisms/shared/all.ts';

const NAMES = MECHANISMS.map(({ name }) => name).join('|');
/** A name by itself in quotes, a mechanism's file, and the tracer's requests that only mechanisms make. */
const KNOWS = [
	new RegExp(`(['"\`])(?:${NAMES})\\1`), new RegExp(`mechanisms/(?:${NAMES})\\.ts`),
	/\.(?:inject|snap|snapPlain|stopCopy)\(/,
];

const withoutComments = (text: string): string => text.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');

function knowing(text: string): string[] {
	return withoutComments(text).split('\n').filter((line) => KNOWS.some((pattern) => pattern.test(line)))
		.map((line) => line.trim());
}

test('neither acquire/ nor bench/ names a mechanism in code', (t) => {
	const files = ['acquire', 'bench'].flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' })
		.filter((file) => file.endsWith('.ts')).map((file) => join(folder, file)));
	t.true(files.length > 100);
	t.deepEqual(files.flatMap((file) => knowing(readFileSync(file, 'utf8')).map((line) => `${file}: ${line}`)), []);
});

test('what that would find', (t) => {
	for (const line of [
		'if (mechanism === \'syscall\') {', 'const how = "inject";',
		'import { mechanism } from \'../mechanisms/fork.ts\';', 'tracer.inject(pid);',
	]) t.deepEqual(knowing(line), [line]);
	for (const line of [
		'// as \'syscall\' does', '/** By \'inject\'. */', 'const text = \'a stop of the target by inject\';',
	])
		t.deepEqual(knowing(line), []);
});
