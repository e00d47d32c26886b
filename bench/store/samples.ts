/**
 * samples.jsonl: a header, then one block a line, in the order in which they
 * were measured. It is only ever appended to, and flushed after every block, so
 * that a run that dies keeps all but the block it died in.
 */
import { closeSync, fdatasyncSync, fsyncSync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { Failure, messageOf } from '../../common/errors.ts';
import type { Block } from '../types.ts';
import { cannotRead, cannotWrite, publishableJson, writeFully } from './files.ts';
import { SCHEMA_VERSION, checkVersion } from './manifest.ts';
import { fields, mapOf, mismatch } from './shape.ts';

const headerShape = fields({ schemaVersion: v.number(), run: v.string() });

const look = fields({
	atMs: v.number(),
	gaps: v.nullable(v.array(fields({
		cpu: v.number(), spunNs: v.number(), count: v.number(), lostNs: v.number(), largestNs: v.number(),
	}))),
	cpus: v.number(),
	stealMs: v.nullable(v.number()),
	waitedUs: fields({ cpu: v.nullable(v.number()), memory: v.nullable(v.number()), io: v.nullable(v.number()) }),
	load: v.nullable(v.number()),
	frequencyKHz: v.nullable(v.number()),
});

const blockShape = fields({
	seq: v.number(),
	experiment: v.string(),
	variant: v.string(),
	factors: mapOf(v.unknown()),
	status: v.picklist(['ok', 'failed', 'interrupted']),
	startedMs: v.number(),
	warmupRounds: v.number(),
	samples: mapOf(v.array(v.nullable(v.number()))),
	failures: v.array(fields({ round: v.number(), message: v.string() })),
	facts: mapOf(v.unknown()),
	machine: v.exactOptional(fields({ before: look, after: look })),
	repeats: v.exactOptional(v.number()),
});

export interface SampleWriter {
	/** Returns when the block is on the disk. */
	append: (block: Block) => void;
	close: () => void;
}

/** Begins a new file; there must be none yet. */
export function createSamples(file: string, run: string): SampleWriter {
	let fd: number;
	try {
		fd = openSync(file, 'ax', 0o644);
	} catch (error) {
		throw cannotWrite(file, error);
	}
	let length = 0;
	const append = (value: unknown) => {
		const line = Buffer.from(`${publishableJson(value)}\n`);
		try {
			writeFully(fd, line);
			fdatasyncSync(fd);
		} catch (error) {
			// Half a line helps nobody: the blocks before it stay readable.
			ftruncateSync(fd, length);
			throw cannotWrite(file, error);
		}
		length += line.length;
	};
	append({ schemaVersion: SCHEMA_VERSION, run } satisfies v.InferOutput<typeof headerShape>);
	fsyncSync(fd);
	return { append, close: () => closeSync(fd) };
}

export interface Samples {
	run: string;
	blocks: Block[];
	/** What was left out, if the run died while it wrote: to be told to the user. */
	torn: string | null;
}

export function readSamples(file: string): Samples {
	let text: string;
	try {
		text = readFileSync(file, 'utf8');
	} catch (error) {
		throw cannotRead(file, error);
	}
	return parseSamples(text, file);
}

/** Only the last line may be torn, and only if its end is missing: anything else is corruption. */
export function parseSamples(text: string, file: string): Samples {
	const lines = text.split('\n');
	const rest = lines.pop() ?? '';
	let torn: string | null = null;
	if (rest !== '') {
		if (isJson(rest)) {
			lines.push(rest);
		} else {
			torn = `${file}:${lines.length + 1}: the last line is torn (the run died while it wrote): left out`;
		}
	}
	const [first, ...others] = lines;
	if (first === undefined) {
		throw new Failure(`${file}:1: there is no header: the file is corrupt or empty, restore it from a copy`);
	}
	const header = parseLine(first, `${file}:1`);
	checkVersion(header, `${file}:1`);
	expectShape(header, headerShape, `${file}:1`);
	const blocks = others.map((line, index) => toBlock(line, index, `${file}:${index + 2}`));
	return { run: (header as v.InferOutput<typeof headerShape>).run, blocks, torn };
}

function toBlock(line: string, index: number, at: string): Block {
	const value = parseLine(line, at);
	expectShape(value, blockShape, at);
	const block = value as Block;
	if (block.seq !== index) {
		throw new Failure(
			`${at}: block ${block.seq} stands where block ${index} should: lines are missing or out of order, ` +
				`restore the file from a copy`
		);
	}
	const lengths = new Set(Object.values(block.samples).map((samples) => samples.length));
	if (lengths.size > 1) {
		throw new Failure(
			`${at}: the metrics have different numbers of samples: the line is corrupt, restore the file from a copy`
		);
	}
	return block;
}

function isJson(line: string): boolean {
	try {
		JSON.parse(line);
		return true;
	} catch {
		return false;
	}
}

function parseLine(line: string, at: string): unknown {
	try {
		return JSON.parse(line);
	} catch (error) {
		throw new Failure(
			`${at}: is not JSON (${messageOf(error)}): the line is corrupt, restore the file from a copy`,
			{ cause: error }
		);
	}
}

function expectShape(value: unknown, shape: v.GenericSchema, at: string): void {
	const wrong = mismatch(value, shape);
	if (wrong !== undefined) {
		throw new Failure(`${at}: ${wrong}: the line is corrupt, restore the file from a copy`);
	}
}
