import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { createRun } from '../../../bench/store/run.ts';
import { aBlock, aFolder, aManifest } from '../store/fixtures.ts';

/** With a limit: if a check is lost, the command line begins to measure. */
function procsnap(...args: string[]) {
	return spawnSync(process.execPath, ['bench/cli.ts', ...args], { encoding: 'utf8', timeout: 120_000 });
}

function runs(): string[] {
	return existsSync('results/runs') ? readdirSync('results/runs').sort() : [];
}

const WRONG: Array<[string, string[], RegExp]> = [
	[
		'an unknown option', ['bench', '--fast'],
		/unknown option --fast: the options are --profile, --experiment, --backend, --variant, --rounds, --environment, --count-instructions, --out, --seed, --no-report, --list, --help/,
	],
	['an unknown short option', ['bench', '-x'], /unknown option -x: the options are --profile/],
	['an unknown profile', ['bench', '--profile', 'quick'], /unknown profile "quick": there are smoke, paper/],
	['an unknown experiment', ['bench', '--experiment', 'nonsense'], /unknown experiment "nonsense": there (is|are) /],
	['an unknown mechanism', ['bench', '--backend', 'magic'], /unknown backend "magic": there (is|are) /],
	['an unknown environment', ['bench', '--environment=moon'], /unknown environment "moon": there are host, guest/],
	['an option without its value', ['bench', '--seed'], /--seed needs a value: --seed N/],
	['an option whose value is the next option', ['bench', '--out', '--list'], /--out needs a value: --out DIR/],
	['a flag with a value', ['bench', '--list=all'], /--list takes no value/],
	['no rounds', ['bench', '--rounds', '0'], /--rounds 0: /],
	['a broken seed', ['bench', '--seed', '1.5'], /--seed 1\.5: it is a whole number from 0 to 4294967295/],
	['a seed too large', ['bench', '--seed', '4294967296'], /--seed 4294967296: it is/],
	['a stray argument', ['bench', 'smoke'], /unexpected argument "smoke"/],
	['an unknown verb', ['measure'], /unknown verb "measure": the verbs are bench, doctor, guest, report, tune/],
	['report without a folder', ['report'], /report needs the folder of a run/],
	['report with two folders', ['report', 'a', 'b'], /unexpected argument "b"/],
];

for (const [title, args, message] of WRONG) {
	test(`${title}: one line, exit 2, nothing measured`, (t) => {
		const before = runs();
		const { status, stdout, stderr } = procsnap(...args);
		t.regex(stderr, message);
		t.regex(stderr, /^procsnap: [^\n]+\n$/);
		t.is(stdout, '');
		t.is(status, 2);
		t.deepEqual(runs(), before);
	});
}

test('--help tells options and exit codes', (t) => {
	const { status, stdout } = procsnap('bench', '--help');
	t.is(status, 0);
	for (const expected of ['--profile NAME', '--seed N', '--out DIR', 'Exit code: 0', '130 interrupted']) {
		t.true(stdout.includes(expected), expected);
	}
	t.is(procsnap('report', '--help').status, 0);
	t.is(procsnap('--help').status, 0);
});

test('--list shows experiments, mechanisms, environments and profiles', (t) => {
	const { status, stdout, stderr } = procsnap('bench', '--list');
	t.is(stderr, '');
	t.is(status, 0);
	t.deepEqual(stdout.match(/^\S.*$/gm), ['Experiments', 'Mechanisms (--backend)', 'Environments', 'Profiles']);
	t.regex(
		stdout,
		/^ {2}host {3}this machine, under the kernel that it runs \((bare-metal|vm|nested-vm|emulated|unknown)\)$/m
	);
	t.regex(stdout, /^ {2}guest {2}guest with 1 CPU: /m);
	t.regex(stdout, /^ {2}guest {2}guest with 2 CPUs: /m);
});

test('report names what is wrong with a run: exit 1', (t) => {
	const folder = aFolder(t);
	mkdirSync(join(folder, 'empty'));
	const run = createRun('x', join(folder, 'newer'));
	run.writeManifest(aManifest({ id: 'x', schemaVersion: 2 }));
	const alien = createRun('y', join(folder, 'alien'));
	alien.writeManifest(aManifest({ id: 'y' }));
	const samples = alien.openSamples();
	samples.append(aBlock(0, { experiment: 'not-there' }));
	samples.close();
	mkdirSync(join(folder, 'corrupt'));
	writeFileSync(join(folder, 'corrupt', 'manifest.json'), '{');
	for (const [name, message] of [
		['empty', /empty\/manifest\.json: no such file/],
		['newer', /written by a newer procsnap \(schema 2, this one reads 1\): update/],
		['alien', /samples of the experiment not-there, which this procsnap does not know/],
		['corrupt', /corrupt\/manifest\.json: is not JSON/],
	] as Array<[string, RegExp]>) {
		const { status, stderr } = procsnap('report', join(folder, name));
		t.regex(stderr, message);
		t.regex(stderr, /^procsnap: [^\n]+\n$/);
		t.is(status, 1);
	}
});
