import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import test from 'ava';

test('every `npm run` that texts and scripts name exists', (t) => {
	const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
	const texts = ['README.md', 'CONTRIBUTING.md', 'results/README.md', '.ci/run', 'scripts/setup', 'scripts/check',
		...readdirSync('bench/commands').map((name) => `bench/commands/${name}`)].filter(existsSync);
	let named = 0;
	for (const file of texts) {
		for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/\bnpm run ([a-z][\w:-]*)/g)) {
			t.true(name in scripts, `${file} names npm run ${name}`);
			named += 1;
		}
	}
	t.true(named >= 4);
});

test('every npm script sets up first, but the one that needs no package', (t) => {
	const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
	for (const [name, script] of Object.entries(scripts)) {
		const called = /^sh (scripts\/\w+)$/.exec(script)?.[1];
		const text = called === undefined
			? script
			: readFileSync(called, 'utf8').replace(/^#.*\n|^set .*\n|^cd .*\n|^\n/gm, '');
		t.true(text.startsWith('sh scripts/setup') || name === 'kernel', name);
	}
});

test('the shell scripts parse', (t) => {
	for (const [shell, script] of [
		...readdirSync('scripts').map((name) => ['sh', `scripts/${name}`] as const), ['bash', '.ci/run'] as const,
	]) {
		t.is(spawnSync(shell, ['-n', script]).status, 0, script);
	}
});
