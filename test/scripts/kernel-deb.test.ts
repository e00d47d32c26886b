/** scripts/kernel makes packages for a lab machine. */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { checkout } from './kernel-checkout.ts';

test('packages: the machine\'s configuration, the call turned on, keys that are not there left out', (t) => {
	const { at, run, cached } = checkout(t);
	writeFileSync(
		at('config-lab'),
		'CONFIG_MODULES=y\nCONFIG_DEBUG_INFO=y\nCONFIG_DEBUG_INFO_BTF=y\n' +
			'CONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/uefi.pem"\nCONFIG_MODULE_SIG_KEY="certs/signing_key.pem"\n'
	);
	const { status, stdout, stderr } = run(['deb', '--config', 'config-lab', '--out', 'lab packages']);
	t.is(status, 0, stderr);
	const image = 'linux-image-6.12.7-procsnap_6.12.7-1_amd64.deb';
	const headers = 'linux-headers-6.12.7-procsnap_6.12.7-1_amd64.deb';
	t.is(stdout, [image, headers].map((name) => `${at('lab packages', name)}\n`).join(''));
	t.deepEqual(readdirSync(at('lab packages')).sort(), [headers, image]);
	const config = readFileSync(at('lab packages', image), 'utf8').split('\n');
	for (const line of [
		'CONFIG_PROC_SNAP=y', 'CONFIG_LOCALVERSION="-procsnap"', 'CONFIG_SYSTEM_TRUSTED_KEYS=""',
		'CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"', 'CONFIG_DEBUG_INFO_NONE=y',
	]) {
		t.true(config.includes(line), line);
	}
	t.false(config.some((line) => /^CONFIG_DEBUG_INFO(_BTF)?=/.test(line)));
	t.regex(stderr, /SYSTEM_TRUSTED_KEYS names debian\/certs\/uefi\.pem.*left empty/);
	t.regex(stderr, /debug information is turned off/);
	t.regex(
		stderr,
		/dpkg -i linux-image.*grub-reboot .*with Linux 6\.12\.7-procsnap'.*uname -r has to say 6\.12\.7-procsnap.*npm run bench/s
	);
	t.deepEqual(cached(), []);
	writeFileSync(at('config-lab'), 'CONFIG_EXT4_FS=y\n');
	const alone = run(['deb', '--config', 'config-lab', '--out', 'no modules']);
	t.is(alone.stdout, `${at('no modules', image)}\n`);
	t.regex(alone.stderr, /config-lab has no modules: there will be no package of headers/);
	t.notRegex(alone.stderr, /linux-headers/);
	rmSync(at('bin', 'dh'));
	t.regex(run(['deb', '--config', 'config-lab']).stderr, /missing for the kernel's build: debhelper\n/);
});
