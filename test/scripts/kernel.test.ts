/** scripts/kernel builds a kernel once, and again when anything that makes it has changed. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import test from 'ava';
import { MAKEFILE, PATCH, checkout } from './kernel-checkout.ts';

const contents = (folder: string) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
	.map((name) => `${name} ${statSync(join(folder, name)).mtimeMs}`);

test('builds once, with all patches, and prints the folder; then is silent', (t) => {
	const { cache, env, run, compiled, cached } = checkout(t);
	const before = contents(env['KERNEL_SOURCE'] ?? '');
	const none = run(['path']);
	t.deepEqual([none.status, none.stdout, none.stderr], [1, '', '']);
	const first = run(['build']);
	t.is(first.status, 0, first.stderr);
	const folder = first.stdout.trim();
	t.is(first.stdout, `${folder}\n`);
	t.is(join(cache, basename(folder)), join(cache, ...cached()), 'only the kernel is left');
	t.deepEqual(readdirSync(folder).sort(), ['System.map', 'bzImage', 'config', 'key']);
	t.is(readFileSync(join(folder, 'bzImage'), 'utf8'), 'one;\ntwo;\n');
	t.is(
		readFileSync(join(folder, 'config'), 'utf8'),
		'CONFIG_PROC_SNAP=y\nCONFIG_NR_CPUS=16\n# CONFIG_FTRACE is not set\n'
	);
	t.is(createHash('sha256').update(readFileSync(join(folder, 'key'))).digest('hex'), basename(folder));
	const second = run(['build']);
	t.deepEqual([second.status, second.stdout, second.stderr], [0, first.stdout, '']);
	t.is(run(['path']).stdout, first.stdout);
	t.is(compiled(), 1);
	t.deepEqual(contents(env['KERNEL_SOURCE'] ?? ''), before, 'the source is only read');
});

test('another patch, configuration, source, compiler or recipe is another kernel; other words are not', (t) => {
	const { root, env, run, compiled, tool } = checkout(t);
	const patch = join(root, 'kernel-patch', '6.12', '0002-two.patch');
	const config = join(root, 'kernel-patch', 'guest.config');
	const build = (args: string[] = []) => {
		const { status, stdout, stderr } = run(['build', ...args]);
		t.is(status, 0, stderr);
		return stdout;
	};
	const first = build();
	writeFileSync(patch, PATCH('int two;').replace('Why.', 'Why, in other words.'));
	appendFileSync(config, '# a comment\n# only on 6.1: CONFIG_OLD=y\n');
	t.is(build(), first);
	t.is(compiled(), 1);
	const seen = new Set([first]);
	for (const change of [
		() => { writeFileSync(patch, PATCH('int other;')); },
		() => { appendFileSync(config, 'CONFIG_MORE=y\n'); },
		() => { appendFileSync(config, '# only on 6.12: CONFIG_NEW=y\n'); },
		() => { appendFileSync(join(env['KERNEL_SOURCE'] ?? '', 'kernel', 'fork.c'), 'int y;\n'); },
		() => { writeFileSync(
			join(env['KERNEL_SOURCE'] ?? '', 'Makefile'), MAKEFILE('6', '12').replace('SUBLEVEL = 7', 'SUBLEVEL = 8')
		); },
		() => { tool('gcc', 'case $1 in --version) echo "gcc (Fake) 1.2.4" ;; esac; exit 0'); },
	]) {
		change();
		seen.add(build());
	}
	t.is(seen.size, 7);
	seen.add(build(['--debug']));
	t.is(seen.size, 8);
	t.is(run(['path', '--debug']).stdout, build(['--debug']));
	t.not(run(['path']).stdout, run(['path', '--debug']).stdout);
	t.is(compiled(), 8);
});

test('two at once take turns: one builds, both print it', async (t) => {
	const { start, run, compiled, cached } = checkout(t);
	const both = [0, 1].map(() => start({ FAKE: 'short' }));
	t.deepEqual(await Promise.all(both.map((child) => once(child, 'close'))), [[0, null], [0, null]]);
	t.is(compiled(), 1);
	t.is(cached().length, 1);
	t.is(run(['path']).status, 0);
});

test('a patch that is edited while the kernel is built does not get into the cache under the old name', (t) => {
	const { root, run, cached, compiled, tool } = checkout(t);
	const patch = join(root, 'kernel-patch', '6.12', '0002-two.patch');
	tool('patch', `echo 'int more;' >>'${patch}'`);
	const { status, stderr } = run(['build']);
	t.is(status, 1);
	t.regex(stderr, /was changed while it was read: build again/);
	t.deepEqual([cached(), compiled()], [[], 0]);
});

test('PROCSNAP_KEEP_BUILD=1 leaves the folder of the build, and says where', (t) => {
	const { run } = checkout(t);
	const { status, stderr } = run(['build'], { PROCSNAP_KEEP_BUILD: '1' });
	t.is(status, 0, stderr);
	const kept = /the build's folder is kept: (\S+)/.exec(stderr)?.[1] ?? '';
	t.true(existsSync(join(kept, 'linux', 'applied')));
});
