/**
 * A take that is interrupted, killed or loses its target: the target goes on, nothing runs on, and no folder looks
 * like evidence that is none.
 */
import test, { type ExecutionContext } from 'ava';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { Heavy, HEAVY_BYTES, type Interrupted } from './heavy.ts';
import { procsnap } from './real/taking.ts';

/** Moments at random, one in each part of the time that a take takes. */
const ROUNDS = 6;

type When = (heavy: Heavy, out: string) => Promise<unknown>;

/** While it reads, for sure: as soon as there is a folder, a third of a core, and most of one. */
const READING: Record<string, When> = {
	'at the first byte': (heavy, out) => heavy.coreHas(out, 0),
	'at a third': (heavy, out) => heavy.coreHas(out, HEAVY_BYTES / 3),
	'near the end': (heavy, out) => heavy.coreHas(out, HEAVY_BYTES * 0.9),
};

/** How long a take takes here, without interruption. */
async function usualMs(t: ExecutionContext, heavy: Heavy): Promise<number> {
	const out = heavy.nextOut();
	const begun = performance.now();
	const { code, stderr } = await heavy.interrupted(out, () => new Promise(() => {}), () => {});
	t.is(code, 0, stderr);
	heavy.cleared(out);
	return performance.now() - begun;
}

/**
 * On a busy machine the take may be over before this process has seen how far it is, and sent its signal: then again.
 */
async function interruptedAmid(
	heavy: Heavy, when: When, send: (take: ChildProcess) => void
): Promise<Interrupted & { out: string }> {
	for (let tries = 0; tries < 20; tries++) {
		const out = heavy.nextOut();
		const interrupted = await heavy.interrupted(out, () => when(heavy, out), send);
		if (interrupted.code !== 0) return { ...interrupted, out };
		heavy.cleared(out);
	}
	throw new Error('20 of 20 takes were whole, though a signal was sent while they read');
}

const inGroup = (take: ChildProcess, signal: NodeJS.Signals): boolean => process.kill(-(take.pid as number), signal);

for (const [signal, how, send] of [
	['SIGINT', '^C on a terminal', inGroupIfThere],
	['SIGTERM', 'to the take alone', (take: ChildProcess, name: NodeJS.Signals) => { take.kill(name); }],
] as const)
	test(`${signal} (${how}): no evidence, and the exit code of the signal`, async (t) => {
		const heavy = await Heavy.start(t);
		for (const [point, when] of Object.entries(READING)) {
			const { code, signal: by, stderr, out } = await interruptedAmid(heavy, when, (take) => send(take, signal));
			t.deepEqual([code, by], [128 + constants.signals[signal], null], `${point}: ${stderr}`);
			t.regex(stderr, /^procsnap: interrupted: putting the target back [^\n]*\nprocsnap: interrupted: nothing was kept/);
			t.notRegex(stderr, /unexpected error|\n\s+at /);
			t.deepEqual(heavy.cleared(out), [], `${point}: folders`);
			await heavy.leftAlone(t, point);
		}
	});

test('SIGINT at any moment: either whole evidence or none', async (t) => {
	const heavy = await Heavy.start(t);
	const usual = await usualMs(t, heavy);
	for (let i = 0; i < ROUNDS; i++) {
		const out = heavy.nextOut();
		const delay = usual * 1.2 * (i + Math.random()) / ROUNDS;
		const { code, signal, stderr } = await heavy.interrupted(
			out, () => sleep(delay), (take) => inGroupIfThere(take, 'SIGINT')
		);
		// Before it is ready for a signal, it ends as any program does.
		t.true(code === 130 || code === 0 || signal === 'SIGINT', `${i}: exit code ${String(code)}: ${stderr}`);
		if (code === 0) t.is((await procsnap('verify', out, '--key', `${heavy.key}.pub`)).code, 0);
		t.deepEqual(heavy.cleared(out), code === 0 ? [''] : [], `${i}: folders`);
		await heavy.leftAlone(t, `${i}`);
	}
});

test('SIGINT twice: the second does not leave more behind than the first', async (t) => {
	const heavy = await Heavy.start(t);
	const { code, signal, out } = await interruptedAmid(heavy, READING['at a third'] as When, (take) => {
		inGroupIfThere(take, 'SIGINT');
		setTimeout(() => inGroupIfThere(take, 'SIGINT'), 2);
	});
	t.true(code === 130 || signal === 'SIGINT', `exit code ${String(code)}`);
	t.false(heavy.cleared(out).includes(''), 'a folder that looks like evidence');
	await heavy.leftAlone(t, 'SIGINT twice');
});

test('SIGKILL at any moment: the tracer ends what it began, and what looks like evidence is whole', async (t) => {
	const heavy = await Heavy.start(t);
	const usual = await usualMs(t, heavy);
	const random: When[] = Array.from(
		{ length: ROUNDS }, (_, i) => () => sleep(usual * 1.2 * (i + Math.random()) / ROUNDS)
	);
	for (const when of [...Object.values(READING), ...random]) {
		const out = heavy.nextOut();
		const { code, stderr } = await heavy.interrupted(out, () => when(heavy, out), (take) => take.kill('SIGKILL'));
		t.true(code === null || code === 0, stderr);
		// Killed between the seal and its end, it has left evidence, and that is whole.
		if (code === 0 || existsSync(out))
			t.is((await procsnap('verify', out, '--key', `${heavy.key}.pub`)).code, 0, 'what looks like evidence is whole');
		await heavy.leftAlone(t, 'SIGKILL');
		heavy.cleared(out);
	}
	// And the next take of the same target is none the worse for it.
	await usualMs(t, heavy);
	await heavy.leftAlone(t, 'the take after those');
});

const ENDS: Record<string, (heavy: Heavy) => void> = {
	'ends by itself': ({ target }) => target.stdin?.end(),
	'is killed': ({ target }) => target.kill('SIGKILL'),
};

for (const [what, end] of Object.entries(ENDS))
	test(`a target that ${what} while it is taken: whole evidence, or an error that says so`, async (t) => {
		const results: string[] = [];
		const usual = await usualMs(t, await Heavy.start(t));
		// The first part of it is Node's own start.
		for (const when of [
			...Object.values(READING),
			...Array.from({ length: 4 }, (): When => () => sleep(usual * (0.1 + 0.5 * Math.random()))),
		]) {
			const heavy = await Heavy.start(t);
			const out = heavy.nextOut();
			const { code, stderr, names }: Interrupted = await heavy.interrupted(
				out, () => when(heavy, out), () => end(heavy)
			);
			await heavy.nothingLeft(t, what);
			// 5: what the target alone could give is missing.
			if (code === 0 || code === 5) {
				t.is((await procsnap('verify', out, '--key', `${heavy.key}.pub`)).code, 0);
				// What the target alone could give may be missing, but nothing that the duplicate had.
				const { regions } = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as Manifest;
				const frozen = regions.filter(({ capture }) => capture === 'frozen');
				t.true(frozen.reduce((sum, { bytes }) => sum + bytes, 0) >= HEAVY_BYTES);
				t.deepEqual(frozen.flatMap(({ unreadable }) => unreadable), []);
				t.deepEqual(heavy.cleared(out), ['']);
			} else {
				t.false(
					when === READING['at a third'] || when === READING['near the end'],
					`the duplicate was there: ${stderr}`
				);
				t.is(code, 1);
				t.regex(stderr, /ended|is it there/);
				t.notRegex(stderr, /unexpected error|\n\s+at /);
				t.deepEqual(names, [], 'folders');
			}
			results.push(code === 0 ? 'whole' : stderr.trim());
		}
		t.log(results.join('; '));
	});

function inGroupIfThere(take: ChildProcess, signal: NodeJS.Signals): void {
	try {
		inGroup(take, signal);
	} catch {
		// it has ended by itself
	}
}
