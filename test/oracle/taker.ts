/**
 * Takes copies of one target after the other, and compares every page of each with what the target's own count says
 * it must hold: taker.ts JSON. It reports to who started it, and goes on until that lets it go, or something is wrong.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { createRandom, type Random } from '../../bench/stats/random.ts';
import { forEvidence } from '../../mechanisms/shared/all.ts';
import type { Mechanism, Still } from '../../mechanisms/shared/types.ts';
import { exitNow, ProcsnapError, Tracer } from '../../native/index.ts';
import { ShiftingThread, textOf, type ReadCopy, type WrongPage } from '../native/shifting.ts';
import { state, Target, until } from '../native/target.ts';
import { add, reasonOf } from '../soak/tally.ts';
import {
	CONTROLS, emptyTally, traceOf, type OracleReport, type OracleTakerOptions, type OracleTally, type WrongImage,
} from './tally.ts';

const REPORT_MS = 300;
const MOST_THREADS = 8, LEAST_COLD_PAGES = 8, MOST_COLD_PAGES = 128, IMAGES = [20, 200] as const;
/** So often in a row: nobody takes images of this target. */
const MOST_REFUSALS = 500;

interface Shape { threads: number; coldPages: number; firstSeed: number; images: number }

/** Small ones as often as large ones. */
const between = (random: Random, least: number, most: number): number =>
	Math.floor(least * ((most + 1) / least) ** random());

const drawShape = (random: Random): Shape => ({
	threads: between(random, 1, MOST_THREADS), coldPages: between(random, LEAST_COLD_PAGES, MOST_COLD_PAGES),
	firstSeed: 1 + Math.floor(random() * 0x7fff_0000), images: between(random, ...IMAGES),
});

/** What a copy leaves in its target, and should not. */
function leftIn(target: Target, descriptors: number): string | null {
	if (target.process.exitCode !== null || target.process.signalCode !== null)
		return `the target ended (${target.process.exitCode ?? target.process.signalCode})`;
	if (/^VmFlags:.* u[wm]\b/m.test(readFileSync(`/proc/${target.pid}/smaps`, 'utf8')))
		return 'memory of the target is registered with a userfaultfd still';
	const open = readdirSync(`/proc/${target.pid}/fd`).length;
	return open === descriptors ? null : `the target has ${open} descriptors, and had ${descriptors}`;
}

/** Of the target itself, as it runs: no copy at all. */
function readLive(memory: number): ReadCopy {
	return (address, length) => {
		const room = new Uint8Array(length);
		return room.subarray(0, readSync(memory, room, 0, length, address));
	};
}

/** What is not there cannot be read, by some: the oracle asks for it where what was done last was not counted yet. */
function readStill(still: Still): ReadCopy {
	return (address, length) => {
		try {
			return still.read(BigInt(address), length);
		} catch (error) {
			if (error instanceof ProcsnapError && error.code === 'EIO') return new Uint8Array();
			throw error;
		}
	};
}

class OneTarget {
	readonly #shape: Shape;
	readonly #options: OracleTakerOptions;
	readonly #mechanisms: readonly Mechanism[];
	readonly #target: Target;
	readonly #tally: OracleTally;
	readonly #oracles: ShiftingThread[] = [];
	#refusals = 0;

	constructor(shape: Shape, options: OracleTakerOptions, mechanisms: readonly Mechanism[], tally: OracleTally) {
		const { threads, coldPages, firstSeed } = this.#shape = shape;
		this.#options = options;
		this.#mechanisms = mechanisms;
		this.#tally = tally;
		this.#target = new Target('shifting', [threads, coldPages, firstSeed]);
	}

	/** null: all of its images were right. */
	async run(goesOn: () => Promise<boolean>): Promise<WrongImage | null> {
		const { threads, coldPages, images } = this.#shape, target = this.#target;
		const tracer = Tracer.start({ priority: 1, dataBytes: 4 << 20 });
		try {
			while (this.#oracles.length < threads)
				this.#oracles.push(new ShiftingThread(await target.line(), coldPages));
			await until('the target is ready', () => target.number(0) === 1);
			const descriptors = readdirSync(`/proc/${target.pid}/fd`).length;
			for (let image = 0; image < images && await goesOn(); image++) {
				const mechanism = this.#mechanisms[image % this.#mechanisms.length]!;
				const wrong = this.#image(tracer, mechanism, image);
				if (wrong !== null) return wrong;
			}
			const left = leftIn(target, descriptors);
			return left === null ? null : this.#wrong(left, this.#options.mechanisms.join(' or '), images);
		} finally {
			tracer.close();
			target.process.kill('SIGKILL');
			await target.ended();
		}
	}

	#image(tracer: Tracer, mechanism: Mechanism, image: number): WrongImage | null {
		let still;
		try {
			still = mechanism.open(tracer, this.#target);
		} catch (error) {
			if (!(error instanceof ProcsnapError)) throw error;
			add(this.#tally.refused, `${error.code}: ${reasonOf(error.message)}`);
			// Not what was refused, but a target that is lost.
			if (!['', 'Z'].includes(state(this.#target.pid)) && ++this.#refusals < MOST_REFUSALS) return null;
			return this.#wrong(`no image of it is taken any more: ${error.message}`, mechanism.name, image);
		}
		this.#refusals = 0;
		try {
			add(this.#tally.images, mechanism.name);
			const read = readStill(still);
			const found = this.#options.control ? this.#control(read, image) : this.#check(read);
			if (this.#options.control || found === null) return null;
			return {
				...this.#wrong(textOf(found), mechanism.name, image), address: `0x${found.address.toString(16)}`,
				expected: found.expected.toString('hex'), found: found.found.toString('hex'),
			};
		} finally {
			still.end();
		}
	}

	#check(read: ReadCopy, later?: number): WrongPage | null {
		for (const oracle of this.#oracles) {
			const wrong = oracle.check(read, later);
			if (wrong !== null) return wrong;
			this.#tally.pages += oracle.pages;
		}
		return null;
	}

	/** It has to be found wrong. */
	#control(read: ReadCopy, image: number): WrongPage | null {
		const live = Math.floor(image / this.#mechanisms.length) % 2 === 1, memory = live ? openSync(`/proc/${this.#target.pid}/mem`, 'r') : -1;
		// Of a moment one thing after those that the copy may be of.
		const wrong = live ? this.#check(readLive(memory)) : this.#check(read, 2);
		if (live) closeSync(memory);
		if (wrong !== null) add(this.#tally.seen, CONTROLS[live ? 1 : 0]);
		return wrong;
	}

	#wrong(what: string, mechanism: string, image: number): WrongImage {
		const { threads, coldPages, firstSeed } = this.#shape;
		return { what, seed: this.#options.seed, mechanism, threads, coldPages, firstSeed, image };
	}
}

async function take(options: OracleTakerOptions): Promise<void> {
	const random = createRandom(options.seed);
	const mechanisms = forEvidence().filter(({ name }) => options.mechanisms.includes(name));
	const tally = emptyTally();
	let last = performance.now(), stopped = false;
	process.on('disconnect', () => stopped = true);
	const goesOn = async (): Promise<boolean> => {
		if (performance.now() - last > REPORT_MS) {
			say({ kind: 'taken', tally });
			Object.assign(tally, emptyTally());
			last = performance.now();
		}
		await setImmediate();
		return !stopped;
	};
	while (await goesOn()) {
		const wrong = await new OneTarget(drawShape(random), options, mechanisms, tally).run(goesOn);
		if (wrong === null) continue;
		say({ kind: 'taken', tally });
		say({ kind: 'wrong', wrong });
		return;
	}
}

const say = (report: OracleReport): void => {
	// An error is that of nobody reading any more.
	if (process.connected) process.send?.(report, () => undefined);
};

// Ctrl-C reaches all programs of a terminal: who started this one lets it go.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
await take(JSON.parse(process.argv[2] ?? '') as OracleTakerOptions)
	.catch((error: unknown) => say({ kind: 'failed', what: traceOf(error) }));
if (process.connected) process.disconnect();
await exitNow(0);
