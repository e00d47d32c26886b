/** Which bytes of a core are not those that were sealed: by chunk, by region, and where they come from. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, lstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure, messageOf } from '../common/errors.ts';
import { readAll } from '../common/read-all.ts';
import { FILES, readWhole } from './evidence/folder.ts';
import type { Manifest, RegionRecord } from './evidence/manifest.ts';
import { CHUNK_BYTES, HASH_BYTES, leafHash, Root, rootHash } from './evidence/merkle.ts';

/** So many regions are named for one fault. */
const MOST_NAMED = 8;

/** SHA-256 in hexadecimal, by the file's name. */
export type Sums = Map<string, string>;

/**
 * Adds to `faults`. The manifest is believed, and its regions with a SHA-256 lie in the core in their order. `sums`
 * gets those of the leaves and of the core, which are no good where there is a fault. Returns the core's bytes.
 */
export function checkCore(dir: string, { core, regions }: Manifest, faults: string[], sums?: Sums): number {
	const leaves = readLeaves(dir, core, faults);
	if (leaves !== null) sums?.set(FILES.leaves, createHash('sha256').update(leaves).digest('hex'));
	const faultsBefore = faults.length;
	let file: number;
	try {
		file = openSync(join(dir, FILES.core), 'r');
	} catch (error) {
		faults.push(
			`${FILES.core}: ${codeOf(error) === 'ENOENT' ? 'missing: the evidence is not whole' : messageOf(error)}`
		);
		return 0;
	}
	const digests = new RegionDigests(regions);
	const chunks = leaves === null ? null : new Chunks(leaves);
	const root = new Root();
	// Read once: of the whole core too, where that is asked for or can be compared.
	const { sha256: sealedSum } = core;
	const sum = sums === undefined && sealedSum === null ? null : createHash('sha256');
	let { size } = fstatSync(file);
	try {
		const room = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, core.bytes));
		for (let at = 0; at < core.bytes && at < size; at += CHUNK_BYTES) {
			const chunk = room.subarray(0, Math.min(CHUNK_BYTES, core.bytes - at));
			const got = readAll(file, chunk, at);
			digests.update(chunk.subarray(0, got), at);
			sum?.update(chunk.subarray(0, got));
			if (got < chunk.length) {
				size = at + got;	// cut off here, or cut off since
				break;
			}
			const leaf = leafHash(chunk);
			root.add(leaf);
			chunks?.add(leaf, at, chunk.length);
		}
	} catch (error) {
		if (codeOf(error) === undefined) throw error;
		faults.push(`${FILES.core}: cannot be read: ${messageOf(error)}`);
		return size;
	} finally {
		closeSync(file);
	}
	if (size < core.bytes)
		faults.push(`${FILES.core}: cut off: ${size} of ${core.bytes} bytes are left${missingFrom(regions, size)}`);
	if (size > core.bytes) faults.push(`${FILES.core}: ${size - core.bytes} bytes were added at its end`);
	if (chunks !== null) {
		const altered = new Set([...digests.altered, ...digests.unfinished]);
		faults.push(...chunks.altered.map((range) => rangeText(range, altered, regions)));
	} else if (digests.altered.length > 0 ||
		(size >= core.bytes && root.digest().toString('hex') !== core.merkleRoot)) {
		faults.push(`${FILES.core}: was altered: ${whereText(digests.altered, undigested(regions), true)}`);
	}
	const found = sum?.digest('hex');
	if (found !== undefined) sums?.set(FILES.core, found);
	// Of a core that is altered, this says no more than the chunks do.
	if (sealedSum !== null && sealedSum !== found && faults.length === faultsBefore)
		faults.push(`${FILES.core}: its SHA-256 is ${found ?? ''}, and not that of the manifest (core.sha256)`);
	return size;
}

/** null, and a fault, where they are not those that the manifest's root is of. */
function readLeaves(dir: string, { bytes, merkleRoot }: Manifest['core'], faults: string[]): Buffer | null {
	const expected = Math.ceil(bytes / CHUNK_BYTES) * HASH_BYTES;
	try {
		const { size } = lstatSync(join(dir, FILES.leaves), { throwIfNoEntry: false }) ?? { size: expected };
		const leaves = size === expected ? readWhole(dir, FILES.leaves) : null;
		if (leaves !== null && leaves.length === expected && rootHash(leaves).toString('hex') === merkleRoot)
			return leaves;
		faults.push(
			`${FILES.leaves}: altered: not what the manifest's root is of; what was altered in the core can be told ` +
				`by region only`
		);
	} catch (error) {
		if (!(error instanceof Failure)) throw error;
		faults.push(`${FILES.leaves}: ${error.message}`);
	}
	return null;
}

interface Range { start: number; end: number; from: number | null }

/** Chunks that are not what was sealed: neighbours are one range, but those that were sealed elsewhere in the core. */
class Chunks {
	readonly altered: Range[] = [];
	readonly #leaves: Buffer;
	#places: Map<string, number> | undefined;

	constructor(leaves: Buffer) {
		this.#leaves = leaves;
	}

	add(leaf: Buffer, start: number, bytes: number): void {
		const at = start / CHUNK_BYTES * HASH_BYTES;
		if (this.#leaves.compare(leaf, 0, HASH_BYTES, at, at + HASH_BYTES) === 0) return;
		const end = start + bytes;
		const from = this.#placeOf(leaf);
		const last = this.altered.at(-1);
		if (from === null && last?.from === null && last.end === start) {
			last.end = end;
		} else {
			this.altered.push({ start, end, from });
		}
	}

	#placeOf(leaf: Buffer): number | null {
		if (this.#places === undefined) {
			this.#places = new Map();
			for (let at = 0; at < this.#leaves.length; at += HASH_BYTES) {
				this.#places.set(this.#leaves.toString('latin1', at, at + HASH_BYTES), at / HASH_BYTES * CHUNK_BYTES);
			}
		}
		return this.#places.get(leaf.toString('latin1')) ?? null;
	}
}

/** `altered`: regions whose SHA-256 is not right. */
function rangeText({ start, end, from }: Range, altered: ReadonlySet<RegionRecord>, regions: RegionRecord[]): string {
	const here = regionsWithin(regions, start, end);
	// One that has a whole chunk of the range is altered; one that has a part of its first or last chunk may be.
	const hasChunk = (region: RegionRecord): boolean => placesOf(region).some(({ start: first, end: last }) => {
		const chunk = Math.max(start, Math.ceil(first / CHUNK_BYTES) * CHUNK_BYTES);
		return Math.min(chunk + CHUNK_BYTES, end) <= last && chunk < end;
	});
	const large = undigested(here);
	const certain = [...here.filter((region) => altered.has(region)), ...large.filter(hasChunk)];
	const hasHead = start < firstByteOf(regions);
	const overlap = (place: Place): number => Math.max(0, Math.min(end, place.end) - Math.max(start, place.start));
	const ofRegions = here.flatMap(placesOf).reduce((sum, place) => sum + overlap(place), 0);
	return `${FILES.core}: bytes ${start} to ${end} ` +
		`${from === null ? 'were altered' : `are those of ${from}, swapped or copied`}: ` +
		whereText(certain, large.filter((region) => !hasChunk(region)), hasHead, !hasHead && ofRegions < end - start);
}

/**
 * `certain` are altered; where there is none, one of `possible` is, or the core's head, or what lies between regions,
 * if that is possible too.
 */
function whereText(
	certain: readonly RegionRecord[], possible: readonly RegionRecord[], hasHead: boolean, hasGap = false
): string {
	const perhaps = possible.map((region) => `perhaps ${nameOf(region)}`);
	if (certain.length > 0) return [namesOf(certain), ...perhaps].join(', ');
	const others = [...(hasHead ? [HEAD] : []), ...(hasGap ? [GAP] : [])];
	if (possible.length === 0) return others.length === 0 ? HEAD : others.join(', or ');
	return [...others, namesOf(possible)].join(', or ');
}

const HEAD = 'its header or notes', GAP = 'what is of no region';

/** Large ones have no SHA-256 of their own. */
const undigested = (regions: readonly RegionRecord[]): RegionRecord[] =>
	regions.filter(({ bytes, sha256 }) => bytes > 0 && sha256 === null);

function namesOf(regions: readonly RegionRecord[]): string {
	const more = regions.length - MOST_NAMED;
	return `${regions.slice(0, MOST_NAMED).map(nameOf).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

const nameOf = ({ start, end, name }: RegionRecord): string =>
	`${start}-${end}${name === '' ? '' : ` ${name}`}`;

function missingFrom(regions: readonly RegionRecord[], bytes: number): string {
	const first = regions.find((region) => placesOf(region).some(({ end }) => end > bytes));
	return first === undefined ? '' : `, up to region ${nameOf(first)}`;
}

interface Place { start: number; end: number }

/** Each is looked for many times where much was altered. */
const places = new WeakMap<RegionRecord, Place[]>();

/** In the core: neighbours are one. */
function placesOf(region: RegionRecord): Place[] {
	const known = places.get(region);
	if (known !== undefined) return known;
	const found: Place[] = [];
	for (const { offset, bytes } of region.segments) {
		const last = found.at(-1);
		if (last?.end === offset) last.end += bytes;
		else found.push({ start: offset, end: offset + bytes });
	}
	places.set(region, found);
	return found;
}

const indices = new WeakMap<readonly RegionRecord[], Array<Place & { region: number }>>();

/** All places of all regions, in order; no two overlap. */
function indexOf(regions: readonly RegionRecord[]): Array<Place & { region: number }> {
	const known = indices.get(regions);
	if (known !== undefined) return known;
	const found = regions.flatMap((record, region) => placesOf(record).map((place) => ({ ...place, region })))
		.sort((a, b) => a.start - b.start);
	indices.set(regions, found);
	return found;
}

/** Those with a part in [start, end), in their order: there may be tens of thousands, and as many ranges. */
function regionsWithin(regions: readonly RegionRecord[], start: number, end: number): RegionRecord[] {
	const index = indexOf(regions), found = new Set<number>();
	let low = 0, high = index.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((index[middle] as Place).end > start) high = middle;
		else low = middle + 1;
	}
	for (let i = low; (index[i]?.start ?? Infinity) < end; i++) found.add((index[i] as { region: number }).region);
	return [...found].sort((a, b) => a - b).map((region) => regions[region] as RegionRecord);
}

const firstBytes = new WeakMap<readonly RegionRecord[], number>();

/** Of all regions, in the core. */
function firstByteOf(regions: readonly RegionRecord[]): number {
	const known = firstBytes.get(regions);
	if (known !== undefined) return known;
	let first = Infinity;
	for (const { segments } of regions) for (const { offset } of segments) first = Math.min(first, offset);
	firstBytes.set(regions, first);
	return first;
}

/** SHA-256 of each region, as its bytes come by. */
class RegionDigests {
	readonly altered: RegionRecord[] = [];
	readonly #regions: RegionRecord[];
	#next = 0;
	#hash: Hash | undefined;

	constructor(regions: readonly RegionRecord[]) {
		this.#regions = regions.filter(({ sha256 }) => sha256 !== null);
	}

	/** Of which the core has a part only. */
	get unfinished(): RegionRecord[] {
		return this.#hash === undefined ? [] : this.#regions.slice(this.#next, this.#next + 1);
	}

	update(bytes: Uint8Array, at: number): void {
		for (let region = this.#regions[this.#next]; region !== undefined; region = this.#regions[this.#next]) {
			// Its parts are neighbours: manifest-schema.ts.
			const start = region.segments[0]?.offset ?? 0, end = start + region.bytes;
			if (start >= at + bytes.length) return;
			this.#hash ??= createHash('sha256');
			this.#hash.update(bytes.subarray(Math.max(start - at, 0), end - at));
			if (end > at + bytes.length) return;
			if (this.#hash.digest('hex') !== region.sha256) this.altered.push(region);
			this.#hash = undefined;
			this.#next += 1;
		}
	}
}
