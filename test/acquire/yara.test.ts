/** yara finds in a core what is in the process's memory and in no file. */
import type { ExecutionContext } from 'ava';
import { randomBytes } from 'node:crypto';
import { readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testUnless } from '../unless.ts';
import { acquireProgram, noTools, run, startTarget, takeEvidence, temporaryFolder } from './help.ts';

const yaraTest = testUnless(noTools('yara'));

const encoded = (text: string): string => Buffer.from([...Buffer.from(text)].map((byte) => byte ^ 0x5a)).toString(
	'hex'
);
const aText = (): string => `planted-${randomBytes(12).toString('hex')}`;

/** Is the text in the file, by a rule of yara's? */
function matches(t: ExecutionContext, text: string, file: string): boolean {
	const rules = join(temporaryFolder(t), 'rules.yar');
	writeFileSync(rules, `rule planted { strings: $text = ${JSON.stringify(text)} condition: $text }\n`);
	const { status, stdout, stderr } = run('yara', [rules, file]);
	t.deepEqual([status, stderr], [0, '']);
	return stdout === `planted ${file}\n`;
}

yaraTest('yara: a text on the heap', async (t) => {
	const [planted, another] = [aText(), aText()];
	const target = await startTarget(t, 'fileless', 'heap', encoded(planted));
	const { core } = await takeEvidence(t, target.pid);
	t.true(matches(t, planted, core));
	t.false(matches(t, another, core), 'a text that it has not');
	t.false(matches(t, planted, acquireProgram('fileless')), 'it is in memory only');
	const other = await startTarget(t, 'fileless', 'heap', encoded(another));
	t.false(matches(t, planted, (await takeEvidence(t, other.pid)).core), 'a process that has it not');
});

yaraTest('yara: code in an anonymous mapping', async (t) => {
	const planted = aText();
	const target = await startTarget(t, 'fileless', 'code', encoded(planted));
	t.is(target.number(1), 42, 'it was run');
	const { core, manifest } = await takeEvidence(t, target.pid);
	t.true(matches(t, planted, core));
	t.is(
		manifest.regions.filter(({ permissions, file, bytes }) =>
			permissions === 'rwxp' && file === null && bytes === 4096).length,
		1
	);
});

const TEXTS = { code: 'PAYLOAD-TEXT-IN-CODE', data: 'PAYLOAD-TEXT-IN-DATA' };

yaraTest('yara: a program run from a memfd, with pages that it never used', async (t) => {
	const target = await startTarget(t, 'fileless', 'memfd', acquireProgram('payload'));
	t.is(readlinkSync(`/proc/${target.pid}/exe`), '/memfd:payload (deleted)');
	const { core, manifest } = await takeEvidence(t, target.pid);
	t.is(manifest.target.program, '/memfd:payload (deleted)');
	t.true(matches(t, TEXTS.code, core));
	t.true(matches(t, TEXTS.data, core));
});

yaraTest('yara: the same program run from its file: code is taken, other pages are left where they are', async (t) => {
	const target = await startTarget(t, 'payload');
	const { core } = await takeEvidence(t, target.pid);
	t.true(matches(t, TEXTS.code, core));
	t.false(matches(t, TEXTS.data, core));
	t.true(matches(t, TEXTS.data, acquireProgram('payload')));
});
