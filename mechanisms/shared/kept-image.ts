/**
 * The image of a mechanism that keeps the copy in a file: pages that the target had of its own. Pages of files that it
 * has not changed are read from those files; the kernel lends the same code to every process, so what the target has
 * not changed of it is read from this one.
 */
import {
	closeSync, constants, fstatSync, openSync, read as readWithCallback, readFileSync, readSync, statfsSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { Failure, isGone } from '../../common/errors.ts';
import { PAGE_BYTES, type Run } from '../../common/proc/pagemap.ts';
import {
	auxvOf, executedBy, processNote, regionsOf, type Executed, type ProcessNote,
} from '../../common/proc/process.ts';
import { deviceOf, fileOf, waysTo, withFiles } from '../../common/proc/mapped-files.ts';
import { hasFile, isKernelCode, parseRegions, type Region } from '../../common/proc/regions.ts';
import { secretDevice, type ThreadRegisters } from '../../native/index.ts';
import { firstThat, ImageIndex } from './image-index.ts';
import type { CopyFile, Image, Memory } from './types.ts';

const readAsync = promisify(readWithCallback);

/** `[vdso]` is no device, and the others that the kernel maps are. */
const OF_KERNEL = /^\[vvar/;
const O_PATH = 0o10000000;	// open(2): nothing is opened, so no driver is told, and it can be looked at
const HUGETLBFS = 0x958458f6;	// statfs(2): HUGETLBFS_MAGIC

/** Where some bytes of the copy are. `fd` null: zeros. */
interface Place {
	fd: number | null;
	/** Of a file that is not open here: as long as the target is there. */
	path?: Buffer | null;
	at: number;
	length: number;
	ofFile: boolean;
}

export interface KeptImageOptions {
	/** A thread of the target that lives: of another, /proc tells nothing of its memory. */
	pid: number;
	/** Paths of the files that the tracer has open. */
	image: string;
	index: string;
	/** The image's file is in a folder, not in memory. */
	inFolder: boolean;
	chunkBytes: number;
	momentNs: number;
	threads: () => ThreadRegisters[];
	/** What was read of the target before the copy, since it may have ended by now. */
	before: { auxv: Buffer; note: ProcessNote; executed: Executed };
}

/** What of the target's state has to be read while it is there. Throws Failure where it has ended. */
export function notesOf(pid: number): KeptImageOptions['before'] {
	try {
		return { auxv: auxvOf(pid), note: processNote(pid), executed: executedBy(pid) };
	} catch (error) {
		throw isGone(error) ? new Failure(`process ${pid} ended while it was being copied`) : error;
	}
}

export class KeptImage implements Image {
	readonly momentNs: number;
	readonly skewNs = 0;
	readonly threads: () => ThreadRegisters[];
	readonly inFile?: () => CopyFile;
	readonly #pid: number;
	readonly #before: KeptImageOptions['before'];
	readonly #index: ImageIndex;
	readonly #regions: Region[];
	readonly #file: number;
	/** By `device:inode`; none: it cannot be opened. */
	readonly #files = new Map<string, number>();
	/** Of this process, for what is the kernel's. */
	#self: { fd: number; vdso: Region | undefined } | undefined;
	#open = true;

	constructor(options: KeptImageOptions) {
		this.#pid = options.pid;
		this.#before = options.before;
		this.momentNs = options.momentNs;
		this.threads = options.threads;
		this.#index = new ImageIndex(readFileSync(options.index), options.chunkBytes);
		const regions = withFiles(options.pid, parseRegions(this.#index.maps), secretDevice());
		this.#file = openSync(options.image, 'r');
		if (options.inFolder) this.inFile = () => this.#asCopyFile();
		// While the target is there, if it still is: of a file that has no path any more this is the only way to it.
		for (const region of regions) if (hasFile(region) && !region.shared) this.#openFile(region);
		this.#regions = regions.map((region) => ({ ...region, flags: this.#flagsOf(region) }));
	}

	/**
	 * With those flags that tell how a region is captured, and no others: smaps, which has them all, walks the target's
	 * page tables while that cannot map anything.
	 */
	regions(): Region[] {
		return this.#regions;
	}

	#flagsOf(region: Region): Set<string> {
		const { readable, writable, executable, shared, name } = region;
		const fd = this.#files.get(fileOf(region)) ?? null;
		return new Set([
			...(readable ? ['rd'] : []), ...(writable ? ['wr'] : []), ...(executable ? ['ex'] : []),
			...(shared ? ['sh'] : []), ...(OF_KERNEL.test(name) ? ['pf'] : []),
			...(name.startsWith('/anon_hugepage') || (fd !== null && isOnHugetlbfs(this.#pid, region)) ? ['ht'] : []),
		]);
	}

	/** Of one of its regions; the next one is another way to it. */
	#openFile(region: Region): void {
		const key = fileOf(region);
		// To open a device can have effects, and it is never read; a file server may not answer, and is left to others.
		if (this.#files.has(key) || region.fileKind !== 'other') return;
		const { link, path } = waysTo(this.#pid, region);
		for (const way of [link, path]) {
			try {
				const place = openSync(way, O_PATH);
				try {
					const file = fstatSync(place, { bigint: true }), { ino, dev } = file;
					// As the kernel writes it in maps; a file system may give another number of its device to stat(2).
					if (file.isFile() && ino === region.inode &&
						(way === link || deviceOf(dev) === region.device)) {
						this.#files.set(key, openSync(`/proc/self/fd/${place}`, constants.O_RDONLY | constants.O_NONBLOCK));
						return;
					}
				} finally {
					closeSync(place);
				}
			} catch {
				// The next path, or none: reading those pages says so.
			}
		}
	}

	populated(range: Run): Run[] {
		return this.#index.populated(range);
	}

	auxv(): Buffer {
		return this.#before.auxv;
	}

	note(): ProcessNote {
		return this.#before.note;
	}

	executed(): Executed & { path: string } {
		return { ...this.#before.executed, path: `/proc/${this.#pid}/exe` };
	}

	/** The target's memory has no part in it. */
	copiedBytes(): number {
		return 0;
	}

	/** Bytes at one address, fewer than asked for where a region ends. Throws what read(2) gives. */
	read(room: Uint8Array, address: number): number {
		let done = 0;
		for (const place of this.#places(address, room.length)) {
			const { at, length } = place, fd = place.fd ?? (place.path == null ? null : this.#openLate(place.path));
			if (fd === null) room.fill(0, done, done + length);
			const there = fd === null ? length : filled(room, done, place, readSync(fd, room, done, length, at));
			done += there;
			if (there < length) break;
		}
		return done;
	}

	/** Of a file server, which has to answer now: for whoever reads at once, and has nobody else to do it. */
	#openLate(path: Buffer): number {
		const key = path.toString();
		const fd = this.#files.get(key) ?? openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
		this.#files.set(key, fd);
		return fd;
	}

	openMemory(): Promise<Memory> {
		return Promise.resolve({
			read: async (room, at, length, address, files) => {
				const [place] = this.#open ? this.#places(address, length) : [];
				if (place === undefined) return 0;
				if (place.ofFile && files !== undefined) {
					const part = room.subarray(at, at + place.length), path = place.path?.toString();
					const got = await files.read(path ?? pathForOthers(place.fd ?? -1), place.at, part);
					return filled(room, at, place, got);
				}
				if (place.ofFile && place.fd === null) throw noPage('its file is left to others to read');
				if (place.fd !== null) {
					const { bytesRead } = await readAsync(place.fd, room, at, place.length, place.at);
					return filled(room, at, place, bytesRead);
				}
				room.fill(0, at, at + place.length);
				return place.length;
			},
			close: () => Promise.resolve(),
		});
	}

	/** Closed with the image. */
	#asCopyFile(): CopyFile {
		const { size: bytes } = fstatSync(this.#file), { headBytes } = this.#index;
		return {
			path: `/proc/self/fd/${this.#file}`, headBytes, bytes,
			placesOf: (range) => this.#index.placesOf(range),
			wasCorrected: (offset, length) => this.#index.wasCorrected(offset, length),
			read: async (room, offset) => {
				for (let done = 0; done < room.length;) {
					const { bytesRead } = this.#open
						? await readAsync(this.#file, room, done, room.length - done, offset + done)
						: { bytesRead: 0 };
					if (bytesRead === 0) throw new Failure(`the copy cannot be read back: it ends at ${offset + done}`);
					done += bytesRead;
				}
			},
		};
	}

	/** Neighbours that are of one place are one. */
	#places(address: number, length: number): Place[] {
		const places: Place[] = [];
		for (let at = address; at < address + length;) {
			const region = this.#regionAt(at);
			if (region === undefined || region.shared) break;
			const pageEnd = Math.min(at - at % PAGE_BYTES + PAGE_BYTES, address + length);
			const place = this.#placeOf(region, at, pageEnd - at), last = places.at(-1);
			const isNext = last !== undefined && last.at + last.length === place.at;
			const follows = place.fd === null ? !place.ofFile : isNext;
			if (last !== undefined && last.fd === place.fd && last.ofFile === place.ofFile && follows)
				last.length += place.length;
			else places.push(place);
			at = pageEnd;
		}
		return places;
	}

	#placeOf(region: Region, address: number, length: number): Place {
		const kept = this.#index.offsetOf(address);
		if (kept !== null) return { fd: this.#file, at: kept, length, ofFile: false };
		if (isKernelCode(region)) {
			const { fd, vdso } = this.#self ??= ourselves();
			if (vdso === undefined || vdso.end - vdso.start !== region.end - region.start)
				throw noPage('the kernel has lent the target other code than this process');
			return { fd, at: vdso.start + address - region.start, length, ofFile: false };
		}
		if (!hasFile(region)) return { fd: null, at: 0, length, ofFile: false };
		const fd = this.#files.get(fileOf(region)) ?? null, at = region.fileOffset + address - region.start;
		return { fd, path: fd === null ? waysTo(this.#pid, region).link : null, at, length, ofFile: true };
	}

	#regionAt(address: number): Region | undefined {
		const found = this.#regions[firstThat(this.#regions.length, (i) => (this.#regions[i] as Region).end > address)];
		return found !== undefined && found.start <= address ? found : undefined;
	}

	close(): void {
		if (!this.#open) return;
		this.#open = false;
		for (const fd of [this.#file, this.#self?.fd, ...this.#files.values()])
			if (fd != null) closeSync(fd);
		this.#files.clear();
	}
}

/** What this process has open, as another one opens it once more. */
const pathForOthers = (fd: number): string => `/proc/${process.pid}/fd/${fd}`;

function isOnHugetlbfs(pid: number, region: Region): boolean {
	try {
		return statfsSync(waysTo(pid, region).link).type === HUGETLBFS;
	} catch {
		return false;	// it has gone, or that may not be asked: memory that was mapped as such has a name of its own
	}
}

const ourselves = (): { fd: number; vdso: Region | undefined } =>
	({ fd: openSync('/proc/self/mem', 'r'), vdso: regionsOf(process.pid, 'maps').find(isKernelCode) });

/**
 * How many bytes there are where `got` were read: what lies behind a file's end has no page, but for the rest of its
 * last one, which is zeros.
 */
function filled(room: Uint8Array, at: number, { length, ofFile }: Place, got: number): number {
	if (got === length) return length;
	if (!ofFile || got === 0) throw noPage('the page lies behind the end of its file');
	const whole = Math.min(length, Math.ceil(got / PAGE_BYTES) * PAGE_BYTES);
	room.fill(0, at + got, at + whole);
	return whole;
}

const noPage = (message: string): Error => Object.assign(new Error(message), { code: 'EIO' });
