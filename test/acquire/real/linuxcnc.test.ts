/**
 * LinuxCNC's realtime threads, in simulation: each turn of one is told of, in order and right, and none is left out;
 * how late turns were is logged.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually, statusField } from '../../processes.ts';
import { testUnless } from '../../unless.ts';
import { FULL, hasProgram, leftAlone, takeRepeatedly, temporaryFolder } from './taking.ts';

const PERIOD_MS = 1;
/** Of the sawtooth, which goes from -1 to 1 in a second. */
const STEP = 2 * PERIOD_MS / 1e3;

const named = (name: string): number | undefined =>
	readdirSync('/proc').map(Number).find((pid) => pid > 0 && statusField(pid, 'Name') === name);

/** There is one of it on a machine: one that moves something is not to be touched. */
function reason(): string | null {
	if (FULL === null) return 'Debian\'s linuxcnc-uspace is too large to be installed for it: npm run test:real';
	const missing = ['halrun', 'halsampler', 'chrt', 'gdb'].find((program) => !hasProgram(program));
	if (missing !== undefined) return `there is no ${missing}: apt-get install linuxcnc-uspace`;
	if (process.getuid?.() !== 0) return 'root is needed';
	return named('rtapi_app') === undefined ? null : 'a LinuxCNC is running';
}

testUnless(reason())('LinuxCNC\'s threads go on', async (t) => {
	const folder = temporaryFolder(t);
	chmodSync(folder, 0o777);
	const hal = spawn(
		'halrun', ['-I', '-f', fileURLToPath(new URL('targets/threads.hal', import.meta.url))],
		{
			env: { ...process.env, RTAPI_UID: '65534', RTAPI_FIFO_PATH: join(folder, 'fifo') },
			stdio: ['pipe', 'pipe', 'pipe'],
		}
	);
	let said = '', shown = '';
	hal.stdout.setEncoding('utf8').on('data', (text: string) => { shown += text; });
	hal.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
	const ended = once(hal, 'exit');
	t.teardown(() => hal.stdin.end());
	hal.stdin.write('show thread\n');
	await eventually(() => (shown.includes('sampler.0') ? true : undefined), 'its threads run')
		.catch((error: unknown) => { throw new Error(`${String(error)}: ${said}`); });
	const pid = named('rtapi_app') as number;
	for (const tid of readdirSync(`/proc/${pid}/task`))
		if (readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').startsWith('rtapi_app:T#'))
			execFileSync('chrt', ['--fifo', '--pid', '50', tid]);

	const sampler = spawn('halsampler', ['-t'], { stdio: ['ignore', 'pipe', 'inherit'] });
	t.teardown(() => sampler.kill());
	const wrong: string[] = [], intervalsMs: number[] = [];
	let first = Number.NaN, tooth = Number.NaN;
	createInterface({ input: sampler.stdout }).on('line', (line) => {
		const [number, intervalNs, value] = line.split(' ').map(Number) as [number, number, number];
		if (intervalsMs.length === 0) first = number - 1;
		// The step where it falls is one too, modulo its height.
		const step = ((value - tooth) % 2 + 2) % 2;
		intervalsMs.push(intervalNs / 1e6);
		if (number !== first + intervalsMs.length || (intervalsMs.length > 1 && Math.abs(step - STEP) > 1e-5))
			wrong.push(`turn ${intervalsMs.length}: ${line}`);
		tooth = value;
	});
	await eventually(() => (intervalsMs.length > 2000 ? true : undefined), 'its turns are told of');
	/** The longest interval in each take, and in each time between two. */
	const longest: Record<string, number[]> = { none: [] };
	let after = 1;
	await takeRepeatedly(t, 4, {
		processes: { rtapi_app: pid }, served: () => [intervalsMs.length],
		check: () => t.deepEqual([wrong.slice(0, 3), hal.exitCode], [[], null]),
		taken: (mechanism, [before = 0]) => {
			longest['none']!.push(Math.max(...intervalsMs.slice(after, before)));
			(longest[mechanism] ??= []).push(Math.max(...intervalsMs.slice(before)));
			after = intervalsMs.length;
		},
	});
	for (const [mechanism, worstMs] of Object.entries(longest)) {
		const sorted = worstMs.sort((a, b) => a - b).map((ms) => ms.toFixed(2));
		t.log(
			`longest from turn to turn, ${mechanism}: ${sorted[0]} to ${sorted.at(-1)} ms, median ` +
				`${sorted[sorted.length >> 1]} ms, of ${PERIOD_MS} ms; ${sorted.length} times`
		);
	}
	await leftAlone(t, pid);
	hal.stdin.write('getp sampler.0.overruns\n');
	await eventually(() => (/^\d+$/m.test(shown) ? true : undefined), 'it tells of turns that are lost');
	t.deepEqual(shown.match(/^\d+$/gm), ['0']);
	hal.stdin.end();
	t.deepEqual(await ended, [0, null], said);
	t.deepEqual(wrong.slice(0, 3), []);
});
