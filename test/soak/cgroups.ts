/** Control groups of the soak's own: of version 1, of version 2 and of both, as the machine has them. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 5000;

interface Mount { path: string; version: 1 | 2; options: string[] }

/** /proc/self/mounts: device path type options. */
function mounts(): Mount[] {
	return readFileSync('/proc/self/mounts', 'utf8').split('\n').flatMap((line) => {
		const [, path = '', type = '', options = ''] = line.split(' ');
		if (type !== 'cgroup' && type !== 'cgroup2') return [];
		return [{ path, version: type === 'cgroup' ? 1 as const : 2 as const, options: options.split(',') }];
	});
}

export interface Freezer { version: 1 | 2; freeze: () => void; thaw: () => void }

/** One target's groups. */
export class Groups {
	readonly #made: Array<{ path: string; version: 1 | 2; memory: boolean }> = [];
	#limit: { file: string; usage: string } | undefined;

	/** What is made is `PREFIX/NAME` in each hierarchy; what cannot be made is left out, and said in `notMade`. */
	constructor(prefix: string, name: string, limitBytes: number | undefined, notMade: Set<string>) {
		for (const { path, version, options } of mounts()) {
			const memory = version === 1 ? options.includes('memory') : controllers(path).includes('memory');
			if (version === 1 && !options.includes('freezer') && !(memory && limitBytes !== undefined)) continue;
			const parent = join(path, prefix), made = join(parent, name);
			try {
				mkdirSync(parent, { recursive: true });
				if (version === 2 && memory && limitBytes !== undefined) for (const folder of [path, parent])
					appendFileSync(join(folder, 'cgroup.subtree_control'), '+memory');
				mkdirSync(made, { recursive: true });
				this.#made.push({ path: made, version, memory });
				if (memory && limitBytes !== undefined) this.#setLimit(made, version, limitBytes);
			} catch (error) {
				notMade.add(`cgroup v${version} ${path}: ${String(error)}`);
			}
		}
	}

	#setLimit(path: string, version: 1 | 2, bytes: number): void {
		this.#limit = version === 1
			? { file: join(path, 'memory.limit_in_bytes'), usage: join(path, 'memory.usage_in_bytes') }
			: { file: join(path, 'memory.max'), usage: join(path, 'memory.current') };
		writeFileSync(this.#limit.file, String(bytes));
	}

	/** To be written to by a process that wants to be in them. */
	get files(): string[] {
		return this.#made.map(({ path }) => join(path, 'cgroup.procs'));
	}

	get freezers(): Freezer[] {
		return this.#made.flatMap(({ path, version }) => {
			const file = join(path, version === 1 ? 'freezer.state' : 'cgroup.freeze');
			if (!existsSync(file)) return [];
			const [on, off] = version === 1 ? ['FROZEN', 'THAWED'] : ['1', '0'];
			return [{ version, freeze: () => writeFileSync(file, on), thaw: () => writeFileSync(file, off) }];
		});
	}

	get limited(): boolean {
		return this.#limit !== undefined;
	}

	/**
	 * Leave so many bytes of room beside the `ownBytes` that the target takes by itself; false where the kernel
	 * refuses, since it could not without a death.
	 */
	tighten(ownBytes: number, roomBytes: number): boolean {
		if (this.#limit === undefined) return false;
		try {
			writeFileSync(
				this.#limit.file,
				String(Math.max(Number(readFileSync(this.#limit.usage, 'utf8')), ownBytes) + roomBytes)
			);
			return true;
		} catch {
			return false;
		}
	}

	widen(bytes: number): void {
		if (this.#limit !== undefined) writeFileSync(this.#limit.file, String(bytes));
	}

	/** Those that could not be removed. */
	async remove(ms = PATIENCE_MS): Promise<string[]> {
		const left: string[] = [];
		for (const { path } of this.#made) if (!await removed(path, ms)) left.push(path);
		return left;
	}
}

/** The parents of all groups, when those are gone. */
export async function removePrefix(prefix: string): Promise<string[]> {
	const left: string[] = [];
	for (const { path } of mounts()) {
		const parent = join(path, prefix);
		if (existsSync(parent) && !await removed(parent)) left.push(parent);
	}
	return left;
}

/** Groups of a soak that was killed, whose own pid is in their name. */
export async function removeStale(stem: string): Promise<void> {
	for (const { path } of mounts())
		for (const name of readdirSync(path)
			.filter((entry) => entry.startsWith(stem) && !existsSync(`/proc/${entry.slice(stem.length)}`))) {
			for (const entry of readdirSync(join(path, name), { withFileTypes: true })) if (entry.isDirectory())
				await removed(join(path, name, entry.name), 100);
			await removed(join(path, name), 100);
		}
}

/** A group can be removed when its last process is gone, which takes a moment. */
async function removed(path: string, ms = PATIENCE_MS): Promise<boolean> {
	for (const until = Date.now() + ms;;) {
		try {
			rmdirSync(path);
			return true;
		} catch {
			if (!existsSync(path)) return true;
			if (Date.now() > until) return false;
			await sleep(50);
		}
	}
}

function controllers(path: string): string[] {
	try {
		return readFileSync(join(path, 'cgroup.controllers'), 'utf8').trim().split(' ');
	} catch {
		return [];
	}
}
