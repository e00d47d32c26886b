/**
 * How evidence travels: one TLS 1.3 connection, both sides with certificates, lines of JSON between which the core's
 * bytes go as they are. The link guards the bytes; what is told here is only who says what, and how much of it.
 *
 *   collector                                   receiver
 *   {procsnap: 3}                            →    a new transfer; or {procsnap: 3, resume: ID} after a lost link
 *                                            ←  {id, have}: so many bytes of the core are kept
 *   {bytes}                                  →    of the whole core
 *   the core's bytes from `have` on          →
 *                                            ←  {have}, whenever more is kept
 *   {root}                                   →    the Merkle root, when all of them were sent
 * ← {verified: true}: it has the same bytes, on its disk. The duplicate may end
 *   {seal: {leaves: N, manifest: N ...}}     →    then that many bytes of each, in this order
 *                                            ←  {kept: NAME}: the evidence is whole; the transfer is over
 *
 * Instead of any answer: {refused: WHY}, which trying again will not change; or {busy: WHY}, which it will, to a
 * collector that has said {waits: true} beside {procsnap}: for one that has not, the link is closed, so that it tries
 * again as after a lost one. The id is the receiver's, fresh, and the manifest that is sealed names it: the stream of
 * another transfer is nobody's evidence here.
 */
import type { Readable } from 'node:stream';
import { Failure } from '../../common/errors.ts';
import type { Seal } from '../evidence/folder.ts';
import { SCHEMA_VERSION } from '../evidence/manifest.ts';
import { CHUNK_BYTES, HASH_BYTES } from '../evidence/merkle.ts';

/**
 * It rises with the manifest's version: a receiver reads that when the duplicate has gone, and would then refuse
 * evidence that nobody can take again. 1: manifests of versions 1 and 2; 2: of version 3 as well, and so on.
 */
export const PROTOCOL = SCHEMA_VERSION - 1;
const KNOWN = Array.from({ length: PROTOCOL }, (_, i) => i + 1);

/** In the order in which they travel. */
const PARTS: ReadonlyArray<keyof Seal> = [
	'leaves', 'manifest', 'publicKey', 'signature', 'timestamp', 'program',
];

/** `waits`: it knows {busy}. */
export interface Hello { procsnap: number; resume?: string; waits?: boolean }
export interface Size { bytes: number }
export interface Root { root: string }
export interface SealSizes { seal: Partial<Record<keyof Seal, number>> }

/** Every line is one of these, with one of its fields. */
export interface Answer {
	id?: string;
	have?: number;
	verified?: boolean;
	kept?: string;
	refused?: string;
	busy?: string;
}

const LINE_BYTES = 4096;
const LARGEST_PART: Record<Exclude<keyof Seal, 'leaves'>, number> = {
	manifest: 64 << 20, publicKey: 4096, signature: 64, timestamp: 1 << 20, program: 64 << 20,
};

export const line = (message: Hello | Size | Root | SealSizes | Answer): string => `${JSON.stringify(message)}\n`;

/** A receiver cannot have it now; later it can. */
export class Busy extends Error {
	override name = 'Busy';
}

/** What the other side says is not to be believed: the connection is given up. */
export class Malformed extends Failure {
	override name = 'Malformed';
}

const ID = /^[0-9a-f]{32}$/;

function record(text: string): Record<string, unknown> {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		throw new Malformed('a line that is no JSON');
	}
	if (typeof value !== 'object' || value === null || Array.isArray(value))
		throw new Malformed('a line that is no JSON object');
	return value as Record<string, unknown>;
}

const isCount = (value: unknown): value is number =>
	typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

export function parseHello(text: string): Hello {
	const { procsnap, resume, waits } = record(text);
	if (typeof procsnap !== 'number' || !KNOWN.includes(procsnap)) {
		const versions = `${KNOWN.slice(0, -1).join(', ')} and ${PROTOCOL}`;
		throw new Malformed(`version ${JSON.stringify(procsnap)} of the protocol, and this procsnap knows ${versions}`);
	}
	const known = { procsnap, waits: waits === true };
	if (resume === undefined) return known;
	if (typeof resume !== 'string' || !ID.test(resume)) throw new Malformed('a transfer\'s id that none can have');
	return { ...known, resume };
}

/** `most`: what the receiver takes at most, in bytes. */
export function parseSize(text: string, most: number): number {
	const { bytes } = record(text);
	if (!isCount(bytes) || bytes === 0) throw new Malformed('a size that is no number of bytes');
	if (bytes > most) throw new Malformed(`${bytes} bytes, and ${most} are what is taken here at most`);
	return bytes;
}

export function parseRoot(text: string): string {
	const { root } = record(text);
	if (typeof root !== 'string' || !/^[0-9a-f]{64}$/.test(root)) throw new Malformed('a root that is no SHA-256');
	return root;
}

/** The parts that there are, in order. */
export const partsOf = (seal: Seal): Array<[keyof Seal, Uint8Array]> =>
	PARTS.flatMap((part) => (seal[part] === undefined ? [] : [[part, seal[part]] as [keyof Seal, Uint8Array]]));

/** The parts that follow and their sizes, none larger than it can be for a core of `bytes` bytes. */
export function parseSealSizes(text: string, bytes: number): Array<[keyof Seal, number]> {
	const { seal } = record(text);
	if (typeof seal !== 'object' || seal === null) throw new Malformed('a seal without sizes');
	const sizes = seal as Record<string, unknown>;
	const stranger = Object.keys(sizes).find((name) => !(PARTS as readonly string[]).includes(name));
	if (stranger !== undefined) throw new Malformed(`a seal with a part ${JSON.stringify(stranger.slice(0, 40))}`);
	return PARTS.flatMap((part): Array<[keyof Seal, number]> => {
		const size = sizes[part];
		if (size === undefined && (part === 'timestamp' || part === 'program')) return [];
		const largest = part === 'leaves' ? Math.ceil(bytes / CHUNK_BYTES) * HASH_BYTES : LARGEST_PART[part];
		if (!isCount(size) || size === 0 || size > largest)
			throw new Malformed(`a seal whose ${part} is of ${JSON.stringify(size)} bytes`);
		return [[part, size]];
	});
}

export function parseAnswer(text: string): Answer {
	const { id, have, verified, kept, refused, busy } = record(text);
	if (typeof refused === 'string') return { refused };
	if (typeof busy === 'string') return { busy };
	if ((id !== undefined && (typeof id !== 'string' || !ID.test(id))) || (have !== undefined && !isCount(have))
		|| (kept !== undefined && typeof kept !== 'string')
		|| (verified !== undefined && typeof verified !== 'boolean')) {
		throw new Malformed('an answer that no receiver gives');
	}
	return {
		...(id === undefined ? {} : { id }), ...(have === undefined ? {} : { have }),
		...(verified === undefined ? {} : { verified }), ...(kept === undefined ? {} : { kept }),
	};
}

/**
 * Reads lines and bytes off a stream, no faster than they are wanted. By its events: its iterator would copy all that
 * has come into one buffer first, for each turn.
 */
export class Wire {
	readonly #stream: Readable;
	#rest: Buffer = Buffer.alloc(0);
	/** Has what comes next; false: it wants more. */
	#wanted: ((chunk: Buffer) => boolean) | undefined;
	/** Whoever waits, at the end of the stream. */
	#ended: (() => void) | undefined;
	#error: Error | undefined;
	#isOver = false;

	constructor(stream: Readable) {
		this.#stream = stream.pause();
		stream.on('data', (chunk: Buffer) => {
			if (this.#wanted === undefined) {
				this.#rest = Buffer.concat([this.#rest, chunk]);
			} else if (!this.#wanted(chunk)) {
				return;
			}
			this.#wanted = this.#ended = undefined;
			stream.pause();
		});
		stream.on('end', () => this.#over());
		stream.on('error', (error: Error) => this.#over(error));
		stream.on('close', () => this.#over(new Error('it was closed')));
		if (stream.destroyed) this.#over(stream.errored ?? new Error('it was closed'));
	}

	#over(error?: Error): void {
		if (this.#isOver) return;
		this.#isOver = true;
		this.#error = error;
		this.#ended?.();
	}

	/** Resolves when `wanted` has had enough, or at the end of the stream. */
	#more(wanted: (chunk: Buffer) => boolean): Promise<void> {
		if (this.#isOver) return Promise.resolve();
		return new Promise((resolve) => {
			this.#ended = resolve;
			this.#wanted = (chunk) => {
				const isEnough = wanted(chunk);
				if (isEnough) resolve();
				return isEnough;
			};
			this.#stream.resume();
		});
	}

	/**
	 * null at the end of the stream. Throws Malformed at a line that is too long, Error at one that was cut off, and
	 * what ended the stream.
	 */
	async line(): Promise<string | null> {
		const parts: Buffer[] = [];
		for (let length = 0; ;) {
			if (this.#rest.length === 0) {
				await this.#more((chunk) => {
					this.#rest = chunk;
					return true;
				});
			}
			if (this.#rest.length === 0) {
				if (this.#error !== undefined) throw this.#error;
				if (length === 0) return null;
				throw new Error('it was closed in the middle of a line');
			}
			const end = this.#rest.indexOf(0x0a);
			parts.push(this.#rest.subarray(0, end < 0 ? undefined : end));
			length += parts.at(-1)?.length ?? 0;
			this.#rest = end < 0 ? Buffer.alloc(0) : this.#rest.subarray(end + 1);
			if (length > LINE_BYTES) throw new Malformed(`a line of more than ${LINE_BYTES} bytes`);
			if (end >= 0) return Buffer.concat(parts).toString('utf8');
		}
	}

	/** Fills all of `room`; how many bytes it got, fewer only at the end of the stream, whatever ended it. */
	async fill(room: Uint8Array): Promise<number> {
		let filled = 0;
		const put = (chunk: Buffer): boolean => {
			const length = Math.min(room.length - filled, chunk.length);
			room.set(chunk.subarray(0, length), filled);
			filled += length;
			this.#rest = chunk.subarray(length);
			return filled === room.length;
		};
		if (!put(this.#rest)) await this.#more(put);
		return filled;
	}
}
