/**
 * Runs kernel-patch/tests in guests of one and of two CPUs under the patched
 * kernel; one test per program and guest. PROCSNAP_TEST_KERNEL=6.1 chooses another
 * kernel, `npm run test:kernel` runs as much as can show that nothing is torn or
 * leaks, `npm run test:kernel-debug` the kernel with KASAN, lockdep and kmemleak.
 */
import test from 'ava';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { VERSIONS, type KernelVersion } from '../../bench/environments/guest/kernel.ts';
import { noGuest, testUnless } from '../unless.ts';
import { createReader, faults, type Outcome } from './tap.ts';

const TESTS = 'kernel-patch/tests';
const wanted = process.env['PROCSNAP_TEST_KERNEL'] ?? VERSIONS[0];
const debug = wanted.endsWith('-debug');
const version = VERSIONS.find((name) => wanted.replace('-debug', '') === name);

type Amounts = Record<string, [one: string, two: string]>;

/** What an emulated guest does in some minutes; churn is measured in time. */
const SOME: Amounts = {
	oracle: ['--snapshots=300', '--snapshots=300'], registers: ['--snapshots=40', '--snapshots=40'],
	churn: ['--seconds=5', '--seconds=30'],
	leaks: ['--snapshots=5000', '--snapshots=2000'], ptrace: ['--gdb=1', '--gdb=0'],
	fuzz: ['--seconds=5', '--seconds=10'],
};
/** Together more than 10,000 of the oracle's and 100,000 against leaks. */
const FULL: Amounts = {
	oracle: ['--snapshots=2500', '--snapshots=2500'], registers: ['--snapshots=200', '--snapshots=200'],
	churn: ['--seconds=60', '--seconds=60'],
	leaks: ['--snapshots=60000', '--snapshots=45000'], fuzz: ['--seconds=30', '--seconds=60'],
};
/** Slow: what matters is that every path is gone by checks, and the fuzzer's time. */
const DEBUG: Amounts = {
	oracle: ['--snapshots=200', '--snapshots=200'], registers: ['--snapshots=40', '--snapshots=40'],
	churn: ['--seconds=60', '--seconds=120'],
	leaks: ['--snapshots=3000', '--snapshots=1500'], fuzz: ['--seconds=60', '--seconds=600'],
};
const full = process.env['PROCSNAP_TEST_AMOUNT'] === 'full';
const AMOUNTS = debug ? DEBUG : full ? FULL : SOME;
const PROGRAMS = [
	'errors', 'identity', 'access', 'signals', 'deaths', 'ptrace', 'registers', 'oracle', 'memory', 'pages',
	'cgroups', 'states', 'callers', 'leaks', 'churn', 'fuzz', 'strangers', 'shortage', 'release', 'held', 'bounds',
	'owners', 'audit',
];
const PROGRAM_LIMIT_S = debug ? 1500 : 900;
const GUEST_LIMIT_S = debug ? 5400 : 3600;

if (version === undefined) {
	throw new Error(
		`PROCSNAP_TEST_KERNEL=${wanted}: there are ${VERSIONS.flatMap((name) => [name, `${name}-debug`]).join(', ')}`
	);
}
const reason = noGuest({ version, debug });

interface Guest {
	outcome: (program: string) => Promise<Outcome>;
	closed: Promise<string>;
	end: () => void;
}

function startGuest(version: KernelVersion, cpus: 1 | 2): Guest {
	const commands = PROGRAMS.map((program) => [program, AMOUNTS[program]?.[cpus - 1] ?? ''].join(' ').trim());
	const child: ChildProcess = spawn(process.execPath, [
		'bench/cli.ts', 'guest', '--cpus', String(cpus), '--memory', '2048', '--kernel', version, '--timeout',
		String(GUEST_LIMIT_S),
		...(debug ? ['--debug'] : []), '--', 'env', `LIMIT=${PROGRAM_LIMIT_S}`, `PATIENCE=${debug ? 300 : 180}`,
		`${TESTS}/run`, ...commands,
	], { stdio: ['ignore', 'pipe', 'pipe'] });
	const ended = new Map<string, Outcome>();
	const waiting = new Map<string, (outcome: Outcome) => void>();
	const read = createReader((name, outcome) => {
		ended.set(name, outcome);
		waiting.get(name)?.(outcome);
	});
	let errors = '';
	child.stdout?.setEncoding('utf8').on('data', read);
	child.stderr?.setEncoding('utf8').on('data', (text: string) => { errors += text; });
	const closed = new Promise<string>((resolve) => {
		child.on('error', (error) => resolve(error.message));
		child.on(
			'close',
			(code, signal) =>
				resolve(`the guest ended with ${signal ?? code ?? 'nothing'} before this program had\n${errors}`)
		);
	});
	return {
		outcome: (program) => {
			const found = ended.get(program);
			return found !== undefined ? Promise.resolve(found) : Promise.race([
				new Promise<Outcome>((resolve) => waiting.set(program, resolve)),
				closed.then((why) => {
					const late = ended.get(program);
					if (late === undefined) throw new Error(why);
					return late;
				}),
			]);
		},
		closed,
		end: () => { child.kill('SIGTERM'); },
	};
}

/** What the figures of both guests must come to. */
const totals = new Map<string, number>();

function count(program: string, notes: string[]): void {
	const pattern = program === 'oracle' ? /threads, .*: (\d+) snapshots, 0 torn/ : /: (\d+) in [\d.]+ s,/;
	const sum = notes.reduce((all, note) => all + Number(pattern.exec(note)?.[1] ?? 0), 0);
	totals.set(program, (totals.get(program) ?? 0) + sum);
}

if (reason !== null) {
	testUnless(reason)(`the tests of ${wanted} in the guest`, () => undefined);
} else {
	const guests = new Map<1 | 2, Promise<Guest>>();
	test.before(() => {
		execFileSync('make', ['-s', '-C', TESTS], { stdio: ['ignore', 'inherit', 'inherit'] });
		const one = startGuest(version, 1);
		guests.set(1, Promise.resolve(one));
		// Three virtual CPUs on two of the host's hold each other up: in turn they are done sooner.
		guests.set(
			2, (availableParallelism() > 2 ? Promise.resolve('') : one.closed).then(() => startGuest(version, 2))
		);
	});
	test.after.always(async () => {
		(await guests.get(1))?.end();
		(await guests.get(2))?.end();
	});
	for (const cpus of [1, 2] as const) {
		for (const program of [...PROGRAMS, ...(debug ? ['kmemleak'] : []), 'dmesg']) {
			test(`${wanted}, ${cpus} CPU: ${program}`, async (t) => {
				t.timeout(GUEST_LIMIT_S * 1000);
				const guest = await guests.get(cpus)!;
				const outcome = await guest.outcome(program);
				t.log(
					`${outcome.passed} passed, ${outcome.failed.length} failed, ${outcome.skipped.length} skipped ` +
						`in ${outcome.seconds.toFixed(0)} s`
				);
				[...outcome.skipped, ...outcome.notes].forEach((line) => t.log(line));
				count(program, outcome.notes);
				t.deepEqual(faults(outcome), []);
			});
		}
	}
	if (full && !debug) {
		test(`${wanted}: enough snapshots`, (t) => {
			t.log(`oracle ${totals.get('oracle') ?? 0}, leaks ${totals.get('leaks') ?? 0}`);
			t.true((totals.get('oracle') ?? 0) >= 10_000);
			t.true((totals.get('leaks') ?? 0) >= 100_000);
		});
	}
}
