/** What scripts/kernel is tested on. */
import { spawn, spawnSync } from 'node:child_process';
import {
	chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

const PATH = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
const REAL = [
	'sh', 'echo', 'test', 'awk', 'basename', 'cat', 'cp', 'cut', 'date', 'df', 'dirname', 'env', 'find', 'flock',
	'grep', 'head', 'ls', 'make', 'mkdir', 'mv', 'nproc',
	'rm', 'sed', 'setpriv', 'setsid', 'sha256sum', 'sleep', 'sort', 'sync', 'tail', 'tar', 'touch', 'true', 'tr',
	'uname',
];

/** What a kernel's Makefile does, in a moment. FAKE says what goes wrong; each compilation is noted in calls. */
export const MAKEFILE = (version: string, patchlevel: string) => `VERSION = ${version}
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
	if [ "$(FAKE)" = slow ]; then sleep 47; touch $(CALLS).slept; fi
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

export const PATCH = (line: string) =>
	`From 0 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] kernel: One\n\nWhy.\n---\n a | 1 +\n\ndiff --git ` +
		`a/kernel/fork.c b/kernel/fork.c\n--- a/kernel/fork.c\n+++ b/kernel/fork.c\n@@ -1 +1,2 @@\n int x;\n+${line}\n`;

/** A checkout with tools of its own and a source that "compiles" at once: nothing is installed or really built. */
export function checkout(t: ExecutionContext) {
	// Linux does not build in a folder with a space; a checkout may be in one.
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-kernel-'));
	t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
	const at = (...path: string[]) => join(folder, ...path);
	const root = at('a checkout');
	mkdirSync(join(root, 'kernel-patch', '6.12'), { recursive: true });
	mkdirSync(join(root, 'kernel-patch', '6.1'));
	mkdirSync(at('bin'));
	cpSync('scripts', join(root, 'scripts'), { recursive: true });
	writeFileSync(
		join(root, 'kernel-patch', 'guest.config'), '# why\nCONFIG_PROC_SNAP=y\nCONFIG_NR_CPUS=16\nCONFIG_FTRACE=n\n'
	);
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
	for (const name of [
		'flex', 'bison', 'bc', 'cpio', 'kmod', 'perl', 'rsync', 'dh', 'dpkg-buildpackage', 'dpkg-architecture',
	]) {
		tool(name, '');
	}
	tool('xz', 'exec cat');
	tool('id', 'echo 1000');
	tool('dpkg-query', 'exit 1');
	tool('gcc', 'case $1 in --version) echo "gcc (Fake) 1.2.3" ;; esac; exit 0');
	tool(
		'patch',
		'for last; do case $last in *.patch) file=$last ;; */linux) tree=$last ;; esac; done; if grep -q refused ' +
			'"$file"; then echo "Hunk #1 FAILED at 1."; exit 1; fi; sed -n "s/^+int //p" "$file" >>"$tree/applied"'
	);
	const cache = at('cache', 'procsnap', 'kernels');
	const env: NodeJS.ProcessEnv = {
		PATH: at('bin'), XDG_CACHE_HOME: at('cache'), KERNEL_SOURCE: source('12'), CALLS: at('calls'),
	};
	const script = join(root, 'scripts', 'kernel');
	const run = (args: string[], more: NodeJS.ProcessEnv = {}) =>
		spawnSync('/bin/sh', [script, ...args], { env: { ...env, ...more }, cwd: at(), encoding: 'utf8' });
	const start = (more: NodeJS.ProcessEnv = {}) =>
		spawn('/bin/sh', [script, 'build'], { env: { ...env, ...more }, stdio: 'ignore' });
	const compiled = () => (existsSync(at('calls')) ? readFileSync(at('calls'), 'utf8').trim().split('\n').length : 0);
	const cached = () => (existsSync(cache) ? readdirSync(cache).filter((name) => name !== 'lock').sort() : []);
	return { root, at, cache, env, run, start, compiled, cached, tool, source };
}
