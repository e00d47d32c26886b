/**
 * `procsnap check` of every kind of process: its verdict, exit code and reasons, as text and as JSON, and docs/check.md
 * as it says them. PROCSNAP_WRITE_DOCS=1 npx ava test/acquire/check.test.ts writes that file anew.
 */
import test from 'ava';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { mechanism as precopy } from '../../mechanisms/precopy.ts';
import { NODE } from '../processes.ts';
import { KINDS } from './check-kinds.ts';

const DOCS = fileURLToPath(new URL('../../docs/check.md', import.meta.url));
const CLI = fileURLToPath(new URL('../../acquire/cli.ts', import.meta.url));
const writes = process.env['PROCSNAP_WRITE_DOCS'] === '1';
/** A copy without a fork can be made here, as where docs/check.md was written. */
const withoutFork = precopy.unavailable() === null;

interface Named { name: string; code: string | null }

interface Checked {
	pid: number; taken: boolean; mechanism: string; pauseNs: number | null; threads: number;
	reasons: Named[];
	passedOver: Array<{ name: string; why: string }>;
	candidates: Array<{ mechanism: string; unavailable: string | null; pauseNs: number | null; reasons: Named[] }>;
}

/** Not spawnSync: a teardown or a target's pipe may need this process meanwhile. */
async function check(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
	const child = spawn(NODE[0], [...NODE.slice(1), CLI, 'check', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
	const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
	return { status: child.exitCode, stdout, stderr };
}

/** What is of the machine that the tests run on, and of no kind: a container, and little memory. */
const OF_THE_MACHINE = ['cgroup-namespace', 'machine-memory', 'direct-io'];

/** What is another number each time, as it is in the docs: none that names a process, thread or group of the tests. */
function neutral(said: string, pid: number): string {
	return said.replaceAll(String(pid), '1234').replace(/procsnap-test-\d+-\d+/g, 'lab')
		.replace(/(?<=\bthread )(?!1234)\d+/g, '1235')
		.replace(/(?<=traced by process )\d+/g, '1236').replace(/^ {2}note: cgroup-namespace:.*\n(?: {4}.*\n)*/m, '');
}

/** What speaks against any copy; the rest against one by a fork alone. */
const AGAINST_ANY = [
	'frozen', 'uninterruptible', 'seccomp-supervisor', 'traced', 'zombie', 'thread', 'kernel-thread', '32-bit',
	'no-process',
];

const sections: string[] = [];

for (const { title, reasons, make } of KINDS) {
	test(title, async (t) => {
		const pid = await make(t);
		if (pid === null) {
			t.pass();
			return;
		}
		const said = await check(String(pid)), json = await check(String(pid), '--json');
		t.is(said.stderr, '');
		const found = JSON.parse(json.stdout) as Checked;
		const ofFork = found.candidates.find(({ mechanism }) => mechanism === 'inject')!;
		t.deepEqual(
			ofFork.reasons.map(({ name, code }) => `${name}${code === null ? '?' : ''}`)
				.filter((name) => !OF_THE_MACHINE.includes(name.replace('?', ''))),
			reasons
		);
		const fork = reasons.find((name) => !name.endsWith('?'));
		const refused = fork === undefined || (withoutFork && !AGAINST_ANY.includes(fork)) ? undefined : fork;
		if (fork !== undefined && refused === undefined) t.is(found.mechanism, precopy.name);
		t.deepEqual(
			[found.mechanism, ...found.passedOver.map(({ name }) => name)].toSorted(),
			found.candidates.map(({ mechanism }) => mechanism).toSorted()
		);
		t.deepEqual(
			[said.status, json.status, found.taken, found.pauseNs === null],
			refused === undefined ? [0, 0, true, false] : [1, 1, false, true]
		);
		const [first] = said.stdout.split('\n');
		t.is(first, `process ${pid} would be ${refused === undefined ? 'taken' : `refused (${refused})`}`);
		t.true(said.stdout.split('\n').every((line) => line.length <= 120), said.stdout);
		for (const { name } of found.reasons) t.true(said.stdout.includes(` ${name}: `), said.stdout);
		sections.push(
			`## ${title}\n\n    $ npx procsnap check ` +
				`1234\n${neutral(said.stdout, pid).trimEnd().split('\n').map((line) => `    ${line}\n`).join('')}`
		);
		if (writes || !withoutFork) return;
		t.true(
			readFileSync(DOCS, 'utf8').includes(
				`## ${title}\n\n    $ npx procsnap check 1234\n    ${neutral(`${first}\n`, pid)}`
			),
			`docs/check.md: ${title}`
		);
	});
}

test('docs/check.md describes every field of --json', async (t) => {
	const { stdout } = await check(String(process.pid), '--json');
	const table = /^\| field \|[^]*?\n\n/m.exec(readFileSync(DOCS, 'utf8'))?.[0] ?? '';
	for (const field of Object.keys(JSON.parse(stdout) as object)) t.true(table.includes(`\`${field}\``), field);
});

test('--mechanism: of that one alone', async (t) => {
	const { status, stdout } = await check(String(process.pid), '--mechanism', 'inject', '--json');
	t.is(status, 0);
	const { mechanism, candidates, passedOver } = JSON.parse(stdout) as Checked;
	t.deepEqual([mechanism, candidates.length, passedOver], ['inject', 1, []]);
});

test('wrong usage: exit code 2', async (t) => {
	for (const args of [[], ['x'], ['1', '2'], ['1', '--fast'], ['1', '--mechanism', 'stop']]) {
		const { status, stdout, stderr } = await check(...args);
		t.is(status, 2, args.join(' '));
		t.is(stdout, '');
		t.regex(stderr, /^procsnap: [^\n]+\n$/);
	}
});

test('the manual names every reason that there is', (t) => {
	const table = readFileSync(fileURLToPath(new URL('../../native/preflight/reasons.c', import.meta.url)), 'utf8');
	const names = [...table.slice(table.indexOf('no_target[]')).matchAll(/\{ "([a-z0-9-]+)", /g)].map(([, name]) =>
		name ?? '');
	t.true(names.length >= 30, names.join());
	const docs = readFileSync(DOCS, 'utf8');
	t.deepEqual(names.filter((name) => !docs.includes(`| \`${name}\` |`)), []);
});

test('nothing is left of the tracers that looked', (t) => {
	t.is(spawnSync('pgrep', ['-P', String(process.pid), 'procsnap-tracer'], { encoding: 'utf8' }).stdout, '');
});

test.after(() => {
	if (!writes) return;
	const docs = readFileSync(DOCS, 'utf8'), mark = '# What it says\n';
	writeFileSync(DOCS, `${docs.slice(0, docs.indexOf(mark) + mark.length)}\n${sections.join('\n')}`);
});
