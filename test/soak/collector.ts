/**
 * The whole tool: `procsnap take` to a folder, `procsnap verify` of it; now and then the collector is killed in the
 * midst of it.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Untold } from '../../acquire/ending.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import type { Random } from '../../bench/stats/random.ts';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import { NODE } from '../processes.ts';
import { run, startProgram } from './child.ts';
import { documentedIn } from './counts.ts';
import type { Target } from './target.ts';
import { add, mechanismIn, reasonOf, type Tally } from './tally.ts';

const CLI = fileURLToPath(new URL('../../acquire/cli.ts', import.meta.url));
const KILLED = 0.25;
const PATIENCE_MS = 120_000;

/** By the mechanism that it chooses itself, and by each that this machine has. */
const TURNS = [[], ...forEvidence().filter(({ unavailable }) => unavailable() === null)
	.map(({ name }) => ['--mechanism', name])];

export interface CollectorOptions {
	folder: string;
	targets: readonly Target[];
	random: Random;
	tally: Tally;
	stopped: () => boolean;
	gapMs: number;
}

/** Gives the folders that are there although nobody was killed. */
/** Of --json: why nothing was taken. null: something else was printed. */
function errorIn(printed: string): string | null {
	try {
		return (JSON.parse(printed) as { error?: string }).error ?? null;
	} catch {
		return null;
	}
}

export async function collect({ folder, targets, random, tally, stopped, gapMs }: CollectorOptions): Promise<string[]> {
	const [node, ...flags] = NODE, key = join(folder, 'key'), left: string[] = [];
	const procsnap = (...args: string[]): string[] => [...flags, CLI, ...args];
	for (let round = 0; !stopped(); round++) {
		for (const until = performance.now() + gapMs; performance.now() < until && !stopped();) await sleep(100);
		const target = targets[Math.floor(random() * targets.length)]!;
		const killed = round > 0 && random() < KILLED, afterMs = 150 + random() * 1200;
		const pid = target.page.pid();
		if (pid === 0 || stopped()) continue;
		const out = join(folder, `evidence-${round}`), partial = `${out}.partial`;
		const by = TURNS[round % TURNS.length]!;
		target.happened(`${['procsnap take', ...by].join(' ')}${killed ? ', to be killed' : ''}`);
		const { process: child, ended } = startProgram(
			node, procsnap('take', String(pid), ...by, '--out', out, '--key', key, '--json')
		);
		const timers = [setTimeout(() => child.kill('SIGKILL'), killed ? afterMs : PATIENCE_MS)];
		const { code, signal, said, printed } = await ended;
		timers.forEach(clearTimeout);
		target.happened(`procsnap take is over: ${signal ?? code ?? ''}`);
		if (signal !== null) {
			target.tally.countsLost++;
			add(
				killed ? tally.faults : tally.wrong,
				killed ? 'collector killed' : `procsnap take did not end within ${PATIENCE_MS / 1000} s`
			);
		} else {
			const counts = mechanismIn(tally, ['procsnap take', ...by].join(' '));
			target.tally.tried++;
			counts.tried++;
			// 5: in part, as the target was killed or has given memory up.
			if (code === 0 || code === 5) {
				target.tally.taken++;
				counts.taken++;
				const counted = countedIn(out, printed, target);
				if (counted === null) target.tally.countsLost++;
				else target.tally.counted += counted;
				const verified = await run(node, procsnap('verify', out, '--key', `${key}.pub`), PATIENCE_MS);
				if (verified.code !== 0) add(tally.wrong, `evidence does not verify: ${reasonOf(verified.said)}`);
			} else {
				target.tally.countsLost++;	// reported to people only
				const reason = reasonOf(errorIn(printed) ?? said.replace('procsnap: ', ''));
				add(target.tally.refused, `take: ${reason}`);
				add(counts.refused, reason);
				if (said.includes('unexpected error'))
					add(tally.wrong, `procsnap take: ${reasonOf(said.split('\n').slice(0, 2).join(' '))}`);
			}
			if (existsSync(partial)) left.push(partial);
		}
		// What a killed collector was about to write is nobody's but ours.
		for (const path of [out, partial]) rmSync(path, { recursive: true, force: true });
	}
	return left;
}

/** What a take has counted of the effects that docs/inject.md names for this target. null: it could not tell all. */
export function countedIn(
	folder: string, printed: string, { kind: { documented } }: Pick<Target, 'kind'>
): number | null {
	const { ledger } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
	const { untold } = JSON.parse(printed) as { untold: Untold | null };
	if (untold === null || ledger.endFailed !== null) return null;
	return documentedIn(ledger.calls ?? [], documented) + documentedIn(untold.calls, documented);
}
