import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
	appendFileSync, chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';

const PATH = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
const REAL = [
	'sh', 'echo', 'test', 'awk', 'basename', 'cat', 'cp', 'cut', 'date', 'df', 'dirname', 'env', 'find', 'flock', 'grep', 'head', 'ls', 'make', 'mkdir', 'mv', 'nproc',
	'rm', 'sed', 'setpriv', 'setsid', 'sha256sum', 'sleep', 'sort', 'sync', 'tail', 'tar', 'touch', 'true', 'tr', 'uname',
];

/** What a kernel's Makefile does, in a moment. FAKE says what goes wrong; each compilation is noted in calls. */
const MAKEFILE = (version: string, patchlevel: string) => `VERSION = ${version}
PATCHLEVEL = ${patchlevel}
SUBLEVEL = 7
EXTRAVERSION =
allnoconfig:
	sed '/UNKNOWN/d; s/^\\(CONFIG_.*\\)=n$$/# \\1 is not set/' $(KCONFIG_ALLCONFIG) >.config
mrproper:
	rm -f .config stale.o
bzImage:
	echo bzImage >>$(CALLS)
	test ! -e stale.o
	echo '  CC      kernel/fork.o'
	if [ "$(FAKE)" = fail ]; then echo 'kernel/fork.c:1: error: expected ;' >&2; exit 2; fi
	if [ "$(FAKE)" = slow ]; then sleep 47; fi
	if [ "$(FAKE)" = short ]; then sleep 1; fi
	if [ "$(FAKE)" = fill ]; then head -c 64M /dev/zero >big; fi
	mkdir -p arch/x86/boot
	cat applied >arch/x86/boot/bzImage
	echo map >System.map
olddefconfig:
bindeb-pkg:
	cat .config >../linux-image-6.12.7-procsnap_6.12.7-1_amd64.deb
	if grep -q MODULES=y .config; then echo headers; fi >headers; test ! -s headers || cp headers ../linux-headers-6.12.7-procsnap_6.12.7-1_amd64.deb
	echo libc >../linux-libc-dev_6.12.7-1_amd64.deb
`;

const CONFIG_TOOL = `#!/bin/sh
shift; file=$1; shift
while [ $# -gt 0 ]; do
	case $1 in
	--enable) echo "CONFIG_$2=y" >>"$file"; shift 2 ;;
	--disable) sed -i "/^CONFIG_$2=/d" "$file"; shift 2 ;;
	--set-str) sed -i "/^CONFIG_$2=/d" "$file"; echo "CONFIG_$2=\\"$3\\"" >>"$file"; shift 3 ;;
	esac
done
`;

const PATCH = (line: string) => `From 0 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] kernel: One\n\nWhy.\n---\n a | 1 +\n\ndiff --git a/kernel/fork.c b/kernel/fork.c\n--- a/kernel/fork.c\n+++ b/kernel/fork.c\n@@ -1 +1,2 @@\n int x;\n+${line}\n`;

/** A checkout with tools of its own and a source that "compiles" at once: nothing is installed or really built. */
function checkout(t: ExecutionContext) {
	// Linux does not build in a folder with a space; a checkout may be in one.
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-kernel-'));
	t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
	const at = (...path: string[]) => join(folder, ...path);
	const root = at('a checkout');
	mkdirSync(join(root, 'kernel-patch', '6.12'), { recursive: true });
	mkdirSync(join(root, 'kernel-patch', '6.1'));
	mkdirSync(at('bin'));
	cpSync('scripts', join(root, 'scripts'), { recursive: true });
	writeFileSync(join(root, 'kernel-patch', 'guest.config'), '# why\nCONFIG_PROC_SNAP=y\nCONFIG_NR_CPUS=16\nCONFIG_FTRACE=n\n');
	writeFileSync(join(root, 'kernel-patch', 'debug.config'), 'CONFIG_KASAN=y\n');
	for (const version of ['6.12', '6.1']) {
		writeFileSync(join(root, 'kernel-patch', version, '0001-one.patch'), PATCH('int one;'));
		writeFileSync(join(root, 'kernel-patch', version, '0002-two.patch'), PATCH('int two;'));
	}
	const source = (patchlevel: string) => {
		const tree = at(`linux ${patchlevel}`);
		mkdirSync(join(tree, 'kernel'), { recursive: true });
		mkdirSync(join(tree, 'scripts'));
		mkdirSync(join(tree, '.git'));
		writeFileSync(join(tree, 'Makefile'), MAKEFILE('6', patchlevel));
		writeFileSync(join(tree, 'kernel', 'fork.c'), 'int x;\n');
		writeFileSync(join(tree, 'stale.o'), 'of another build');
		writeFileSync(join(tree, 'scripts', 'config'), CONFIG_TOOL);
		chmodSync(join(tree, 'scripts', 'config'), 0o755);
		return tree;
	};
	for (const name of REAL) {
		const path = PATH.map((place) => join(place, name)).find((file) => existsSync(file));
		if (path !== undefined) {
			symlinkSync(path, at('bin', name));
		}
	}
	const tool = (name: string, script: string) => {
		rmSync(at('bin', name), { force: true });
		writeFileSync(at('bin', name), `#!/bin/sh\n${script}\n`);
		chmodSync(at('bin', name), 0o755);
	};
	for (const name of ['flex', 'bison', 'bc', 'cpio', 'kmod', 'perl', 'rsync', 'dh', 'dpkg-buildpackage', 'dpkg-architecture']) {
		tool(name, '');
	}
	tool('xz', 'exec cat');
	tool('id', 'echo 1000');
	tool('dpkg-query', 'exit 1');
	tool('gcc', 'case $1 in --version) echo "gcc (Fake) 1.2.3" ;; esac; exit 0');
	tool('patch', 'for last; do case $last in *.patch) file=$last ;; */linux) tree=$last ;; esac; done; if grep -q refused "$file"; then echo "Hunk #1 FAILED at 1."; exit 1; fi; sed -n "s/^+int //p" "$file" >>"$tree/applied"');
	const cache = at('cache', 'procsnap', 'kernels');
	const env: NodeJS.ProcessEnv = { PATH: at('bin'), XDG_CACHE_HOME: at('cache'), KERNEL_SOURCE: source('12'), CALLS: at('calls') };
	const script = join(root, 'scripts', 'kernel');
	const run = (args: string[], more: NodeJS.ProcessEnv = {}) => spawnSync('/bin/sh', [script, ...args], { env: { ...env, ...more }, cwd: at(), encoding: 'utf8' });
	const start = (more: NodeJS.ProcessEnv = {}) => spawn('/bin/sh', [script, 'build'], { env: { ...env, ...more }, stdio: 'ignore' });
	const compiled = () => (existsSync(at('calls')) ? readFileSync(at('calls'), 'utf8').trim().split('\n').length : 0);
	const cached = () => (existsSync(cache) ? readdirSync(cache).filter((name) => name !== 'lock').sort() : []);
	return { root, at, cache, env, run, start, compiled, cached, tool, source };
}

async function until(condition: () => boolean) {
	for (let tries = 0; !condition() && tries < 400; tries++) {
		await sleep(25);
	}
	return condition();
}

/** Processes that work in a folder. */
function workingIn(folder: string) {
	return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
		try {
			return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
		} catch {
			return false;
		}
	});
}

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
	t.is(readFileSync(join(folder, 'config'), 'utf8'), 'CONFIG_PROC_SNAP=y\nCONFIG_NR_CPUS=16\n# CONFIG_FTRACE is not set\n');
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
		() => { writeFileSync(join(env['KERNEL_SOURCE'] ?? '', 'Makefile'), MAKEFILE('6', '12').replace('SUBLEVEL = 7', 'SUBLEVEL = 8')); },
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
	tool('dpkg-query', `[ -f ${tarball} ] || exit 1; case $* in *linux-source-6.12*) ;; *) exit 1 ;; esac; if [ "$1" = -L ]; then echo /usr/share/doc; echo ${tarball}; else echo "package 6.12.7-1"; fi`);
	tool('apt-get', 'echo "E: no network"; exit 100');
	const refused = run(['build'], { KERNEL_SOURCE: '' });
	t.is(refused.status, 1);
	t.regex(refused.stderr, /missing for the kernel's build: linux-source-6\.12 flex; installing them/);
	t.regex(refused.stderr, /E: no network\n.*apt-get could not install them.*KERNEL_SOURCE=DIR/s);
	tool('apt-get', `echo "apt-get $*"; [ "$2" = install ] || exit 0; cp ${at('bin', 'bison')} ${at('bin', 'flex')}; cd '${env['KERNEL_SOURCE'] ?? ''}/..'; rm -f 'linux 12/stale.o'; tar -cf ${tarball} 'linux 12'`);
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
	t.regex(stderr, /Hunk #1 FAILED at 1\.\n(.*\n)*kernel: error: kernel-patch\/6\.12\/0003-three\.patch does not apply/);
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
	const { root, env, run } = checkout(t);
	const makefile = join(env['KERNEL_SOURCE'] ?? '', 'Makefile');
	writeFileSync(makefile, readFileSync(makefile, 'utf8').replace("sed '", "sed 's/CPUS=16/CPUS=8/; s/FTRACE=n/FTRACE=y/; "));
	t.regex(run(['build']).stderr, /\n {2}CONFIG_NR_CPUS=16\n {2}CONFIG_FTRACE=n\n/);
	t.true(existsSync(root));
});

test('a kernel that does not compile leaves its log, and no kernel; the next build works', (t) => {
	const { cache, run, cached } = checkout(t);
	const { status, stdout, stderr } = run(['build'], { FAKE: 'fail' });
	t.deepEqual([status, stdout], [1, '']);
	t.regex(stderr, /kernel\/fork\.c:1: error: expected ;\n(.*\n)*kernel: error: the kernel does not compile\n the whole log: /);
	t.deepEqual(cached(), ['failed-6.12.log']);
	t.regex(readFileSync(join(cache, 'failed-6.12.log'), 'utf8'), /expected ;/);
	t.is(run(['path']).status, 1);
	t.is(run(['build']).status, 0);
	t.is(cached().length, 1);
});

for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
	test(`${signal} while it compiles ends the build and leaves nothing`, async (t) => {
		const { at, start, run, compiled, cached } = checkout(t);
		const child = start({ FAKE: 'slow' });
		t.true(await until(() => compiled() === 1));
		const began = performance.now();
		child.kill(signal);
		t.deepEqual(await once(child, 'close'), [status, null]);
		t.true(performance.now() - began < 30_000, 'it waited for its compiler');
		t.deepEqual(cached(), []);
		t.deepEqual(workingIn(at()), []);
		t.is(run(['build']).status, 0);
	});
}

test('killed outright, its compilers end too, and the next build sweeps what it left', async (t) => {
	const { at, start, run, compiled, cached } = checkout(t);
	const child = start({ FAKE: 'slow' });
	t.true(await until(() => compiled() === 1));
	child.kill('SIGKILL');
	await once(child, 'close');
	t.true(cached().some((name) => name.startsWith('work.')));
	t.is(run(['path']).status, 1, 'what is half is no kernel');
	t.true(await until(() => workingIn(at()).length === 0));
	const began = performance.now();
	const { status, stderr } = run(['build']);
	t.true(performance.now() - began < 30_000, 'it waited for a compiler that nobody waits for');
	t.is(status, 0, stderr);
	t.is(cached().length, 1);
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

test('too little room is said before anything is done', (t) => {
	const { run, cached, compiled, tool } = checkout(t);
	tool('df', 'printf "Filesystem 1048576-blocks Used Available Capacity Mounted on\\n/dev/vda 100 1 99 1%% /\\n"');
	const { status, stderr } = run(['build']);
	t.is(status, 1);
	t.regex(stderr, /error: \S+ has 99 MiB left, a build needs \d+: make room, or set XDG_CACHE_HOME/);
	t.deepEqual([compiled(), cached()], [0, []]);
});

test('a disk that gets full while it compiles is said, and nothing is left', (t) => {
	const { at, root, env, tool } = checkout(t);
	mkdirSync(at('cache'));
	// It is found large enough once; from then on the truth is told.
	tool('df', `if [ ! -e ${at('asked')} ]; then : >${at('asked')}; echo x; echo / 9999 1 9998 1% /; else exec /bin/df "$@"; fi`);
	const inside = `mount -t tmpfs -o size=8m none ${at('cache')} || exit 77; PATH=${at('bin')} /bin/sh '${root}/scripts/kernel' build; echo "status $?"; ls ${at('cache', 'procsnap', 'kernels')}`;
	const { status, stdout, stderr } = spawnSync('unshare', ['--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), 'sh', '-c', inside],
		{ env: { ...env, PATH: process.env['PATH'], FAKE: 'fill' }, encoding: 'utf8' });
	if (status === null || status === 77 || /unshare failed/.test(stderr)) {
		t.log(`skipped: no small file system can be mounted here: ${stderr.trim()}`);
		t.pass();
		return;
	}
	t.regex(stderr, /kernel: error: the disk is full \(/);
	t.regex(stdout, /^status 1\n(failed-6\.12\.log\n)?lock\n$/);
});

test('a folder in which Linux cannot be built is refused', (t) => {
	const { at, run } = checkout(t);
	t.regex(run(['build'], { XDG_CACHE_HOME: at('a cache') }).stderr, /takes no path with a space or a colon: set XDG_CACHE_HOME/);
	t.regex(run(['build'], { XDG_CACHE_HOME: '' }).stderr, /set HOME or XDG_CACHE_HOME/);
});

test('PROCSNAP_KEEP_BUILD=1 leaves the folder of the build, and says where', (t) => {
	const { run } = checkout(t);
	const { status, stderr } = run(['build'], { PROCSNAP_KEEP_BUILD: '1' });
	t.is(status, 0, stderr);
	const kept = /the build's folder is kept: (\S+)/.exec(stderr)?.[1] ?? '';
	t.true(existsSync(join(kept, 'linux', 'applied')));
});

test('packages: the machine\'s configuration, the call turned on, keys that are not there left out', (t) => {
	const { at, run, cached } = checkout(t);
	writeFileSync(at('config-lab'), 'CONFIG_MODULES=y\nCONFIG_DEBUG_INFO=y\nCONFIG_DEBUG_INFO_BTF=y\nCONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/uefi.pem"\nCONFIG_MODULE_SIG_KEY="certs/signing_key.pem"\n');
	const { status, stdout, stderr } = run(['deb', '--config', 'config-lab', '--out', 'lab packages']);
	t.is(status, 0, stderr);
	const image = 'linux-image-6.12.7-procsnap_6.12.7-1_amd64.deb';
	const headers = 'linux-headers-6.12.7-procsnap_6.12.7-1_amd64.deb';
	t.is(stdout, [image, headers].map((name) => `${at('lab packages', name)}\n`).join(''));
	t.deepEqual(readdirSync(at('lab packages')).sort(), [headers, image]);
	const config = readFileSync(at('lab packages', image), 'utf8').split('\n');
	for (const line of ['CONFIG_PROC_SNAP=y', 'CONFIG_LOCALVERSION="-procsnap"', 'CONFIG_SYSTEM_TRUSTED_KEYS=""', 'CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"', 'CONFIG_DEBUG_INFO_NONE=y']) {
		t.true(config.includes(line), line);
	}
	t.false(config.some((line) => /^CONFIG_DEBUG_INFO(_BTF)?=/.test(line)));
	t.regex(stderr, /SYSTEM_TRUSTED_KEYS names debian\/certs\/uefi\.pem.*left empty/);
	t.regex(stderr, /debug information is turned off/);
	t.regex(stderr, /dpkg -i linux-image.*grub-reboot .*with Linux 6\.12\.7-procsnap'.*uname -r has to say 6\.12\.7-procsnap.*npm run bench/s);
	t.deepEqual(cached(), []);
	writeFileSync(at('config-lab'), 'CONFIG_EXT4_FS=y\n');
	const alone = run(['deb', '--config', 'config-lab', '--out', 'no modules']);
	t.is(alone.stdout, `${at('no modules', image)}\n`);
	t.regex(alone.stderr, /config-lab has no modules: there will be no package of headers/);
	t.notRegex(alone.stderr, /linux-headers/);
	rmSync(at('bin', 'dh'));
	t.regex(run(['deb', '--config', 'config-lab']).stderr, /missing for the kernel's build: debhelper\n/);
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
