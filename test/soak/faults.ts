/**
 * What is done to targets besides takes, and to requesters and collectors. Each that may end blocked calls by itself
 * is excused while it lasts.
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../bench/stats/random.ts';
import { run, startProgram } from './child.ts';
import type { Fault } from './kinds.ts';
import { SABOTAGE, type Target } from './target.ts';
import { add } from './tally.ts';

export interface FaultOptions {
	targets: readonly Target[];
	random: Random;
	counts: Record<string, number>;
	killRequester: () => boolean;
	stopped: () => boolean;
	/** Between two, in the mean. */
	gapMs: number;
	/** Once in so long, one target is frozen for longer than a tracer is patient. 0: never. */
	longFreezeEveryMs: number;
}

/** After a fault its effects are still under way: calls return, and timeouts are looked at. */
const AFTERWARDS_MS = 50;
const LONG_FREEZE_MS = 66_000;

const has = (program: string): boolean =>
	['/usr/bin', '/bin', '/usr/local/bin'].some((folder) => existsSync(`${folder}/${program}`));
/** `loses`: a signal that it is just being told of when it lets go does not reach the target (rivals.ts). */
interface Debugger { program: string; args: (pid: number) => string[]; ms: number; loses: boolean }
const DEBUGGERS: Debugger[] = [
	{ program: 'strace', args: (pid) => ['-f', '-q', '-o', '/dev/null', '-p', String(pid)], ms: 400, loses: true },
	{
		program: 'gdb', args: (pid) => ['--batch', '-nx', '-q', '-p', String(pid), '-ex', 'detach'], ms: 10_000,
		loses: false,
	},
];

export async function makeFaults(options: FaultOptions): Promise<void> {
	const { targets, random, counts, stopped } = options;
	const between = (from: number, to: number): number => from + random() * (to - from);
	const debuggers = DEBUGGERS.filter(({ program }) => has(program));
	const under = new Set<Promise<void>>();
	let longFreezeAt = performance.now() + options.longFreezeEveryMs * 0.3;

	/** One at a time for each target, of those that are exposed to it. */
	const someone = (fault: Fault, also: (target: Target) => boolean = () => true): Target | undefined => {
		const possible = targets.filter((target) =>
			target.living && !target.faulted && target.kind.spared?.includes(fault) !== true && also(target));
		return possible[Math.floor(random() * possible.length)];
	};
	const during = (name: string, target: Target, excused: boolean, body: () => Promise<void>): void => {
		add(counts, name);
		target.happened(name);
		const over = excused ? target.excuse() : () => { target.faulted = false; };
		target.faulted = true;
		const done: Promise<void> = body()
			.catch((error: unknown) => add(counts, `${name}: not done (${String(error).slice(0, 60)})`)).finally(() => {
			target.happened(`${name} is over`);
			over();
			under.delete(done);
		});
		under.add(done);
	};

	const freeze = (ms: number, name: string): void => {
		const target = someone('freeze', ({ groups }) => groups.freezers.length > 0);
		const freezer = target?.groups.freezers[Math.floor(random() * target.groups.freezers.length)];
		if (target === undefined || freezer === undefined) return;
		during(`${name} by cgroup v${freezer.version}`, target, true, async () => {
			freezer.freeze();
			try {
				for (const until = performance.now() + ms; performance.now() < until && !stopped();)
					await sleep(Math.min(200, Math.max(1, until - performance.now())));
			} finally {
				freezer.thaw();
			}
			await sleep(AFTERWARDS_MS);
		});
	};
	const FAULTS: Array<[number, () => void]> = [
		[1, () => { if (options.killRequester()) add(counts, 'requester killed at any time'); }],
		[3, () => freeze(between(20, 800), 'frozen')],
		[3, () => {
			const target = someone('stop'), pid = target?.page.pid() ?? 0;
			if (target === undefined || pid === 0) return;
			during('SIGSTOP, SIGCONT', target, true, async () => {
				process.kill(pid, 'SIGSTOP');
				await sleep(between(10, 500));
				process.kill(pid, 'SIGCONT');
				await sleep(AFTERWARDS_MS);
			});
		}],
		[3, () => {
			const target = someone('rival'), pid = target?.page.pid() ?? 0;
			if (target === undefined || pid === 0) return;
			during('a rival tracer that looks on', target, false, async () => {
				await run(SABOTAGE, ['rival', String(pid), String(Math.round(between(30, 600)))], 10_000);
			});
		}],
		[1, () => {
			const target = someone('debugger'), pid = target?.page.pid() ?? 0, one =
				debuggers[Math.floor(random() * debuggers.length)];
			if (target === undefined || pid === 0 || one === undefined) return;
			during(`${one.program} attached`, target, true, async () => {
				const over = one.loses ? target.rival() : () => {};
				const { process: child, ended } = startProgram(one.program, one.args(pid));
				const timers = [
					setTimeout(() => child.kill('SIGINT'), one.ms),
					setTimeout(() => child.kill('SIGKILL'), one.ms + 5000),
				];
				await ended;
				timers.forEach(clearTimeout);
				over();
				await sleep(AFTERWARDS_MS);
			});
		}],
		[2, () => {
			const target = someone('tighten', ({ groups }) => groups.limited);
			if (target === undefined) return;
			during('memory limit tightened', target, false, async () => {
				// One that has just begun has not written all of its memory yet.
				if (target.groups.tighten(Number(target.kind.argument) << 20, 4 << 20)) await sleep(between(100, 1000));
				target.groups.widen(target.kind.limitMiB! << 20);
			});
		}],
		[0.3, () => {
			add(counts, 'CPU load for 5 s');
			for (let i = 0; i < 2; i++) void run(SABOTAGE, ['burn', '5'], 10_000);
		}],
	];
	const weight = FAULTS.reduce((total, [each]) => total + each, 0);

	while (!stopped()) {
		await sleep(between(0.2, 1.8) * options.gapMs);
		if (options.longFreezeEveryMs > 0 && performance.now() > longFreezeAt) {
			longFreezeAt = performance.now() + options.longFreezeEveryMs;
			freeze(LONG_FREEZE_MS, 'frozen for 66 s');
			continue;
		}
		let point = random() * weight;
		FAULTS.find(([each]) => (point -= each) < 0)?.[1]();
	}
	await Promise.all(under);
}
