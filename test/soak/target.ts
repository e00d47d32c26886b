/** One target: started, watched, harmed by nobody but the faults; started anew when it has died. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Groups } from './cgroups.ts';
import type { Kind } from './kinds.ts';
import { Page } from './page.ts';
import { add, type KindTally } from './tally.ts';

const TARGETS = fileURLToPath(new URL('targets', import.meta.url));
export const PROGRAM = join(TARGETS, 'build', 'target'), SABOTAGE = join(TARGETS, 'build', 'sabotage');
export const TARGETS_FOLDER = TARGETS;

/** A target that has died so often is not started again. */
const MOST_DEATHS = 200;
const MOST_FIRST = 8;

export interface TargetOptions {
	folder: string;
	/** Of its groups. */
	prefix: string;
	/** Without a turn for so long it is stuck. Wide, as the machine is kept busy. */
	stuckMs: number;
	/** Told of each harm that is new. */
	say: (text: string) => void;
	notMade: Set<string>;
	startedAt: number;
}

export class Target {
	readonly kind: Kind;
	readonly page: Page;
	readonly groups: Groups;
	readonly tally: KindTally;
	/** A fault is in force: one at a time. */
	faulted = false;
	readonly #options: TargetOptions;
	#process: ChildProcess | undefined;
	#leaving = false;
	#excuse = 0;
	#excuses = 0;
	#rival = 0;
	#lastTurns = 0;
	#lastTurnAt = Date.now();
	/** Of former lives: the page was cleared. */
	#past = { turns: 0, excused: 0, lost: 0, harmed: new Map<string, number>() };
	readonly #recent: string[] = [];
	#known = new Set<string>();

	constructor(kind: Kind, tally: KindTally, options: TargetOptions) {
		this.kind = kind;
		this.tally = tally;
		this.#options = options;
		this.page = new Page(join(options.folder, `${kind.name.replace(/\W/g, '-')}.page`), true);
		this.groups = new Groups(
			options.prefix, kind.name.replace(/\W/g, '-'),
			kind.limitMiB === undefined ? undefined : kind.limitMiB << 20, options.notMade
		);
	}

	/** In its groups before it is anything: what it starts is in them too. */
	start(): void {
		this.#lastTurnAt = Date.now();
		this.#lastTurns = 0;
		const { program = this.kind.name, argument } = this.kind;
		const errors = openSync(join(this.#options.folder, `${this.kind.name.replace(/\W/g, '-')}.stderr`), 'a');
		const script = `${this.groups.files.map((file) => `echo 0 >'${file}' || exit 3; `).join('')}exec "$0" "$@"`;
		const child = spawn('/bin/sh', [
			'-c', script, PROGRAM, program, this.page.path, ...(argument === undefined ? [] : [argument]),
		],
			{ stdio: ['ignore', 'ignore', errors], detached: true });
		closeSync(errors);
		this.#process = child;
		child.on('error', (error) => this.tally.unable = String(error));
		child.on('exit', (code, signal) => this.#ended(child, code, signal));
	}

	/** Its first process, the child of ours; it may have others. */
	get pid(): number {
		return this.#process?.pid ?? 0;
	}

	get living(): boolean {
		return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
	}

	/** Noted to be told beside the first harms. */
	happened(what: string): void {
		this.#recent.push(`${this.#seconds().toFixed(2)} s: ${what}`);
		if (this.#recent.length > 8) this.#recent.shift();
	}

	/** From now on what a fault does to blocked calls is no harm; until the function that this returns is called. */
	excuse(): () => void {
		this.faulted = true;
		// Odd while there is one: a tracer may be killed while another fault is in force.
		if (this.#excuses++ === 0) this.page.setExcuse(++this.#excuse);
		return () => {
			if (--this.#excuses > 0) return;
			this.page.setExcuse(++this.#excuse);
			this.#lastTurnAt = Date.now();
			this.faulted = false;
		};
	}

	/** From now on a tracer is there that loses signals; until the function that this returns is called. */
	rival(): () => void {
		this.page.setRival(++this.#rival);
		return () => this.page.setRival(++this.#rival);
	}

	/** What it says by now. */
	look(): void {
		if (this.#process === undefined) return;
		const { turns, texts, excused, lost, unable } = this.page.read();
		this.tally.turns = this.#past.turns + turns;
		this.tally.lostWithRival = this.#past.lost + lost;
		this.tally.excused = this.#past.excused + excused;
		if (unable !== '') this.tally.unable = unable;
		for (const [text, count] of texts) {
			const documented = this.kind.documented?.text.test(text) === true;
			(documented ? this.tally.documented : this.tally.harmed)[text] = (this.#past.harmed.get(text) ?? 0) + count;
			if (text !== '' && !documented) this.#first(text);
		}
		if (turns !== this.#lastTurns || this.faulted || !this.living) {
			this.#lastTurns = turns;
			this.#lastTurnAt = Date.now();
		} else if (Date.now() - this.#lastTurnAt > this.#options.stuckMs) {
			add(this.tally.harmed, 'stuck');
			this.#past.harmed.set('stuck', (this.#past.harmed.get('stuck') ?? 0) + 1);
			this.#first(`stuck for ${this.#options.stuckMs / 1000} s: ${statesOf(this.pid)}`, 'stuck');
			this.#lastTurnAt = Date.now();
			this.#kill();		// its death is ours
			this.#leaving = true;
		}
	}

	/** End it and start it again: what it has been told before is of no use any more. */
	again(): void {
		if (this.#process === undefined) return;
		this.look();
		this.#kill();
		this.#leaving = true;
	}

	#first(what: string, key = what): void {
		if (this.#known.has(key)) return;
		this.#known.add(key);
		if (this.tally.first.length < MOST_FIRST)
			this.tally.first.push({ atSeconds: Math.round(this.#seconds()), what, before: [...this.#recent] });
		this.#options.say(`HARMED ${this.kind.name}: ${what}`);
	}

	#seconds(): number {
		return (performance.now() - this.#options.startedAt) / 1000;
	}

	#ended(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
		if (child !== this.#process || this.#finished) return;
		this.look();
		const { turns, excused, lost, texts, unable } = this.page.read();
		const stuck = this.#leaving;
		if (!this.#leaving) {
			if (unable !== '' || code === 3) {
				this.tally.unable = unable === ''
					? 'it could not be started: its control groups or its program'
					: unable;
				return;
			}
			const how = signal ?? `exit code ${code ?? 0}`;
			add(this.tally.dead, how);
			this.#first(`dead: ${how}`);
		}
		this.#leaving = false;
		// Its children, if it had some.
		this.#kill();
		this.#past.turns += turns;
		this.#past.excused += excused;
		this.#past.lost += lost;
		for (const [text, count] of texts) this.#past.harmed.set(text, (this.#past.harmed.get(text) ?? 0) + count);
		if (Object.values(this.tally.dead).reduce((a, b) => a + b, 0) >= MOST_DEATHS) {
			this.#process = undefined;
			this.#options.say(`${this.kind.name} has died ${MOST_DEATHS} times: it is not started again`);
			return;
		}
		this.#process = undefined;
		setTimeout(() => {
			if (this.#finished) return;
			this.page.clear();
			this.page.setExcuse(this.#excuse);
			this.page.setRival(this.#rival);
			this.start();
		}, stuck ? 1000 : 200);
	}

	#finished = false;

	/** No more is told of its death. */
	end(): void {
		this.look();
		this.#finished = this.#leaving = true;
		for (const { thaw } of this.groups.freezers) thaw();
		this.#kill();
	}

	/** The session that it began, and so its children. */
	#kill(): void {
		const pid = this.#process?.pid;
		if (pid === undefined) return;
		for (const signal of ['SIGKILL', 'SIGCONT'] as const) {
			try {
				process.kill(-pid, signal);
			} catch {
				return;		// all gone
			}
		}
	}
}

/** Of each thread: state, what it waits in, its tracer. For a person to read. */
function statesOf(pid: number): string {
	try {
		const status = readFileSync(`/proc/${pid}/status`, 'utf8');
		const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '?';
		return `state ${field('State')}, tracer ${field('TracerPid')}, in ` +
			`${readFileSync(`/proc/${pid}/wchan`, 'utf8')}, call ` +
				`${readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ', 1)[0] ?? '?'}, blocked ${field('SigBlk')}`;
	} catch {
		return 'it is gone';
	}
}
