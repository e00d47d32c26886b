/**
 * Who loses signals? Numbered ones are sent to targets without end, and one thing alone is done to them again and
 * again: node test/soak/rivals.ts WHO SECONDS, with WHO strace, gdb, stop, inject, hold or nobody. A line of JSON says
 * how often, and how many signals were lost.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../common/errors.ts';
import { Tracer } from '../../native/index.ts';
import { run, startProgram } from './child.ts';
import { Page } from './page.ts';
import { makeTargets } from './soak.ts';
import { add, reasonOf } from './tally.ts';
import { PROGRAM } from './target.ts';

const TARGETS = 2;
/** With a duplicate, or held. */
const THERE_MS = 2;
const GDB_MS = 30_000;

const isTraced = (pid: number): boolean => /^TracerPid:\t[1-9]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));

/** As the soak attaches it (faults.ts), but let go at once: a signal may be lost when it lets go. */
async function strace(pid: number): Promise<void> {
	const { process: child, ended } = startProgram('strace', ['-f', '-q', '-o', '/dev/null', '-p', String(pid)]);
	while (child.exitCode === null && child.signalCode === null && !isTraced(pid)) await sleep(3);
	await sleep(Math.random() * 20);
	child.kill('SIGINT');
	const { said } = await ended;
	if (said !== '') throw new Error(`strace: ${said}`);
}

async function gdb(pid: number): Promise<void> {
	const { code, said } = await run('gdb', ['--batch', '-nx', '-q', '-p', String(pid), '-ex', 'detach'], GDB_MS);
	if (code !== 0) throw new Error(`gdb: ${said}`);
}

const taken = (begin: (tracer: Tracer, pid: number) => void, end: (tracer: Tracer) => void) =>
	async (pid: number, tracer: Tracer): Promise<void> => {
		begin(tracer, pid);
		await sleep(THERE_MS);
		end(tracer);
	};

const WHO: Record<string, (pid: number, tracer: Tracer) => Promise<void>> = {
	strace, gdb, nobody: () => sleep(50),
	stop: taken((tracer, pid) => tracer.stopCopy(pid), (tracer) => tracer.end()),
	inject: taken((tracer, pid) => tracer.inject(pid), (tracer) => tracer.end()),
	hold: taken((tracer, pid) => tracer.hold(pid), (tracer) => tracer.letGo()),
};

const [who = '', seconds = ''] = process.argv.slice(2), act = WHO[who];
if (act === undefined || !(Number(seconds) > 0)) {
	process.stderr.write(`usage: node test/soak/rivals.ts ${Object.keys(WHO).join('|')} SECONDS\n`);
	process.exit(2);
}
makeTargets();
const folder = mkdtempSync(join(tmpdir(), 'procsnap-rivals-')), until = Date.now() + Number(seconds) * 1000;
const notDone: Record<string, number> = {}, harms: Record<string, number> = {};
let times = 0;

async function one(index: number): Promise<void> {
	const page = new Page(join(folder, String(index)), true), tracer = Tracer.start({ priority: 1 });
	const target = spawn(PROGRAM, ['signal-storm', page.path], { stdio: 'inherit', detached: true });
	const ended = once(target, 'exit');
	while (page.pid() === 0) await sleep(20);
	while (Date.now() < until && target.exitCode === null && target.signalCode === null) {
		try {
			await act!(page.pid(), tracer);
			times++;
		} catch (error) {
			add(notDone, reasonOf(messageOf(error)));
			await sleep(20);
		}
		await sleep(5 + Math.random() * 10);
	}
	// What is lost is noticed when the next one comes.
	await sleep(500);
	for (const [text, count] of page.read().texts) add(harms, text, count);
	if (target.exitCode !== null || target.signalCode !== null) add(harms, `dead: ${target.signalCode ?? target.exitCode}`);
	else process.kill(-target.pid!, 'SIGKILL');
	await ended;
	tracer.close();
	page.close();
}

await Promise.all(Array.from({ length: TARGETS }, (_, index) => one(index)));
rmSync(folder, { recursive: true });
process.stdout.write(`${JSON.stringify({ who, seconds: Number(seconds), kernel: release(), times, notDone, harms })}\n`);
