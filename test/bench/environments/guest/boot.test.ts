import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import { bootGuest } from '../../../../bench/environments/guest/boot.ts';
import { Failure } from '../../../../common/errors.ts';
import { eventually } from '../../../processes.ts';
import { fakeQemu } from './fake.ts';

// It begins at 1.25 s of its clock, and has run for @seconds of it when it ends.
const ended = (seconds: number): string => `echo ${1.25 + seconds} >"$control/ended"`;
const RECORD = 'echo "$status" >"$control/status"';
const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);
const pidOf = (start: string | undefined): number => Number(start?.split(' ')[0]);

test('a clock that goes wrong is told, with how wrong', async (t) => {
	const fake = fakeQemu(t, `begin; sleep 0.5; status=0; ${ended(11)}; ${RECORD}`);
	t.regex(
		(await bootGuest(fake.options)).clockFault ?? '',
		/counted 11\.00 s while the host's counted 0\.\d\d s, so no time measured in it can be used/
	);
	const counting = fakeQemu(t, `begin; sleep 0.5; status=0; ${ended(11)}; ${RECORD}`);
	t.is((await bootGuest({ ...counting.options, countInstructions: true })).clockFault, null);
});

test('status, output as it comes, and the record that ends it', async (t) => {
	const fake = fakeQemu(
		t,
		`begin; echo one >>"$control/stdout"; sleep 1; echo two >>"$control/stdout"; echo err >>"$control/stderr"; ` +
			`status=42; ${ended(1)}; ${RECORD}`
	);
	const seen: Array<[string, number]> = [];
	const startedAt = performance.now();
	const end = await bootGuest({
		...fake.options,
		onOutput: (stream, data) => seen.push([`${stream} ${data.toString('utf8')}`, performance.now() - startedAt]),
	});
	t.deepEqual(
		{ ...end, tookMs: 0 }, { status: 42, complaints: [], clockFault: null, qemu: '9.8.7', bootMs: 1250, tookMs: 0 }
	);
	t.deepEqual(seen.map(([text]) => text).sort(), ['stderr err\n', 'stdout one\n', 'stdout two\n']);
	const at = (text: string) => seen.find(([said]) => said === text)?.[1] ?? Number.NaN;
	t.true(at('stdout two\n') - at('stdout one\n') > 500, 'the first was passed on before the second was there');
	t.deepEqual(fake.left(), []);
});

test('what the kernel\'s log complains of is told', async (t) => {
	const fake = fakeQemu(
		t,
		`begin; printf '[    1.5] WARNING: CPU: 0 PID: 1 at kernel/fork.c:1 x\\n[    1.6] all is well\\n' ` +
			`>"$control/dmesg"; status=0; ${RECORD}`
	);
	t.deepEqual((await bootGuest(fake.options)).complaints, ['WARNING: CPU: 0 PID: 1 at kernel/fork.c:1 x']);
});

test('a guest that hangs is ended, with the end of its console', async (t) => {
	const fake = fakeQemu(t, 'begin; echo "the last words" >"$console"; sleep 600');
	await t.throwsAsync(
		bootGuest({ ...fake.options, timeoutS: 2 }),
		{ instanceOf: Failure, message: /hung.*ended after 2 s[^]*the last words[^]*--timeout/ }
	);
	t.is(fake.starts().length, 1, 'a hang is not tried again');
	await eventually(() => alive(pidOf(fake.starts()[0])) ? undefined : true, 'the end of QEMU');
	t.deepEqual(fake.left(), []);
});

test('so is one that never begins its command, and one that falls silent', async (t) => {
	await t.throwsAsync(
		bootGuest({ ...fakeQemu(t, 'echo booting >"$console"; sleep 600').options, bootS: 1 }),
		{ message: /hung while it booted[^]*booting/ }
	);
	const chatty = fakeQemu(t, 'begin; for i in 1 2 3 4; do echo "$i" >>"$control/stdout"; sleep 0.5; done; sleep 600');
	await t.throwsAsync(bootGuest({ ...chatty.options, quietS: 1 }), { message: /said nothing for 1 s/ });
	t.is(chatty.output.stdout, '1\n2\n3\n4\n');
});

test('a panic while the command runs is an error at once, and never tried again', async (t) => {
	const fake = fakeQemu(
		t, 'begin; printf "[    3.1] Kernel panic - not syncing: sysrq triggered crash\\n" >"$console"'
	);
	await t.throwsAsync(
		bootGuest(fake.options),
		{
			instanceOf: Failure,
			message: /died while its command ran: its kernel panicked \(not syncing: sysrq triggered crash\)/,
		}
	);
	t.is(fake.starts().length, 1);
});

test('no record, no reason: said as that', async (t) => {
	await t.throwsAsync(
		bootGuest(fakeQemu(t, 'begin; echo bye >"$console"').options), { message: /ended without an exit record/ }
	);
});

test('a lost share is named', async (t) => {
	await t.throwsAsync(
		bootGuest(
			fakeQemu(
				t, 'begin; echo "guest-init: cannot write the exit record (status 0): the share is lost" >"$console"'
			).options
		),
		{ message: /lost its share/ }
	);
});

test('half a record is none', async (t) => {
	await t.throwsAsync(
		bootGuest(fakeQemu(t, 'begin; echo x >"$console"; : >"$control/status"').options),
		{ message: /without an exit record/ }
	);
});

test('a death before the command is tried once more, and said', async (t) => {
	const once = fakeQemu(
		t, `if [ "$start" = 1 ]; then echo "Oops: int3" >"$console"; exit 0; fi; begin; status=0; ${RECORD}`
	);
	t.is((await bootGuest(once.options)).status, 0);
	t.is(once.starts().length, 2);
	t.regex(once.notes.join(), /died before its command began; trying once more[^]*Oops: int3/);
	const always = fakeQemu(t, 'echo "Oops: int3" >"$console"');
	await t.throwsAsync(bootGuest(always.options), { instanceOf: Failure, message: /died before its command began/ });
	t.is(always.starts().length, 2);
});

test('a QEMU that refuses to start says why, and is not tried again', async (t) => {
	const fake = fakeQemu(t, 'echo "cannot set up guest memory" >&2; exit 1');
	await t.throwsAsync(
		bootGuest(fake.options),
		{ instanceOf: Failure, message: /did not start the guest \(exit code 1\)[^]*cannot set up guest memory/ }
	);
	t.is(fake.starts().length, 1);
});

test('no QEMU: the package to install; no kernel: how to build it', async (t) => {
	const fake = fakeQemu(t, '');
	await t.throwsAsync(
		bootGuest({ ...fake.options, kernelDir: '/nowhere' }),
		{ instanceOf: Failure, message: /\/nowhere: has no bzImage.*npm run kernel -- build/ }
	);
	process.env['PATH'] = '/nowhere';
	await t.throwsAsync(
		bootGuest(fake.options),
		{ instanceOf: Failure, message: /qemu-system-x86_64 is missing.*apt-get install qemu-system-x86 seabios/ }
	);
});

test('an abort ends QEMU and what it started, and leaves no folder', async (t) => {
	const fake = fakeQemu(t, 'begin; sleep 600 & echo "$!" >"$control/stdout"; wait');
	const controller = new AbortController();
	const booting = bootGuest({ ...fake.options, signal: controller.signal });
	await eventually(() => fake.output.stdout.includes('\n') ? true : undefined, 'the guest\'s output');
	controller.abort();
	await t.throwsAsync(booting, { name: 'AbortError' });
	for (const pid of [pidOf(fake.starts()[0]), Number(fake.output.stdout)]) {
		await eventually(() => alive(pid) ? undefined : true, `the end of ${pid}`);
	}
	t.deepEqual(fake.left(), []);
});

for (const [signal, expected] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGKILL', null]] as const) {
	test(`${signal} to npm run guest: QEMU does not outlive it`, async (t) => {
		const fake = fakeQemu(t, 'begin; echo on >>"$control/stdout"; exec sleep 600');
		const child = spawn(
			process.execPath, ['bench/cli.ts', 'guest', '--count-instructions', '--', 'true'],
			{ env: { ...process.env, PROCSNAP_KERNEL: fake.options.kernelDir }, stdio: ['ignore', 'pipe', 'inherit'] }
		);
		await new Promise((resolve) => { child.stdout.once('data', resolve); });
		const ended = new Promise((resolve) => { child.once('exit', resolve); });
		child.kill(signal);
		t.is(await ended, expected);
		if (signal === 'SIGKILL' && spawnSync('setpriv', ['--version']).status !== 0) {
			t.log('skipped: without setpriv (Debian package util-linux) nothing ends QEMU after SIGKILL');
			process.kill(pidOf(fake.starts()[0]), 'SIGKILL');
			return;
		}
		await eventually(() => alive(pidOf(fake.starts()[0])) ? undefined : true, 'the end of QEMU');
		if (signal === 'SIGKILL') {
			t.is(fake.left().length, 1);
			await t.throwsAsync(bootGuest({ ...fake.options, timeoutS: 1 }), { message: /hung/ });
		}
		await setTimeout(100);
		t.deepEqual(fake.left(), [], 'the next guest removes what a killed one left');
	});
}
