/** Each detector is made to fail: every kind of target is harmed on purpose, and everything is left behind once. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Tracer } from '../../native/index.ts';
import { endPrograms, run, startProgram } from './child.ts';
import { KINDS, type Kind } from './kinds.ts';
import { leftAtTargets, strays, tracersLeft } from './leftovers.ts';
import { makeTargets, setMark, Targets } from './soak.ts';
import { emptyTally } from './tally.ts';
import { SABOTAGE, type Target } from './target.ts';

export interface SelfTestOptions { only: readonly string[]; say: (text: string) => void; signal: AbortSignal }

const PATIENCE_MS = 25_000;
const STUCK_MS = 1500;

/** True if all was seen. */
export async function selfTest({ only, say, signal }: SelfTestOptions): Promise<boolean> {
	const kinds = KINDS.filter(({ name }) => only.length === 0 || only.includes(name));
	const tally = emptyTally(kinds.map(({ name }) => name));
	makeTargets();
	const mark = setMark();
	const targets = await Targets.create(
		kinds.map((kind) => { const whole = { ...kind }; delete whole.documented; return whole; }), tally, 1e9, () => {}
	);
	let unseen = 0;
	const check = (what: string, seen: boolean, detail = ''): void => {
		if (!seen) unseen++;
		say(`${seen ? 'seen' : 'NOT SEEN'}: ${what}${detail === '' ? '' : ` (${detail})`}`);
	};
	try {
		await targets.ready(20_000);
		const here = targets.all.filter((target) => target.tally.unable === null);
		for (const { kind, tally: { unable } } of targets.all) if (unable !== null)
			say(`skipped: ${kind.name}: ${unable}`);
		// Unharmed, they say nothing.
		await sleep(1500);
		for (const target of here) {
			target.look();
			check(`${target.kind.name} unharmed is unharmed`, said(target).length === 0, said(target).join('; '));
		}
		await Promise.all(here.map(async (target) => {
			const seen = await hurt(target, signal);
			check(`${target.kind.name} harmed by "${target.kind.hurt.join(' ')}"`, seen, said(target).join('; '));
		}));
	} finally {
		endPrograms();
		const left = await targets.end(mark);
		check('nothing is left of targets that were harmed', left.length === 0, left.join('; '));
	}
	if (only.length === 0) await leaveBehind(check);
	say(unseen === 0 ? 'good: every harm was seen' : `FAILED: ${unseen} were not`);
	return unseen === 0 && !signal.aborted;
}

/** What it says of itself, and how it died. */
const said = ({ tally }: Target): string[] =>
	[
		...Object.keys(tally.harmed).filter((text) => tally.harmed[text] !== 0),
		...Object.keys(tally.dead).map((how) => `dead: ${how}`),
	];

async function hurt(target: Target, signal: AbortSignal): Promise<boolean> {
	for (const until = Date.now() + PATIENCE_MS; Date.now() < until && !signal.aborted;) {
		const { handles } = target.page.read(), pid = target.page.pid();
		const words = target.kind.hurt.map((word) =>
			word === 'PID'
				? String(pid)
				: /^H\d/.test(word) ? String((handles[Number(word[1])] ?? 0) - (word.endsWith('-1') ? 1 : 0)) : word);
		if (pid !== 0) await run(SABOTAGE, words, 10_000);
		for (let i = 0; i < 10; i++) {
			target.look();
			if (said(target).some((text) => target.kind.sees.test(text))) return true;
			await sleep(30);
		}
	}
	return false;
}

/**
 * Targets that are stuck, traced, or have a child that they did not make; a process, a tracer and a control group
 * that stay.
 */
async function leaveBehind(check: (what: string, seen: boolean, detail?: string) => void): Promise<void> {
	const kind = (name: string): Kind =>
		({ ...KINDS.find((known) => known.name === 'sleep')!, name, program: 'sleep' });
	const tally = emptyTally(['stuck', 'traced', 'zombie', 'child', 'grouped']), mark = setMark();
	const targets = await Targets.create(Object.keys(tally.kinds).map(kind), tally, STUCK_MS, () => {});
	const [stuck, traced, zombie, child, grouped] = targets.all as [Target, Target, Target, Target, Target];
	const held = Tracer.start();
	let group: ReturnType<typeof startProgram> | undefined;
	try {
		await targets.ready(20_000);
		check('nothing is left before anything is', (await leftAtTargets(targets.watched())).length === 0);
		process.kill(stuck.pid, 'SIGSTOP');
		for (const until = Date.now() + PATIENCE_MS; Date.now() < until && stuck.tally.harmed['stuck'] === undefined;) {
			stuck.look();
			await sleep(50);
		}
		check(
			'a target that makes no turns', stuck.tally.harmed['stuck'] === 1,
			stuck.tally.first.map(({ what }) => what).join('; ')
		);
		startProgram(SABOTAGE, ['rival', String(traced.pid), '20000']);
		const dying = Tracer.start();
		dying.killAt('held', 'tracer');
		try {
			dying.inject(zombie.pid);
		} catch {
			dying.close();
		}
		held.inject(child.pid);
		await sleep(300);
		const left = await leftAtTargets(targets.watched());
		check('a target that is traced', left.some((text) => /^traced: .* is traced by/.test(text)), left.join('; '));
		check('a zombie that a killed tracer left', left.some((text) => /^zombie: .* is a zombie/.test(text)));
		check('a duplicate that was not ended', left.some((text) => text.startsWith('child: ')));
		check('a tracer that was not ended', (await tracersLeft(mark, 100)).length > 0);
		// A process that nobody knows of, in a target's group and out of its session.
		group = startProgram(
			'/bin/sh', ['-c', `for f; do echo 0 >"$f"; done; exec sleep 30`, 'sh', ...grouped.groups.files]
		);
		await sleep(300);
		if (grouped.groups.files.length > 0) {
			grouped.end();
			const groups = await grouped.groups.remove(300);
			check('a control group that somebody is in', groups.length > 0, groups.join('; '));
		}
		held.close();
		group.process.kill('SIGKILL');
	} finally {
		held.close();
		endPrograms();
		spawn('sleep', ['30'], { stdio: 'ignore', detached: true });
		const left = await targets.end(mark);
		check('a process that was not ended', left.length === 1 && left[0]!.includes('sleep 30'), left.join('; '));
		check('it is ended then', (await strays(mark)).length === 0);
	}
}
