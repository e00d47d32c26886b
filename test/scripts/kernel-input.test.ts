/** scripts/kernel says what is wrong with what it is given: source, tools, patches, configuration, arguments. */
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { PATCH, checkout } from './kernel-checkout.ts';

test('a source that is missing, none, or of another version is a clear error', (t) => {
	const { at, run, cached, source } = checkout(t);
	const message = (args: string[], more: NodeJS.ProcessEnv) => {
		const { status, stdout, stderr } = run(args, more);
		t.deepEqual([status, stdout], [1, '']);
		return stderr;
	};
	t.regex(message(['build', '--version', '6.1'], {}), /is Linux 6\.12, but Linux 6\.1 was asked for/);
	t.regex(message(['build'], { KERNEL_SOURCE: at('bin') }), /is no kernel source \(its Makefile names no VERSION\)/);
	t.regex(message(['build'], { KERNEL_SOURCE: at('nowhere') }), /KERNEL_SOURCE is no folder that can be entered/);
	t.deepEqual(cached(), []);
	const built = run(['build', '--version=6.1'], { KERNEL_SOURCE: source('1') });
	t.is(built.status, 0, built.stderr);
});

test('without root, what is missing is named with what to do', (t) => {
	const { at, run } = checkout(t);
	rmSync(at('bin', 'flex'));
	rmSync(at('bin', 'xz'));
	const { status, stderr } = run(['build'], { KERNEL_SOURCE: '' });
	t.is(status, 3, 'not a failure of the build: npm test goes on without it');
	t.is(stderr, 'kernel: error: missing for the kernel\'s build: linux-source-6.12 flex xz-utils\n'
		+ ' on Debian run as root: apt-get install linux-source-6.12 flex xz-utils\n'
		+ ' where there is no linux-source-6.12: unpack a source of Linux 6.12 and set KERNEL_SOURCE=DIR\n');
});

test('as root on Debian it says what it installs, installs it, and builds from the package', (t) => {
	if (!existsSync('/etc/debian_version')) {
		t.log('skipped: this machine is no Debian');
		t.pass();
		return;
	}
	const { at, env, run, tool } = checkout(t);
	const tarball = at('linux-source-6.12.tar.xz');
	rmSync(at('bin', 'flex'));
	tool('id', 'echo 0');
	tool(
		'dpkg-query',
		`[ -f ${tarball} ] || exit 1; case $* in *linux-source-6.12*) ;; *) exit 1 ;; esac; if [ "$1" = -L ]; then ` +
			`echo /usr/share/doc; echo ${tarball}; else echo "package 6.12.7-1"; fi`
	);
	tool('apt-get', 'echo "E: no network"; exit 100');
	const refused = run(['build'], { KERNEL_SOURCE: '' });
	t.is(refused.status, 1);
	t.regex(refused.stderr, /missing for the kernel's build: linux-source-6\.12 flex; installing them/);
	t.regex(refused.stderr, /E: no network\n.*apt-get could not install them.*KERNEL_SOURCE=DIR/s);
	tool(
		'apt-get',
		`echo "apt-get $*"; [ "$2" = install ] || exit 0; cp ${at('bin', 'bison')} ${at('bin', 'flex')}; cd ` +
			`'${env['KERNEL_SOURCE'] ?? ''}/..'; rm -f 'linux 12/stale.o'; tar -cf ${tarball} 'linux 12'`
	);
	const built = run(['build'], { KERNEL_SOURCE: '' });
	t.is(built.status, 0, built.stderr);
	t.regex(built.stderr, /apt-get -q update\napt-get -q install -y --no-install-recommends linux-source-6\.12 flex\n/);
	t.regex(readFileSync(join(built.stdout.trim(), 'key'), 'utf8'), /^source package 6\.12\.7-1$/m);
	t.is(run(['path'], { KERNEL_SOURCE: '' }).stdout, built.stdout);
});

test('a patch that does not apply is named, and nothing is left', (t) => {
	const { root, run, cached } = checkout(t);
	writeFileSync(join(root, 'kernel-patch', '6.12', '0003-three.patch'), PATCH('refused'));
	const { status, stdout, stderr } = run(['build']);
	t.deepEqual([status, stdout], [1, '']);
	t.regex(
		stderr, /Hunk #1 FAILED at 1\.\n(.*\n)*kernel: error: kernel-patch\/6\.12\/0003-three\.patch does not apply/
	);
	t.deepEqual(cached(), ['failed-6.12.log']);
});

test('a line of the configuration that is not taken is named; a line for another version is none', (t) => {
	const { root, run, cached, compiled, source } = checkout(t);
	const config = join(root, 'kernel-patch', 'guest.config');
	appendFileSync(config, '# only on 6.12: CONFIG_UNKNOWN_HERE=y\n# only on 6.1: CONFIG_UNKNOWN_THERE=y\n');
	const { status, stderr } = run(['build']);
	t.is(status, 1);
	t.regex(stderr, /does not take these lines.*:\n {2}CONFIG_UNKNOWN_HERE=y\n [^\n]*\n$/s);
	t.notRegex(stderr, /UNKNOWN_THERE/);
	t.is(compiled(), 0);
	t.deepEqual(cached(), []);
	t.regex(run(['build', '--version', '6.1'], { KERNEL_SOURCE: source('1') }).stderr, / {2}CONFIG_UNKNOWN_THERE=y\n/);
});

test('a value that Kconfig changes is not taken either, nor is an option that stays on', (t) => {
	const { env, run } = checkout(t);
	const makefile = join(env['KERNEL_SOURCE'] ?? '', 'Makefile');
	writeFileSync(
		makefile, readFileSync(makefile, 'utf8').replace("sed '", "sed 's/CPUS=16/CPUS=8/; s/FTRACE=n/FTRACE=y/; ")
	);
	t.regex(run(['build']).stderr, /\n {2}CONFIG_NR_CPUS=16\n {2}CONFIG_FTRACE=n\n/);
});

test('a folder in which Linux cannot be built is refused', (t) => {
	const { at, run } = checkout(t);
	t.regex(
		run(['build'], { XDG_CACHE_HOME: at('a cache') }).stderr,
		/takes no path with a space or a colon: set XDG_CACHE_HOME/
	);
	t.regex(run(['build'], { XDG_CACHE_HOME: '' }).stderr, /set HOME or XDG_CACHE_HOME/);
});

test('what is typed wrongly is said, with status 2', (t) => {
	const { run } = checkout(t);
	for (const [args, message] of [
		[[], /Usage: npm run kernel/],
		[['bild'], /unknown verb "bild": the verbs are build, path, deb/],
		[['build', '--version', '5.10'], /no patches for Linux "5\.10": --version is 6\.12 or 6\.1/],
		[['build', '--version'], /--version wants a value/],
		[['build', '--fast'], /build does not know "--fast"/],
		[['path', '--out', 'x'], /path does not know "--out"/],
		[['deb', '--debug'], /deb does not know "--debug"/],
		[['deb'], /deb wants --config FILE/],
	] as Array<[string[], RegExp]>) {
		const { status, stdout, stderr } = run(args);
		t.deepEqual([status, stdout], [2, ''], stderr);
		t.regex(stderr, message);
	}
	t.regex(run(['deb', '--config', 'nothing']).stderr, /nothing: no such file, or it cannot be read/);
	t.is(run(['--help']).status, 0);
	t.regex(run(['build', '--help']).stdout, /KERNEL_SOURCE=DIR/);
});
