/** Takers at the same time, until enough images were taken, or one of them is wrong; then the verdict. */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
// It builds the targets, once: takers that find none would all build them at the same time.
import '../native/target.ts';
import { sum } from '../soak/tally.ts';
import {
	addTally, emptyTally, type OracleReport, type OracleTakerOptions, type OracleTally, type OracleVerdict,
	type WrongImage,
} from './tally.ts';

export interface OracleOptions {
	seed: number;
	/** Ends when so many were taken and checked. */
	images: number;
	minutes: number;
	/** Names, of which each is used in turn. */
	mechanisms: readonly string[];
	takers: number;
	control: boolean;
	signal: AbortSignal;
	/** Now and then. */
	progress: (tally: OracleTally, seconds: number) => void;
}

const TAKER = fileURLToPath(new URL('taker.ts', import.meta.url));
const LOOK_MS = 100;
/** A taker that is let go ends the image that it is at. */
const END_MS = 30_000;

const start = (options: OracleTakerOptions): ChildProcess =>
	fork(TAKER, [JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });

export async function runOracle(options: OracleOptions): Promise<OracleVerdict> {
	const { seed, mechanisms, control, signal } = options;
	const tally = emptyTally(), startedAt = new Date(), begun = performance.now();
	const wrong: WrongImage[] = [], failed: string[] = [];
	let ended = '';
	const receive = (report: OracleReport): void => {
		if (report.kind === 'taken') addTally(tally, report.tally);
		else if (report.kind === 'wrong') wrong.push(report.wrong);
		else failed.push(report.what);
	};
	const living = new Set<ChildProcess>();
	for (let i = 0; i < options.takers; i++) {
		const taker = start({ seed: (seed ^ Math.imul(i, 0x9e3779b1)) >>> 0, mechanisms, control });
		living.add(taker);
		taker.on('message', (report) => receive(report as OracleReport));
		taker.on('exit', (code, by) => {
			living.delete(taker);
			if (ended === '' && wrong.length + failed.length === 0)
				failed.push(`a taker ended by itself: ${by ?? code}`);
		});
	}
	while (ended === '') {
		await sleep(LOOK_MS);
		const seconds = (performance.now() - begun) / 1000;
		if (wrong.length > 0) ended = 'an image was wrong';
		else if (failed.length > 0) ended = 'a taker failed';
		else if (signal.aborted) ended = 'it was interrupted';
		else if (sum(tally.images) >= options.images) ended = 'all images were taken that were asked for';
		else if (seconds > options.minutes * 60) ended = 'its time was over';
		options.progress(tally, seconds);
	}
	for (const taker of living) if (taker.connected) taker.disconnect();
	for (const until = Date.now() + END_MS; living.size > 0 && Date.now() < until;) await sleep(20);
	for (const taker of living) taker.kill('SIGKILL');
	const seconds = (performance.now() - begun) / 1000;
	return {
		seed, control, startedAt: startedAt.toISOString(), seconds, kernel: release(), cpus: availableParallelism(),
		ended, tally, wrong, failed,
	};
}
