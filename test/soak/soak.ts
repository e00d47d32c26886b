/** All of it at once: targets, takers, a collector, faults; then the verdict. */
import { fork, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../common/errors.ts';
import { createRandom } from '../../bench/stats/random.ts';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import { aMark } from '../processes.ts';
import { removePrefix, removeStale } from './cgroups.ts';
import { collect } from './collector.ts';
import { endPrograms } from './child.ts';
import { AtRisk } from './counts.ts';
import { makeFaults } from './faults.ts';
import { KINDS, type Kind } from './kinds.ts';
import { leftAtTargets, strays, tracersLeft } from './leftovers.ts';
import type { Report, TakerOptions } from './taker.ts';
import { add, emptyTally, mechanismIn, totals, type Tally } from './tally.ts';
import { Target, TARGETS_FOLDER } from './target.ts';
import type { Verdict } from './verdict.ts';

export interface SoakOptions {
	seed: number;
	minutes: number;
	/** Ends when so many were taken. */
	takes: number;
	/** Takes a second, in all. */
	rate: number;
	takers: number;
	/** Of these kinds only. */
	only: readonly string[];
	faults: boolean;
	/** Without takes. */
	control: boolean;
	signal: AbortSignal;
	say: (text: string) => void;
}

/** So long after it was announced, what a tracer's death does to its target may be seen. */
const TRACER_DEATH_MS = 5000;

const STEM = 'procsnap-soak-';
const TAKER = fileURLToPath(new URL('taker.ts', import.meta.url));
const STUCK_MS = 25_000;
const PROGRESS_MS = 20_000;
const DEATHS = 0.006;

export function makeTargets(): void {
	const { status, stderr } = spawnSync('make', ['-s', '-C', TARGETS_FOLDER], { encoding: 'utf8' });
	if (status !== 0) throw new Failure(`the soak's targets cannot be compiled: make -C ${TARGETS_FOLDER}: ${stderr}`);
}

/** What all processes of this soak have in their environment. */
export function setMark(): string {
	const mark = aMark(), [name = '', value] = mark.split('=');
	process.env[name] = value;
	return mark;
}

/** Targets that are started, and how to be rid of them: with what is left. */
export class Targets {
	readonly folder = mkdtempSync(join(tmpdir(), STEM));
	readonly all: Target[];
	readonly notMade = new Set<string>();
	readonly #prefix = `${STEM}${process.pid}`;

	constructor(kinds: readonly Kind[], tally: Tally, stuckMs: number, say: (text: string) => void) {
		const startedAt = performance.now();
		this.all = kinds.map((kind) =>
			new Target(
				kind, tally.kinds[kind.name]!,
				{ folder: this.folder, prefix: this.#prefix, stuckMs, say, notMade: this.notMade, startedAt }
			));
		for (const target of this.all) target.start();
	}

	static async create(
		kinds: readonly Kind[], tally: Tally, stuckMs: number, say: (text: string) => void
	): Promise<Targets> {
		await removeStale(STEM);
		return new Targets(kinds, tally, stuckMs, say);
	}

	/** All are ready, or cannot be here. */
	async ready(ms: number): Promise<void> {
		for (const until = Date.now() + ms; Date.now() < until && this.waiting.length > 0;) await sleep(20);
		for (const { tally } of this.waiting) tally.unable = `it was not ready within ${ms / 1000} s`;
	}

	get waiting(): Target[] {
		return this.all.filter(({ page, tally }) => tally.unable === null && !page.read().ready);
	}

	watched(): Parameters<typeof leftAtTargets>[0] {
		return this.all.filter(({ living }) => living).map((target) => ({
			name: target.kind.name, pid: target.pid, taken: () => target.page.pid(),
			childless: target.kind.childless === true,
		}));
	}

	/** Ends all targets; gives what is left of them and of the soak. */
	async end(mark: string): Promise<string[]> {
		for (const target of this.all) {
			target.end();
			removeSemaphores(target);
		}
		const left = await strays(mark);
		for (const target of this.all) {
			left.push(...(await target.groups.remove()).map((path) => `control group ${path}`));
			target.page.close();
		}
		left.push(...(await removePrefix(this.#prefix)).map((path) => `control group ${path}`));
		rmSync(this.folder, { recursive: true, force: true });
		return left;
	}
}

/** System V semaphores outlive the process that made them. */
function removeSemaphores({ page }: Target): void {
	const handle = page.read().handles[3] ?? 0;
	if (handle > 0) spawnSync('ipcrm', ['-s', String(handle - 1)], { stdio: 'ignore' });
}

/** Requesters, of which each is started again when it is killed. */
class Takers {
	readonly #living = new Map<number, ChildProcess>();
	#stopped = false;
	#next = 0;
	readonly #start: (index: number, seed: number) => ChildProcess;
	readonly #ended: (code: number | null, signal: NodeJS.Signals | null) => void;

	constructor(
		count: number, start: (index: number, seed: number) => ChildProcess,
		ended: (code: number | null, signal: NodeJS.Signals | null) => void
	) {
		this.#start = start;
		this.#ended = ended;
		for (let i = 0; i < count; i++) this.#run(i);
	}

	#run(index: number): void {
		const child = this.#start(index, this.#next++);
		this.#living.set(index, child);
		child.on('exit', (code, signal) => {
			this.#ended(code, signal);
			this.#living.delete(index);
			if (!this.#stopped) setTimeout(() => this.#stopped || this.#run(index), 100);
		});
	}

	killOne(at: number): boolean {
		const all = [...this.#living.values()];
		return all[Math.floor(at * all.length)]?.kill('SIGKILL') ?? false;
	}

	async stop(ms: number): Promise<void> {
		this.#stopped = true;
		for (const child of this.#living.values()) if (child.connected) child.send('stop');
		for (const until = Date.now() + ms; this.#living.size > 0 && Date.now() < until;) await sleep(50);
		for (const child of this.#living.values()) child.kill('SIGKILL');
	}
}

const mechanismsNotHere = (): string[] => forEvidence().flatMap(({ name, unavailable }) => {
	const why = unavailable();
	return why === null ? [] : [`${name}: ${why}`];
});

export async function soak(options: SoakOptions): Promise<Verdict> {
	const { seed, say, signal } = options;
	const kinds = KINDS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
	const tally = emptyTally(kinds.map(({ name }) => name)), startedAt = new Date(), start = performance.now();
	makeTargets();
	const mark = setMark();
	const targets = await Targets.create(kinds, tally, STUCK_MS, say);
	const verdict = (ended: string, leftovers: string[]): Verdict => ({
		seed, control: options.control, startedAt: startedAt.toISOString(),
		seconds: (performance.now() - start) / 1000, kernel: release(), cpus: availableParallelism(), ended,
		notHere: [...mechanismsNotHere(), ...targets.notMade], tally, leftovers,
	});
	const leftovers: string[] = [];
	let ended = '';
	try {
		await targets.ready(20_000);
		const here = targets.all.filter((target) => target.tally.unable === null);
		if (here.length === 0) throw new Failure('no target could be started: the page of each says why');
		const folder = join(targets.folder, 'evidence');
		mkdirSync(folder);
		const stopped = (): boolean => ended !== '';
		const takerOptions = (index: number, start: number): TakerOptions => ({
			seed: (seed ^ Math.imul(start * 97 + index + 1, 0x9e3779b1)) >>> 0, rate: options.rate / options.takers,
			deaths: options.faults ? DEATHS : 0,
			targets: here.map(({ page, kind }) =>
				({ page: page.path, longer: kind.longer === true, documented: kind.documented ?? null })),
		});
		const takers = new Takers(options.control ? 0 : options.takers, (index, start) => {
			const child = fork(
				TAKER, [JSON.stringify(takerOptions(index, start))], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }
			);
			const atRisk = new AtRisk(), lose = (target: number): void => { here[target]!.tally.countsLost++; };
			child.on('message', (message) => {
				const report = message as Report;
				atRisk.saw(report).forEach(lose);
				receive(report, here, tally);
			});
			child.on('exit', () => atRisk.ended().forEach(lose));
			return child;
		}, (code, by) => {
			if (by !== 'SIGKILL' && !stopped()) add(tally.wrong, `a requester ended by itself: ${by ?? code ?? ''}`);
		});
		const random = createRandom(seed);
		const others = [
			...options.control
				? []
				: [
					collect({
						folder, targets: here, random: createRandom(seed + 1), tally, stopped,
						gapMs: options.faults ? 3000 : 1000,
					}),
				],
			...(options.faults ? [makeFaults({
				targets: here, random, counts: tally.faults, stopped, gapMs: 500,
				killRequester: () => takers.killOne(random()),
				longFreezeEveryMs: options.minutes >= 3 ? 180_000 : 0,
			}).then(() => [])] : []),
		];
		const endAt = start + options.minutes * 60_000;
		for (let progressAt = start + 5000; ended === '';) {
			await sleep(200);
			for (const target of here) target.look();
			// Its beginning is a part of a target's life too.
			if (options.control) here[Math.floor(random() * here.length)]?.again();
			const { taken } = totals(tally), now = performance.now();
			if (signal.aborted) ended = 'it was interrupted';
			else if (taken >= options.takes) ended = 'all takes were made that were asked for';
			else if (now > endAt) ended = 'its time was over';
			if (now > progressAt || ended !== '') {
				progressAt = now + PROGRESS_MS;
				say(progress(tally, (now - start) / 60_000));
			}
		}
		say('ending: takers, then what is left at the targets');
		await takers.stop(30_000);
		for (const left of await Promise.all(others)) leftovers.push(...left.map((path) => `folder ${path}`));
		leftovers.push(...await tracersLeft(mark));
		leftovers.push(...await leftAtTargets(targets.watched()));
		for (const target of here) target.look();
	} finally {
		endPrograms();
		leftovers.push(...await targets.end(mark));
	}
	return verdict(ended, leftovers);
}

function receive(report: Report, targets: readonly Target[], tally: Tally): void {
	if (report.kind === 'wrong') {
		add(tally.wrong, report.what);
	} else if (report.kind === 'death') {
		add(tally.faults, `${report.whom} killed at "${report.step}"`);
		const target = targets[report.target]!;
		target.happened(`${report.whom} to be killed at "${report.step}"`);
		// docs/inject.md, "The tracer is killed with SIGKILL": a call that it follows ends as it is, and an ended
		// duplicate stays a zombie. That the target lives is what counts; then it begins anew.
		if (report.whom === 'tracer') {
			const over = target.excuse();
			setTimeout(() => {
				target.again();
				over();
			}, TRACER_DEATH_MS);
		}
	} else if (report.kind === 'counted') {
		targets[report.target]!.tally.counted += report.counted;
	} else if (report.kind === 'take') {
		const target = targets[report.target]!, kind = target.tally;
		const mechanism = mechanismIn(tally, report.mechanism);
		const { outcome, reason = '' } = report;
		target.happened(`${report.mechanism} ${outcome}${reason === '' ? '' : ` (${reason.slice(0, 40)})`}`);
		kind.tried++;
		mechanism.tried++;
		kind.counted += report.counted ?? 0;
		if (outcome === 'refused') {
			add(kind.refused, reason);
			add(mechanism.refused, reason);
			return;
		}
		kind.taken++;
		mechanism.taken++;
		if (outcome === 'unclean') add(kind.unclean, reason);
		if (outcome === 'wrong') add(tally.wrong, reason);
	}
}

function progress(tally: Tally, minutes: number): string {
	const { tried, taken, refused, harmed, dead } = totals(tally);
	return `${minutes.toFixed(1)} min: ${taken} taken of ${tried}, ${refused} refused, ${harmed} harms, ${dead} deaths`;
}
