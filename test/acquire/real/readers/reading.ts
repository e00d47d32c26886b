/** One program: taken as users take it, verified, read by each reader; beside it gcore's core, which is the measure. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../../../common/errors.ts';
import type { Manifest } from '../../../../acquire/evidence/manifest.ts';
import { eventually, isFree, statusField } from '../../../processes.ts';
import { CoreFile } from '../../core-file.ts';
import { CLI } from '../taking.ts';
import { READERS } from './readers.ts';
import { packagesFor, ran, type Ran } from './running.ts';
import { disagreement } from './traces.ts';
import type { Core, Ends, Program, Reader, Reading, Running } from './types.ts';

export interface Row {
	program: string;
	/** How the core was made. */
	core: string;
	reader: string;
	outcome: 'ok' | 'refused' | 'unfit' | 'differs' | 'not here';
	text: string;
}

/** How it is taken: by itself, and by each mechanism that can be had everywhere. */
const WAYS = ['by itself', 'inject', 'precopy'];

export interface Choice {
	ways?: readonly string[];
	/** Also of the process when it is stopped, beside gcore's core of it. */
	control?: boolean;
}

/** Rows as they come. */
export async function* readProgram(ends: Ends, program: Program, choice: Choice = {}): AsyncGenerator<Row> {
	const { ways = WAYS, control = true } = choice;
	const missing = packagesFor(program.needs);
	if (missing.length > 0) {
		yield { program: program.name, core: '', reader: '', outcome: 'not here', text: `package ${missing.join(', ')}` };
		return;
	}
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-readers-'));
	ends.teardown(() => rmSync(folder, { recursive: true, force: true }));
	const running = await program.start(ends, folder);
	for (const way of ways) yield* readTake(program, running, folder, way);
	if (!control || packagesFor({ gcore: 'gdb' }).length > 0) return;
	process.kill(running.pid, 'SIGSTOP');
	await eventually(() => (tidsOf(running.pid).every(isStopped) ? true : undefined), `${program.name} is stopped`);
	const theirs = await gcore(running.pid, folder);
	const measure = new Map<string, Reading>();
	for await (const [reader, reading] of readings(theirs, running)) {
		measure.set(reader.name, reading);
		const row = rowOf(program.name, 'gcore\'s', reader, reading, running);
		yield { ...row, outcome: row.outcome === 'ok' ? 'ok' : 'unfit' };
	}
	rmSync(theirs.path);
	yield* readTake(program, running, folder, 'stopped', measure);
	process.kill(running.pid, 'SIGCONT');
}

const procsnap = (...args: string[]): Promise<Ran> => ran(CLI[0], [...CLI.slice(1), ...args]);
const costOf = ({ seconds, peakMiB }: Ran): string => `${seconds.toFixed(1)} s, ${peakMiB.toFixed(0)} MiB of memory`;
const tidsOf = (pid: number): number[] => readdirSync(`/proc/${pid}/task`).map(Number);
const isStopped = (tid: number): boolean => /^[Tt]/.test(statusField(tid, 'State'));

async function* readTake(
	{ name }: Program, running: Running, folder: string, way: string, measure?: ReadonlyMap<string, Reading>
): AsyncGenerator<Row> {
	const row = { program: name, core: way, reader: 'procsnap' };
	const out = join(folder, 'evidence'), key = join(folder, 'key'), before = tidsOf(running.pid);
	const chosen = WAYS.slice(1).includes(way) ? ['--mechanism', way] : [];
	const taken = await procsnap('take', String(running.pid), '--out', out, '--key', key, '--json', ...chosen);
	if (taken.code !== 0) {
		const error = taken.stdout.includes('"error"')
			? (JSON.parse(taken.stdout) as { error: string }).error
			: taken.text;
		const expected = running.refusedBy?.[way];
		const isExpected = taken.code === 1 && expected?.test(error) === true;
		yield { ...row, outcome: isExpected ? 'refused' : 'differs', text: error };
		return;
	}
	const after = tidsOf(running.pid);
	const verified = await procsnap('verify', out, '--key', `${key}.pub`);
	const manifest = JSON.parse((await procsnap('info', out, '--json')).stdout) as Manifest;
	const core: Core = {
		path: join(out, 'core'), addressAt: (offset) => addressAt(manifest, offset),
		threads: {
			least: before.filter((tid) => after.includes(tid)), most: [...new Set([...before, ...after])],
		},
	};
	yield {
		...row, outcome: verified.code === 0 ? 'ok' : 'differs',
		text: verified.code === 0
			? `${manifest.mechanism.name}, ${(manifest.core.bytes / 2 ** 20).toFixed(0)} MiB: ${costOf(taken)}; whole: ${costOf(verified)}`
			: verified.text,
	};
	for await (const [reader, reading] of readings(core, running)) {
		const theirs = measure?.get(reader.name);
		const row = rowOf(name, way, reader, reading, running);
		yield theirs === undefined ? row : compared(row, reading, theirs);
	}
	rmSync(out, { recursive: true });
	await eventually(() => (isFree(running.pid) || way === 'stopped' ? true : undefined), `${name} is let go`);
}

/** Where in the process's memory a byte of the core is from: what `procsnap info` lists. */
function addressAt({ regions }: Manifest, offset: number): number | null {
	for (const { segments } of regions) {
		const found = segments.find((each) => each.offset <= offset && offset < each.offset + each.bytes);
		if (found !== undefined) return Number(found.start) + offset - found.offset;
	}
	return null;
}

/** gdb's of the same process, in the same state. */
async function gcore(pid: number, folder: string): Promise<Core> {
	const { code, text } = await ran('gcore', ['-o', join(folder, 'gcore'), String(pid)]);
	if (code !== 0) throw new Error(`gcore: ${text}`);
	const path = join(folder, `gcore.${pid}`), tids = tidsOf(pid), closing: Array<() => void> = [];
	const { loads } = CoreFile.open({ teardown: (close) => closing.push(() => void close()) }, path);
	for (const close of closing) close();
	return {
		path, threads: { least: tids, most: tids },
		addressAt: (offset) => {
			const load = loads.find((each) => each.offset <= offset && offset < each.offset + each.fileBytes);
			return load === undefined ? null : load.start + offset - load.offset;
		},
	};
}

/** By each reader that there is for it, one after the other. Of one that cannot be run: why. */
async function* readings(core: Core, running: Running): AsyncGenerator<[Reader, Reading]> {
	let elfutils: ReadonlyMap<number, string[]> | undefined;
	for (const reader of READERS.filter(({ only }) => only?.(running) !== false)) {
		if (packagesFor(reader.needs).length > 0) continue;
		const reading = await reader.read(core, running)
			.catch((error: unknown): Reading => ({ faults: [messageOf(error)], said: [] }));
		const others = elfutils === undefined || reading.traces === undefined
			? []
			: disagreement(elfutils, reading.traces);
		if (others.length > 0) reading.faults.push(`thread ${others.join(', ')} is not where eu-stack finds it`);
		if (reader.name === 'eu-stack') elfutils = reading.traces;
		yield [reader, reading];
	}
}

function rowOf(program: string, core: string, reader: Reader, { faults, detail }: Reading, { unfit }: Running): Row {
	const why = unfit?.[reader.name];
	const row = { program, core, reader: reader.name };
	if (faults.length === 0) return { ...row, outcome: 'ok', text: detail ?? '' };
	const text = [why, ...faults].filter(Boolean).join('; ');
	return { ...row, outcome: why === undefined ? 'differs' : 'unfit', text };
}

/** Of our core and gcore's a reader has to say the same. */
function compared(row: Row, ours: Reading, theirs: Reading): Row {
	const lacking = theirs.said.filter((line) => !ours.said.includes(line));
	const more = ours.said.filter((line) => !theirs.said.includes(line));
	if (lacking.length === 0 && more.length === 0) return row;
	return {
		...row, outcome: 'differs',
		text: `${row.text}; of gcore's core it says ${lacking.length} other lines: ${JSON.stringify(lacking[0])}, ` +
			`and of this ${more.length}: ${JSON.stringify(more[0])}`,
	};
}
