/** The units of systemd: understood by it, by the command line, and with no more rights than a test has tried. */
import test from 'ava';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as receive from '../../acquire/commands/receive.ts';
import * as take from '../../acquire/commands/take.ts';
import { testUnless } from '../unless.ts';

const UNITS = { 'procsnap-take@.service': take, 'procsnap-receive.service': receive };
/** Where a unit says that the checkout is. */
const INSTALLED = '/opt/procsnap';

const settings = (unit: string, name: string): string[] =>
	readFileSync(`scripts/${unit}`, 'utf8').split('\n').filter((line) => line.startsWith(`${name}=`))
		.map((line) => line.slice(name.length + 1));

const analyze = (...args: string[]) => spawnSync('systemd-analyze', args, { encoding: 'utf8' });

const analyzeTest = testUnless(
	analyze('--version').status === 0 ? null : 'there is no systemd-analyze: apt-get install systemd'
);

analyzeTest('systemd finds nothing wrong with the units', (t) => {
	const dir = mkdtempSync(join(tmpdir(), 'procsnap-units-'));
	t.teardown(() => rmSync(dir, { recursive: true, force: true }));
	// A command's path in a unit has no spaces; this checkout's may.
	const checkout = join(dir, 'checkout');
	symlinkSync(resolve('.'), checkout);
	const verified = (unit: string, change: (text: string) => string) => {
		const path = join(dir, unit.replace('@', '@1234'));
		writeFileSync(path, change(readFileSync(`scripts/${unit}`, 'utf8')).replaceAll(INSTALLED, checkout));
		const { status, stdout, stderr } = analyze('verify', '--man=no', path);
		// It looks at units of the machine too, which are none of our business.
		return {
			status, said: `${stdout}${stderr}`.split('\n').filter((line) => line.includes('procsnap')).join('\n'),
		};
	};
	for (const unit of Object.keys(UNITS)) {
		t.deepEqual(verified(unit, (text) => text), { status: 0, said: '' });
		t.regex(
			verified(unit, (text) => text.replace('ProtectClock=', 'ProtectClocks=')).said, /Unknown key.*ProtectClocks/
		);
	}
});

test('the options that the units give are there', (t) => {
	for (const [unit, { help }] of Object.entries(UNITS)) {
		const [command = ''] = settings(unit, 'ExecStart');
		const [program, script, verb, ...args] = command.split(' ');
		t.deepEqual(
			[program, script, verb],
			[`${INSTALLED}/node_modules/.bin/node`, `${INSTALLED}/acquire/cli.ts`, help.usage.split(' ')[1]]
		);
		const options = args.filter((arg) => arg.startsWith('--')).map((arg) => arg.slice(2));
		t.deepEqual(options.filter((option) => !(option in help.options)), []);
		t.true(options.length > 3);
		// What root alone may read is named in two places.
		for (const [, name] of command.matchAll(/%d\/(\S+)/g))
			t.true(settings(unit, 'LoadCredential').includes(`${name}:/etc/procsnap/${name}`), name);
	}
});

test('nobody is root, and the receiver has no capability', (t) => {
	for (const unit of Object.keys(UNITS)) t.regex(settings(unit, 'User').join(), /^procsnap/);
	t.deepEqual(
		[
			settings('procsnap-receive.service', 'CapabilityBoundingSet'),
			settings('procsnap-receive.service', 'AmbientCapabilities'),
		],
		[[''], ['']]
	);
	t.deepEqual(
		settings('procsnap-take@.service', 'CapabilityBoundingSet'),
		settings('procsnap-take@.service', 'AmbientCapabilities')
	);
});
