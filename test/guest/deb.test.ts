/**
 * `npm run kernel -- deb`: its packages, installed by dpkg into a root of their own,
 * and the kernel that lies there booted, with a module of its own. It builds a kernel,
 * so it runs on demand only: `npm run test:kernel-deb`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findKernel, VERSIONS } from '../../bench/environments/guest/kernel.ts';
import { aFolder } from '../bench/store/fixtures.ts';
import { noGuest, testUnless } from '../unless.ts';

const TESTS = 'kernel-patch/tests';
const wanted = (process.env['PROCSNAP_TEST_DEB'] ?? '').split(' ');
/** What a lab machine's configuration has, and the guest's has not: modules. */
const MORE = [
	'CONFIG_MODULES=y', 'CONFIG_MISC_FILESYSTEMS=y', 'CONFIG_BLOCK=y', 'CONFIG_SQUASHFS=m', 'CONFIG_ISO9660_FS=m', '',
].join('\n');

/** A root in which a package's scripts run, and nothing else is. */
function makeRoot(root: string): void {
	for (const folder of ['info', 'updates', 'triggers'])
		mkdirSync(join(root, 'var/lib/dpkg', folder), { recursive: true });
	for (const file of ['status', 'available']) writeFileSync(join(root, 'var/lib/dpkg', file), '');
	for (const program of ['/bin/sh', '/bin/run-parts']) {
		const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
		for (const file of [program, ...libraries]) {
			mkdirSync(dirname(join(root, file)), { recursive: true });
			copyFileSync(file, join(root, file));
		}
	}
}

for (const version of VERSIONS) {
	const reason = wanted.includes(version)
		? noGuest({ version, debug: false })
		: 'it builds a kernel for minutes: npm run test:kernel-deb';
	testUnless(reason)(`packages of ${version} with modules: installed, booted, and create_proc_snap() is there`, (t) => {
		t.timeout(7_200_000);
		const folder = aFolder(t), root = join(folder, 'root'), config = join(folder, 'config');
		copyFileSync(join(findKernel({ version, debug: false })!, 'config'), config);
		appendFileSync(config, MORE);
		execFileSync(
			'sh', ['scripts/kernel', 'deb', '--version', version, '--config', config, '--out', folder],
			{ stdio: ['ignore', 'ignore', 'inherit'] }
		);
		const packages = readdirSync(folder).filter((name) => name.endsWith('.deb')).sort();
		t.deepEqual(packages.map((name) => name.replace(/-\d.*/, '')), ['linux-headers', 'linux-image']);

		makeRoot(root);
		// The headers' packages want a compiler, which this root has not.
		execFileSync(
			'dpkg', [`--root=${root}`, '--force-depends', '-i', ...packages.map((name) => join(folder, name))],
			{ stdio: ['ignore', 'ignore', 'inherit'] }
		);
		const [release] = readdirSync(join(root, 'lib/modules')) as [string];
		t.true(release.startsWith(version) && release.endsWith('-procsnap'), release);
		t.deepEqual(readdirSync(join(root, 'usr/src')), [`linux-headers-${release}`]);

		execFileSync('make', ['-s', '-C', TESTS]);
		mkdirSync(join(folder, 'kernel'));
		symlinkSync(join(root, 'boot', `vmlinuz-${release}`), join(folder, 'kernel/bzImage'));
		const script =
			`uname -r; modprobe -d '/run/procsnap/host${root}' squashfs && grep squashfs /proc/filesystems; ` +
				`${TESTS}/run errors identity registers`;
		const { status, stdout, stderr } = spawnSync(
			process.execPath, ['bench/cli.ts', 'guest', '--cpus', '2', '--', 'sh', '-c', script],
			{ encoding: 'utf8', env: { ...process.env, PROCSNAP_KERNEL: join(folder, 'kernel') } }
		);
		t.is(status, 0, stdout + stderr);
		t.is(stdout.split('\n')[0], release);
		t.regex(stdout, /\tsquashfs/);
		t.regex(stdout, /^# end registers 0 /m);
		t.log(`${packages.join(', ')}: ${stdout.match(/^ok /gm)?.length ?? 0} checks passed under ${release}`);
	});
}
